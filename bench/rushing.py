"""A rush: a tournament, everybody who wants in, the crowd that plays them, and what is done to the site meanwhile."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import psycopg

from bench.aftermath import Places, Struck, aftermath
from bench.crowd import plan as plans
from bench.report import say
from bench.site import BenchSite
from vgchub.local.fingerprint import HOUSE

DIVISION = "masters"
FEE_MINOR = 2500
PAGES_A_SECOND = 150  # at which those who wait for the start arrive
UNTIL_DRAWN = 15.0  # seconds from the last join until a fair start's order is drawn
FIRST_STRIKE = 5.0  # seconds after the joins began
WATCHED = 12.0  # seconds from one strike to the next
AWAY = 60.0  # seconds after which a strike is over, though not all sockets are back, and PostgreSQL has to be
TENDING = 0.1
END_OF_CAPTURES = 40.0

PLACES = """
SELECT e.player_id, e.number, e.place FROM registrations_queueentry e WHERE e.tournament_id = %s
"""
ENTRIES = "SELECT state, count(*) FROM registrations_queueentry WHERE tournament_id = %s GROUP BY state"
CAPTURING = "SELECT count(*) FROM payments_payment WHERE state = 'AUTHORISED'"


@dataclass(frozen=True)
class Wish:
    """What kind of rush: `mode` is fair_start or first_come; everybody joins within `seconds`."""

    players: int
    seats: int
    seconds: float
    mode: str
    minutes: float = 15  # it is given up after so long
    thinks: float = 6.0
    declined: float = 0.1


@dataclass(frozen=True)
class Strike:
    """Something done to the running site. `when` is joining, while players join, or paying, once seats are confirmed."""

    name: str
    do: Callable[[BenchSite], None]
    undo: Callable[[BenchSite], None] | None = None
    when: str = "joining"
    lasts: float = WATCHED
    without_stripe: bool = False  # then nobody can pay, and is told so


@dataclass
class Rush:
    """A rush that is prepared; `run` plays it."""

    site: BenchSite
    wish: Wish
    tournament_id: int
    plan: plans.Plan
    opens_at: float  # when offers may begin, in seconds since 1970
    struck: list[Struck] = field(default_factory=list)
    sold_out_at: float | None = None
    cpu: dict[str, dict[str, float]] = field(default_factory=dict)  # used until a moment, by its name

    def run(self, strikes: Sequence[Strike] = ()) -> dict[str, Any]:
        """Play until every seat is confirmed and all strikes are over, or it takes too long; returns the figures."""
        coming, given_up = list(strikes), True
        with _crowd(self.site) as crowd:
            ends = time.monotonic() + self.wish.minutes * 60
            struck: Strike | None = None
            while time.monotonic() < ends and not crowd.is_over:
                self.site.supervisor.tend()
                time.sleep(TENDING)
                self._look_at_cpu(crowd)
                if struck is not None and self._is_over(crowd):
                    struck = self._undo(struck)
                elif struck is None and coming and self._is_time_for(coming[0]):
                    struck = self._strike(coming.pop(0))
                if crowd.tells() and self._sold_out() and struck is None and not coming:
                    given_up = False
                    break
            if struck is not None:
                self._undo(struck)
            end = crowd.end()
        self._wait_for_captures()
        return {**self._figures(end), "given_up": given_up, "strikes_missed": len(coming)}

    def _look_at_cpu(self, crowd: "Crowd") -> None:
        """What each process has used when the joins begin, when the last has joined, and when the seats are gone."""
        moments = {
            "joining": time.time() >= self.plan.join_at,
            "joined": crowd.now.get("joined", 0) >= self.wish.players,
            "sold out": self.sold_out_at is not None,
        }
        for name, has_come in moments.items():
            if has_come and name not in self.cpu:
                self.cpu[name] = self.site.cpu_seconds()

    def _cpu_between(self, first: str, last: str) -> dict[str, float]:
        before, after = self.cpu.get(first, {}), self.cpu.get(last, {})
        return {name: round(after[name] - before[name], 1) for name in before if name in after}

    def _is_time_for(self, strike: Strike) -> bool:
        if strike.when == "joining":
            return time.time() >= self.plan.join_at + min(self.plan.seconds / 2, FIRST_STRIKE)
        return self._entries()["CONFIRMED"] >= min(5, self.wish.seats // 2)

    def _strike(self, strike: Strike) -> Strike:
        say(f"\nNow: {strike.name}")
        self.struck.append(Struck(strike.name, self._places(), time.monotonic(), without_stripe=strike.without_stripe))
        self.site.cpu_seconds()  # of what may end now
        strike.do(self.site)
        self.struck[-1].ends = time.monotonic() + strike.lasts
        return strike

    def _is_over(self, crowd: "Crowd") -> bool:
        """All sockets are to be back as well, so that the next strike's are its own."""
        late = time.monotonic() - self.struck[-1].ends
        return late >= 0 and (not crowd.now.get("away") or late > AWAY)

    def _undo(self, strike: Strike) -> None:
        if strike.undo is not None:
            strike.undo(self.site)
        last, after = self.struck[-1], self._places()
        last.ends = time.monotonic()
        # A draw gives places to those who had none.
        last.lost = sum(key not in after or place not in (None, after[key]) for key, place in last.before.items())

    def _sold_out(self) -> bool:
        if self.sold_out_at is None and self._entries()["CONFIRMED"] >= self.wish.seats:
            self.sold_out_at = time.time()
        return self.sold_out_at is not None and time.time() > self.sold_out_at + 5  # the last line is to be shown, too

    def _entries(self) -> Counter[str]:
        """How many there are, by state."""
        return Counter(dict(self._ask(ENTRIES, self.tournament_id)))

    def _places(self) -> Places:
        return {(player, number): place for player, number, place in self._ask(PLACES, self.tournament_id)}

    def _ask(self, query: str, *given: object) -> list[Any]:
        """On a connection of its own, tried again while PostgreSQL is away."""
        deadline = time.monotonic() + AWAY
        while True:
            try:
                with psycopg.connect(self.site.site.environment["DATABASE_URL"], connect_timeout=3) as connection:
                    return connection.execute(query, given).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                self.site.supervisor.tend()
                time.sleep(TENDING)

    def _wait_for_captures(self) -> None:
        """What was paid is captured a moment after its seat was confirmed."""
        ends = time.monotonic() + END_OF_CAPTURES
        while self._ask(CAPTURING)[0][0] and time.monotonic() < ends:
            self.site.supervisor.tend()
            time.sleep(TENDING)

    def _figures(self, end: dict[str, Any]) -> dict[str, Any]:
        first, last, joined = end["joined"]
        return {
            "mode": self.wish.mode,
            "players": self.wish.players,
            "seats": self.wish.seats,
            "seconds": self.wish.seconds,
            "errors": len(end["failed"]) + end["lost"] + len(end["wrong"]),
            "asked_to_wait": end["outcomes"].get("asked to wait", 0),
            "joined": joined,
            "joins_took_s": round(last - first, 1),
            **became_of(self.wish.seats, self._entries()),
            "sold_out_s": round(self.sold_out_at - self.opens_at, 1) if self.sold_out_at else None,
            "line_lag_s": end["line_lag_s"],
            "line_spread_s": end["spread_s"],
            "sockets_behind": end["sockets_behind"],
            "generator_share": end["generator_share"],
            "cpu_s_joining": self._cpu_between("joining", "joined"),
            "cpu_s_afterwards": self._cpu_between("joined", "sold out"),
            "steps": end["steps"],
            "outcomes": end["outcomes"],
            **({"failed": _most_common(end["failed"])} if end["failed"] else {}),
            **({"wrong": end["wrong"][:3]} if end["wrong"] else {}),
            **({"strikes": aftermath(self.struck, end)} if self.struck else {}),
        }


def became_of(seats: int, entries: Mapping[str, int]) -> dict[str, int]:
    """`confirmed`, `oversold` and `unsold` of so many seats, by how many entries there are in each state."""
    confirmed = entries.get("CONFIRMED", 0)
    return {
        "confirmed": confirmed,
        "oversold": max(0, confirmed + entries.get("OFFERED", 0) - seats),
        "unsold": max(0, seats - confirmed) if entries.get("WAITING") else 0,
    }


def prepare(site: BenchSite, wish: Wish) -> Rush:
    """Everything but the crowd: processes, a paid tournament that opens in time for all to arrive, accounts and sessions."""
    from bench.people import make_people, sessions  # noqa: PLC0415  Django is set up by now

    say("Starting web, live, clock, worker, beat, and the simulator")
    site.start_stripe()
    site.start("web", "live", "clock", "worker", "beat")
    site.manage("register_webhook")
    say(f"Making {wish.players:,} players")
    people = make_people(wish.players)
    keys = sessions(people)
    site.settle()
    now = time.time()
    join_at = float(int(now + max(6.0, wish.players / PAGES_A_SECOND)) + 2)
    opens_at = join_at + (wish.seconds + UNTIL_DRAWN if wish.mode == "fair_start" else 0)
    tournament_id, slug = _make_tournament(wish, join_at=join_at, opens_at=opens_at)
    plan = plans.Plan(
        port=site.port,
        live_port=site.site.live_port,
        slug=slug,
        arrive_at=now,
        join_at=join_at,
        seconds=wish.seconds,
        thinks=wish.thinks,
        declined=wish.declined,
    )
    crowd = [
        plans.Person(number, person.player, key, person.address)
        for number, (person, key) in enumerate(zip(people, keys, strict=True))
    ]
    plans.write(site.folder / "crowd.json", plan, crowd)
    return Rush(site, wish, tournament_id, plan, opens_at)


def _make_tournament(wish: Wish, *, join_at: float, opens_at: float) -> tuple[int, str]:
    """Joining is possible from `join_at` on: that is when a fair start's waiting room opens, or registration itself."""
    from tests.builders import make_tournament  # noqa: PLC0415

    opens = datetime.fromtimestamp(opens_at, UTC)
    room = datetime.fromtimestamp(join_at, UTC) if wish.mode == "fair_start" else None
    tournament = make_tournament(
        mode=wish.mode.upper(),
        seats={DIVISION: wish.seats},
        opens_at=opens,
        prequeue_opens_at=room,
        published_at=datetime.now(UTC) - timedelta(days=7),
        fee_minor=FEE_MINOR,
        offer_minutes=1,  # so that what is missed is offered again while somebody watches
        payment_minutes=5,
    )
    return tournament.pk, tournament.slug


class Crowd:
    """The process that plays, and what it said."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._said: list[dict[str, Any]] = []
        self._shown = 0
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    @property
    def now(self) -> dict[str, int]:
        """How it stands, by the latest word."""
        return self._said[-1].get("now", {}) if self._said else {}

    def tells(self) -> bool:
        """Show what is new; returns whether anything was."""
        if len(self._said) == self._shown:
            return False
        self._shown = len(self._said)
        words = "  ".join(f"{name} {count:,}" for name, count in self.now.items())
        print(f"\r{words}   ", end="", file=sys.stderr, flush=True)
        return True

    def end(self) -> dict[str, Any]:
        """Stop it; returns what it met. Raises RuntimeError if it died."""
        assert self._process.stdin is not None  # noqa: S101  a pipe was asked for
        with suppress(BrokenPipeError):
            print(file=self._process.stdin, flush=True)
        self._process.wait(60)
        self._reader.join(10)
        print(file=sys.stderr)
        last = self._said[-1] if self._said else {}
        if "end" not in last:
            raise RuntimeError("the crowd broke off: what it said is above")
        end: dict[str, Any] = last["end"]
        return end

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        for line in self._process.stdout:
            self._said.append(json.loads(line))


@contextmanager
def _crowd(site: BenchSite) -> Iterator[Crowd]:
    argv = [sys.executable, "-m", "bench.crowd", str(site.folder / "crowd.json")]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HOUSE)  # noqa: S603
    try:
        yield Crowd(process)
    finally:
        process.kill()
        process.wait()


def _most_common(failed: list[tuple[float, float, str]]) -> dict[str, int]:
    return dict(Counter(what for _sent, _broke, what in failed).most_common(12))
