"""One tournament with its people and its organizers, what runs beside the web, and what a look at its rows shows."""

import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_redis import get_redis_connection

from accounts.models import Player, User
from payments.models import Payment, Refund, StripeEvent
from registrations import clock as ticking
from registrations.clock import Clock as Ticker
from registrations.models import Heartbeat
from registrations.publisher import LinePublisher
from registrations.services import notices
from tests.builders import BIRTH_DATE, Mode, make_group, make_organization, make_staff, make_tournament
from tests.databases import Emptier
from tests.machine.clock import Clock, clock_in_hand
from tests.machine.processes import Jobs, killed_at
from tests.payments.till import Till
from tests.sealing import seal_all_history
from tournaments.models import Tournament
from vgchub.errors import RefusedError

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# A Monday noon far from any change of the clocks; the same in every run, since the night of the venue counts.
BEGIN = datetime(2030, 6, 3, 10, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)

# When each tournament's registration opens and closes, counted from the beginning.
TIMES: dict[str, dict[str, Any]] = {
    Mode.FIRST_COME: {"opens_at": BEGIN + 30 * MINUTE, "closes_at": BEGIN + 3 * HOUR},
    Mode.FAIR_START: {
        "prequeue_opens_at": BEGIN - HOUR,
        "opens_at": BEGIN + 30 * MINUTE,
        "closes_at": BEGIN + 3 * HOUR,
    },
    Mode.LOTTERY: {"opens_at": BEGIN - HOUR, "closes_at": BEGIN + HOUR, "seals_at": BEGIN + HOUR + 10 * MINUTE},
}
SETTINGS: dict[str, Any] = {
    "offers_end_at": BEGIN + 8 * HOUR,
    "starts_at": BEGIN + 48 * HOUR,
    "ends_at": BEGIN + 60 * HOUR,
    "published_at": BEGIN - 48 * HOUR,
    "entropy": "COMMIT_REVEAL",
    "objection_minutes": 10,
    "late_offer_hours": 1,
    "refund_kept_percent": 20,
    "refund_until": BEGIN + 6 * HOUR,
}
FEE = 2500
# Whether a person's address is verified, and the division: two of a group, one who still has to verify.
CAST = (("masters", True),) * 5 + (("senior", True),) * 2 + (("masters", False),)
LISTED = (1, 4)


@dataclass(frozen=True)
class Seen:
    """An entry as a look at its row shows it."""

    pk: int
    public_id: str
    player: int
    division: int
    group: int | None
    priority: int
    place: int | None
    state: str
    seat: int | None


LOOK = """
SELECT id, public_id, player_id, division_id, group_id, priority, place, state, seat_id
FROM registrations_queueentry ORDER BY number
"""

# Whatever has a time at which it is due.
NEXT = """
SELECT min(at) FROM (
    SELECT unnest(ARRAY[prequeue_opens_at, opens_at, opens_at - interval '20 minutes', closes_at, seals_at, offers_end_at,
                        refund_until, drawn_at + make_interval(mins => objection_minutes)]) AS at
    FROM tournaments_tournament
    UNION ALL SELECT unnest(ARRAY[offer_expires_at, hold_until]) FROM registrations_queueentry
    UNION ALL SELECT due_at FROM registrations_notice WHERE mailed_at IS NULL
) due WHERE at >= %s
"""


@dataclass
class Site:
    """Everything that one example plays with."""

    clock: Clock
    till: Till
    emptier: Emptier
    jobs: Jobs = field(default_factory=Jobs)
    shop_ahead: int = 0
    chance: random.Random = field(default_factory=random.Random)

    def open(self, mode: Mode, *, fee: int, seats: int) -> None:
        """Begin anew: an empty site with one tournament, at the beginning of time."""
        self.chance.seed(0)
        self.emptier.empty()
        self.lose_redis()
        self.fee = fee
        self.shop_ahead = 0
        if fee:
            self.till.shop.control("reset")
        self.clock.set(BEGIN)
        self.tell_the_shop()
        self.tickers = [Ticker(), Ticker()]
        for ticker in self.tickers:
            ticker.publisher = LinePublisher(pause=0)  # what moved is published by the next tick
        self.dying_at: int | None = None
        self.staff = [make_staff(), make_staff()]
        self.tournament = make_tournament(
            mode=mode,
            seats={"masters": seats, "senior": 1},
            organization=make_organization(),
            fee_minor=fee,
            **SETTINGS,
            **TIMES[mode],
        )
        self._make_people()
        early: dict[str, Any] = (
            {"priority": 10, "opens_early_minutes": 20} if mode == Mode.FIRST_COME else {"tickets": 3}
        )
        self.group = make_group(
            self.tournament, members=tuple(self.players[n] for n in LISTED), reserved={"masters": 1}, **early
        )
        self.divisions = {division.pk: division for division in self.tournament.divisions.all()}

    def _make_people(self) -> None:
        accounts = User.objects.bulk_create(
            User(email=f"player{n}@players.example", email_verified_at=BEGIN - 48 * HOUR if verified else None)
            for n, (_division, verified) in enumerate(CAST)
        )
        self.players = Player.objects.bulk_create(
            Player(
                account=account,
                display_name=f"Player {n}",
                player_id=f"{1000 + n}",
                country="DE",
                birth_date=BIRTH_DATE[division],
            )
            for n, (account, (division, _verified)) in enumerate(zip(accounts, CAST, strict=True))
        )

    def look(self) -> dict[int, Seen]:
        """All entries by id, in the order of arrival."""
        with connection.cursor() as cursor:
            cursor.execute(LOOK)
            return {row[0]: Seen(*row) for row in cursor.fetchall()}

    def now_is(self) -> Tournament:
        """The tournament as it stands."""
        self.tournament.refresh_from_db()
        return self.tournament

    def lose_redis(self) -> None:
        """Cache, counts, the published line, and the jobs that wait."""
        get_redis_connection("default").flushdb()
        self.jobs.waiting.clear()

    # --- Doing something ---------------------------------------------------------------------------------------

    def do(self, act: Callable[[], object]) -> None:
        """Somebody does something. It may be refused; and the process dies in it if that is what was decided before."""
        death, self.dying_at = self.dying_at, None
        with nullcontext() if death is None else killed_at(death):
            try:
                act()
            except RefusedError:
                return

    # --- Time --------------------------------------------------------------------------------------------------

    def pass_to(self, moment: datetime) -> None:
        """It becomes as late, while everything runs and finds nothing more to do."""
        seal_all_history()
        self.clock.set(moment)
        self.tell_the_shop()
        Heartbeat.objects.update(beat_at=self.clock.now)

    def be_away_until(self, moment: datetime) -> None:
        """It becomes as late, and nothing of the site runs meanwhile."""
        self.clock.set(moment)
        self.tell_the_shop()

    def next_due(self, *, until: datetime) -> datetime:
        """A second after the next thing is due by its row, at least half a minute from now; `until` if nothing is.

        No longer than ten minutes from now while calls to Stripe are due some time: no sweep is later than that.
        """
        with connection.cursor() as cursor:
            cursor.execute(NEXT, [self.clock.now])
            due: datetime | None = cursor.fetchone()[0]
        moments = [until, max(due + SECOND, self.clock.now + 30 * SECOND)] if due else [until]
        return min(*moments, self.clock.now + 10 * MINUTE) if self._awaits_stripe() else min(moments)

    def _awaits_stripe(self) -> bool:
        open_refunds = Refund.objects.filter(due_at__isnull=False)
        unread = StripeEvent.objects.filter(handled_at=None)
        return bool(self.fee) and any(rows.exists() for rows in (Payment.objects.open(), open_refunds, unread))

    def tell_the_shop(self) -> None:
        """Stripe's clock goes with ours."""
        if self.fee:
            more = round(self.clock.now.timestamp() - time.time()) - self.shop_ahead
            self.till.shop.control("clock", advance=more)
            self.shop_ahead += more

    # --- What runs beside the web --------------------------------------------------------------------------------

    def tick(self, number: int = 0) -> None:
        """One of the clocks ticks, and does all that a tick can do."""
        ticker = self.tickers[number]
        ticker.beat_at = float("-inf")
        self.do(ticker.tick)

    def work(self) -> None:
        """Beat and workers do all that is due."""
        self.jobs.beat()
        self.jobs.work(self.do)


@contextmanager
def whole_site(till: Till, url: str) -> Iterator[Site]:
    """A site for example after example.

    What is secret elsewhere comes from a generator that begins anew with each, so that an example can be played again.
    """
    with clock_in_hand(BEGIN) as clock, pytest.MonkeyPatch.context() as patch:
        site = Site(clock, till, Emptier(url))
        patch.setattr(timezone, "now", lambda: clock.now)
        for module in (ticking, notices):  # what they log and try again later is a fault here
            patch.setattr(module.logger, "exception", _raise_again)
        patch.setattr(secrets, "token_bytes", lambda size=32: site.chance.randbytes(size))
        patch.setattr(secrets, "token_hex", lambda size=32: site.chance.randbytes(size).hex())
        with site.jobs.instead_of_the_broker():
            yield site


def _raise_again(*_message: object) -> None:
    raise  # noqa: PLE0704  called where an exception is being logged
