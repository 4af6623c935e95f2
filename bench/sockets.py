"""Ten thousand open pages: how late the last one shows that the line moved, what they cost, and how soon all are back."""

import asyncio
import random
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from bench import load
from bench.people import make_waiting
from bench.report import say
from bench.site import BenchSite
from bench.watching import Crowd, Page
from registrations import passes
from registrations.line import block_of
from registrations.models import QueueEntry
from registrations.publisher import block_field
from registrations.services import leave_queue
from tests.builders import make_tournament
from vgchub import live

MOVES = 10  # of an idle line, one after the other
MOVING_SECONDS, MOVES_A_SECOND = 15, 20
RESTING_SECONDS = 5
PATIENCE = 120.0


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """Seconds, megabytes of the live processes, and shares of one core."""
    players: int = options.players
    leaving = MOVES + MOVING_SECONDS * MOVES_A_SECOND
    say(f"{players} players wait, behind {leaving} who will leave the line")
    tournament = make_tournament(seats=0)
    make_waiting(tournament, players + leaving)
    site.settle()
    site.start("live", "clock")
    entries = list(tournament.entries.select_related("player__account").order_by("place"))
    crowd = Crowd(site.site.live_port, site.site.url)
    crowd.pages = [_page(crowd, entry) for entry in entries[leaving:]]
    accounts = [entry.player.account_id for entry in entries[leaving:]]
    with ThreadPoolExecutor(1) as thread:
        return load.run(_Bench(site, crowd, entries[:leaving], accounts, thread).figures())


def _page(crowd: Crowd, entry: QueueEntry) -> Page:
    place = entry.place or 0
    live_pass = passes.issue(entry.tournament_id, entry.player.account_id, [entry])
    return Page(crowd, live_pass, block_field(entry.division_id, entry.priority, block_of(place)), place)


class _Bench:
    """The steps, one after the other; services are called in a thread of their own."""

    def __init__(
        self,
        site: BenchSite,
        crowd: Crowd,
        leaving: list[QueueEntry],
        accounts: list[int],
        thread: ThreadPoolExecutor,
    ) -> None:
        self.site, self.crowd, self.leaving, self.accounts, self.thread = site, crowd, leaving, accounts, thread

    async def figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = {"players": len(self.crowd.pages)}
        empty = self.site.resident_megabytes("live")
        began = time.monotonic()
        with self._shares(figures, "opening"):
            await self.crowd.open()
            await self.crowd.all_ready(within=PATIENCE)
        figures["open_s"] = round(time.monotonic() - began, 2)
        figures["mb_per_1000"] = round((self.site.resident_megabytes("live") - empty) * 1000 / len(self.crowd.pages), 1)
        say(f"All {len(self.crowd.pages)} are open")
        with self._shares(figures, "resting"):
            await asyncio.sleep(RESTING_SECONDS)
        figures |= await self._idle()
        figures["told_s"] = await self._tell()
        with self._shares(figures, "moving"):
            figures |= await self._moving()
        with self._shares(figures, "restarting"):
            figures["back_s"] = await self._restart()
        self.crowd.close()
        return figures

    async def _idle(self) -> dict[str, Any]:
        """One leaves, everybody shows it, a pause."""
        for number in range(MOVES):
            await asyncio.sleep(random.uniform(1.2, 2.2))  # noqa: S311
            await self._leave()
            await _until(lambda number=number: len(self.crowd.moves.lags(len(self.crowd.pages))) > number)
        lags = self.crowd.moves.lags(len(self.crowd.pages))
        say(f"A move of the idle line: {max(lags):.2f} s at most until the last page showed it")
        return {"last_s_idle": round(max(lags), 2), "idle": _percentiles(lags)}

    async def _moving(self) -> dict[str, Any]:
        """Many leave each second; each move is counted until the last page has shown it."""
        due = time.monotonic()
        while self.leaving:
            due += 1 / MOVES_A_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._leave()
        total = len(self.crowd.moves.at)
        await _until(lambda: len(self.crowd.moves.lags(len(self.crowd.pages))) == total)
        lags = self.crowd.moves.lags(len(self.crowd.pages))[MOVES:]
        say(f"A move of the moving line: {max(lags):.2f} s at most")
        return {"last_s": round(max(lags), 2), "moving": _percentiles(lags)}

    async def _leave(self) -> None:
        entry = self.leaving.pop(0)
        self.crowd.moves.begin()
        await self._call(lambda: leave_queue(account=entry.player.account, public_id=entry.public_id))

    async def _tell(self) -> float:
        """Each account alone; seconds until the last one has its text."""
        messages = [(account, {"kind": "entry.changed", "entry": f"{account:024x}"}) for account in self.accounts]
        began = time.monotonic()
        await self._call(lambda: live.tell_many_on_commit(messages))
        await _until(lambda: all(page.news for page in self.crowd.pages))
        took = time.monotonic() - began
        say(f"{len(messages)} told, each alone: {took:.2f} s")
        return round(took, 2)

    async def _restart(self) -> float:
        """Seconds from the signal until every page shows its position again."""
        began = time.monotonic()
        self.site.child("live").ask_to_stop()
        await _until(lambda: self.crowd.ready < len(self.crowd.pages))
        while self.crowd.ready < len(self.crowd.pages):
            self.site.supervisor.tend()
            await asyncio.sleep(0.05)
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError("not everybody came back")
        took = time.monotonic() - began
        say(f"All back {took:.1f} s after live was told to stop")
        return round(took, 2)

    async def _call(self, service: Callable[[], object]) -> None:
        await asyncio.get_running_loop().run_in_executor(self.thread, service)

    @contextmanager
    def _shares(self, figures: dict[str, Any], name: str) -> Iterator[None]:
        """What the processes use of one core meanwhile; `generator` is this one."""
        before = self.site.cpu_seconds() | {"generator": time.process_time()}
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        after = self.site.cpu_seconds() | {"generator": time.process_time()}
        figures[f"cpu_{name}"] = {
            process: round((spent - before.get(process, 0)) / seconds, 3) for process, spent in after.items()
        }


def _percentiles(lags: list[float]) -> dict[str, float]:
    return load.percentiles([lag * 1000 for lag in lags])


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.01)
