"""`manage.py crowd`: N players who join a tournament and play it to its end over HTTP."""

import asyncio
import random
import time
from argparse import ArgumentParser
from datetime import date
from typing import Any

import aiohttp
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection
from django.db.models import Count

from registrations.models import QueueEntry
from registrations.rules import State
from tournaments.models import Seat, Tournament
from vgchub.management.crowd.people import Person, make_people
from vgchub.management.crowd.player import CrowdPlayer, Plan
from vgchub.management.crowd.tally import Tally


class Command(BaseCommand):
    help = "Lets N made-up players join a tournament over HTTP: they watch, pay, leave or do nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--players", type=int, required=True)
        parser.add_argument("--tournament", required=True, help="its address on the site, such as city-championship")
        parser.add_argument("--pay", type=float, default=0.8, help="share of those with an offer who take it up (0.8)")
        parser.add_argument("--leave", type=float, default=0.1, help="share who leave the line (0.1)")
        parser.add_argument("--sign-in", type=float, default=0.05, help="share who sign in first (0.05)")
        parser.add_argument("--within", type=float, default=10, help="seconds within which all arrive (10)")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--minutes", type=float, default=20, help="stop after so long, whatever happens (20)")

    def handle(self, **options: Any) -> None:
        tournament = Tournament.objects.filter(slug=options["tournament"]).first()
        if tournament is None:
            raise CommandError(f"There is no tournament “{options['tournament']}”: take the last part of its address.")
        if options["players"] < 1 or not 0 <= options["pay"] + options["leave"] <= 1:
            raise CommandError("Give at least one player, and shares that add up to 1 at most.")
        seats = Seat.objects.filter(division__tournament=tournament).count()
        self.stdout.write(f"Making {options['players']:,} accounts.")
        people = make_people(
            options["players"],
            signing_in=round(options["players"] * options["sign_in"]),
            birth_date=_somebody_of(tournament),
        )
        plan = Plan(settings.SITE_URL, _live(), tournament.slug, options["pay"], options["leave"])
        tally = Tally()
        asyncio.run(self._play(plan, people, tally, options))
        self._report(tournament, tally, seats)

    async def _play(self, plan: Plan, people: list[Person], tally: Tally, options: dict[str, Any]) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=30)
        chance = random.Random(options["seed"])  # noqa: S311  a crowd, no secret
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as http:
            arrivals = [chance.uniform(0, options["within"]) for _ in people]
            players = [
                CrowdPlayer(person, plan, http, tally, random.Random(chance.random()))  # noqa: S311
                for person in people
            ]
            tasks = [
                asyncio.create_task(_arrive(player, delay)) for player, delay in zip(players, arrivals, strict=True)
            ]
            await self._watch(players, tasks, options["minutes"] * 60)
            for task in tasks:
                task.cancel()
            for failed in (r for r in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(r, Exception)):
                tally.error(f"{type(failed).__name__}: {failed}")

    async def _watch(self, players: list[CrowdPlayer], tasks: list["asyncio.Task[None]"], seconds: float) -> None:
        """Show how far it is once a second, until everybody is done or no seat can move any more."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not all(task.done() for task in tasks):
            await asyncio.sleep(1)
            states = [player.state for player in players]
            shown = {state: states.count(state) for state in ("WAITING", "OFFERED", "CONFIRMED", "PASSED", "LEFT")}
            words = "  ".join(f"{name.lower()} {count:,}" for name, count in shown.items())
            self.stdout.write(f"\r{words}   ", ending="")
            self.stdout.flush()
            all_came = all(player.state or task.done() for player, task in zip(players, tasks, strict=True))
            if all_came and await asyncio.to_thread(_sold_out, players[0].plan.tournament):
                await asyncio.sleep(2)
                break
        self.stdout.write("")

    def _report(self, tournament: Tournament, tally: Tally, seats: int) -> None:
        connection.close()  # it may be from before a restart of the database
        states = dict(
            QueueEntry.objects.filter(tournament=tournament).order_by().values_list("state").annotate(Count("pk"))
        )
        tally.outcomes |= {state.lower(): count for state, count in sorted(states.items())}
        for line in tally.table():
            self.stdout.write(line)
        self.stdout.write(f"{states.get(State.CONFIRMED, 0)} of {seats} seats are confirmed.")
        if tally.errors:
            raise CommandError(f"{tally.errors.total()} requests went wrong; they are named above.")


async def _arrive(player: CrowdPlayer, delay: float) -> None:
    await asyncio.sleep(delay)
    await player.play()


def _sold_out(slug: str) -> bool:
    """Every seat is confirmed: nothing will move until somebody gives one back."""
    seats = Seat.objects.filter(division__tournament__slug=slug)
    try:
        return not seats.exclude(entry__state=State.CONFIRMED).exists()
    except OperationalError:  # the database is being restarted
        return False
    finally:
        connection.close()


def _somebody_of(tournament: Tournament) -> date:
    """A birth date that the tournament's largest division admits."""
    division = tournament.divisions.annotate(size=Count("seats")).order_by("-size").first()
    if division is None:
        raise CommandError("The tournament has no division yet.")
    return division.born_to or division.born_from or date(2000, 1, 1)


def _live() -> str:
    live: str = settings.LIVE_URL or settings.SITE_URL.replace("http", "ws", 1)
    return live
