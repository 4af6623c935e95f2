"""How fast players join: as fast as it goes beside the yardstick, at fixed rates, all at once, and behind a long line."""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django_redis import get_redis_connection

from bench import bare, load
from bench.people import Person, make_people, make_waiting, sessions, tokens
from bench.report import say
from bench.site import BenchSite
from registrations.models import QueueEntry
from tests.builders import make_tournament
from tournaments.models import Tournament

FEW_WAITING = 1_000
WARM_UP = 400
ROUNDS = 3  # of bare and joins in turn, so that a slow moment of the machine meets both
RATES = (100, 200, 300, 500)  # a second
PROFILED = 400
TOO_EARLY = 409
GOOD = {"api": 200, "page": 302}
CSRF = "b" * 32  # the secret in the cookie, sent back by the form as it stands


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """See docs/performance.md for what each figure means."""
    tournament = make_tournament(seats=700)
    make_waiting(tournament, FEW_WAITING)
    bench = JoinBench(site, tournament, options.via)
    with bench.running():
        kept = bench.kept(options.players)  # first, while no limit's window passes
        figures = {**bench.beside_bare(options.players), "kept_kb": kept}
        figures["at_rate"] = {str(rate): bench.at_rate(rate, options.seconds) for rate in RATES}
        if options.burst:
            figures["burst"] = bench.burst(options.burst)
        figures["too_early"] = bench.too_early(options.players)
        figures |= bench.parts()
        if options.waiting:
            say(f"{options.waiting} more wait")
            make_waiting(tournament, options.waiting)
            figures["behind"] = {"waiting": options.waiting, **bench.beside_bare(options.players)}
            figures["cost_ratio"] = round(figures["ratio_to_bare"] / figures["behind"]["ratio_to_bare"], 2)
    bench.refuse_missing()
    return figures


@dataclass
class JoinBench:
    """A tournament that new players join by the API with a token, or by the page with a session."""

    site: BenchSite
    tournament: Tournament
    via: str
    accepted: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """The web process, warm, and the bare site beside it, which costs nothing while it isn't asked."""
        self.site.start("web")
        with bare.bare_site(self.site) as self.bare_port:
            yield
        self.site.stop_last()

    def beside_bare(self, players: int) -> dict[str, Any]:
        """`rate` as fast as it goes, `ratio_to_bare`, and CPU milliseconds per join by process."""
        waves = self.requests(WARM_UP), *(self.requests(players // ROUNDS) for _ in range(ROUNDS))
        self.site.settle()
        self.fast(self.site.port, waves[0], self.good)
        self.fast(self.bare_port, bare.requests(WARM_UP), 200)
        joins, bares = [], []
        cpu, bare_cpu = dict[str, float](), dict[str, float]()
        for wave in waves[1:]:
            say(f"{len(wave)} requests to the bare view, then as many joins")
            with self.site.cpu_counted(bare_cpu):
                bares.append(self.fast(self.bare_port, bare.requests(len(wave)), 200))
            with self.site.cpu_counted(cpu):
                joins.append(self.fast(self.site.port, wave, self.good))
        joined, yardstick = load.together(joins), load.together(bares)
        cpu["generator"], bare_cpu["generator"] = joined.cpu_seconds, yardstick.cpu_seconds
        return {
            **joined.figures(),
            "bare_rate": round(yardstick.rate, 1),
            "ratio_to_bare": round(joined.rate / yardstick.rate, 3),
            "ratio_to_bare_by_cpu": round(sum(bare_cpu.values()) / (sum(cpu.values()) or 1), 3),
            "cpu_ms": load.milliseconds_each(cpu, joined.sent),
            "bare_cpu_ms": load.milliseconds_each(bare_cpu, yardstick.sent),
        }

    def at_rate(self, rate: int, seconds: int) -> dict[str, Any]:
        """Joins at a fixed rate, whatever the answers do."""
        wave = self.requests(rate * seconds)
        say(f"{rate} joins a second")
        client = load.Client(self.site.port)
        return self._counted(load.run(load.at_rate(client, wave, good=self.good, rate=rate))).figures()

    def burst(self, players: int) -> dict[str, Any]:
        """All within one second, each over a connection of its own; `burst_s` is until the last was answered."""
        wave = self.requests(players)
        say(f"{players} joins within one second")
        client = load.Client(self.site.port, keep=False)
        done = self._counted(load.run(load.at_rate(client, wave, good=self.good, rate=players)))
        return {"burst_s": round(done.seconds, 2), "fired_s": round(done.sent_seconds, 2), **done.figures()}

    def too_early(self, players: int) -> dict[str, Any]:
        """As fast as they are refused by a tournament that opens in an hour."""
        say(f"{players} who come too early")
        wave = join_requests(make_tournament(seats=700, opens_in=timedelta(hours=1)), make_people(players), self.via)
        cpu = dict[str, float]()
        with self.site.cpu_counted(cpu):
            done = load.run(load.as_fast_as_it_goes(load.Client(self.site.port), wave, good=TOO_EARLY))
        return {**done.figures(), "cpu_ms": load.milliseconds_each(cpu, done.sent)}

    def kept(self, players: int) -> dict[str, float]:
        """What Valkey keeps of a player, in kB: the session if there is one, and the limits' windows until they have passed."""
        say(f"What {players} joins leave in Valkey")
        before = _memory()
        wave = self.requests(players)
        signed_in = _memory()
        self.fast(self.site.port, wave, self.good)
        kept = {"session": signed_in - before, "limits": _memory() - signed_in}
        return {name: round(used / players / 1000, 2) for name, used in kept.items()}

    def parts(self) -> dict[str, Any]:
        """Where the time of one join goes, by part, of one request after the other in one process; and its statements."""
        say("Where the time of a join goes")
        command = [sys.executable, "-m", "bench.parts"]
        given = json.dumps([sent.decode() for sent in self.requests(PROFILED)])
        done = subprocess.run(  # noqa: S603 - our own command
            command, input=given, env=self.site.environment_of("web"), stdout=subprocess.PIPE, text=True, check=True
        )
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        self.accepted += said.pop("good")
        return said

    def refuse_missing(self) -> None:
        """Raises RuntimeError unless exactly those who were accepted stand in the line."""
        entries = QueueEntry.objects.filter(tournament=self.tournament, address_hash__gt="").count()
        if entries != self.accepted:
            raise RuntimeError(f"{self.accepted} joins were accepted, {entries} entries were made")

    @property
    def good(self) -> int:
        return GOOD[self.via]

    def requests(self, count: int) -> list[bytes]:
        """A join each of so many new players."""
        people = make_people(count)
        return join_requests(self.tournament, people, self.via)

    def fast(self, port: int, wave: Sequence[bytes], good: int) -> load.Load:
        done = load.run(load.as_fast_as_it_goes(load.Client(port), wave, good=good))
        return self._counted(done) if port == self.site.port else done

    def _counted(self, done: load.Load) -> load.Load:
        self.accepted += done.good
        return done


def _memory() -> int:
    """Bytes that Valkey uses for what it keeps."""
    used: int = get_redis_connection("default").info("memory")["used_memory"]
    return used


def join_requests(tournament: Tournament, people: Sequence[Person], via: str) -> list[bytes]:
    """What each of `people` sends to join, with a token or (`via` page) a session and the form that the page would have had."""
    if via == "api":
        path = f"/api/v1/tournaments/{tournament.slug}/join/"
        return [
            load.request(
                "POST",
                path,
                b'{"players":[%d]}' % person.player,
                content_type="application/json",
                authorization=f"Bearer {token}",
                x_forwarded_for=person.address,
            )
            for person, token in zip(people, tokens(people), strict=True)
        ]
    return [
        load.request(
            "POST",
            f"/t/{tournament.slug}/join/",
            urlencode({"csrfmiddlewaretoken": CSRF, "players": person.player}).encode(),
            content_type="application/x-www-form-urlencoded",
            cookie=f"sessionid={session}; csrftoken={CSRF}",
            x_forwarded_for=person.address,
        )
        for person, session in zip(people, sessions(people), strict=True)
    ]
