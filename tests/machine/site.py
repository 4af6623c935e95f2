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
import requests
from django.db import connection
from django.utils import timezone
from django_redis import get_redis_connection

from accounts.models import Player, User
from payments import services as payments
from payments.models import Dispute, Payment, Refund, SavedCard, StripeEvent
from registrations import clock as ticking
from registrations.clock import Clock as Ticker
from registrations.models import Heartbeat
from registrations.publisher import LinePublisher
from registrations.services import notices
from tests.builders import BIRTH_DATE, Mode, make_group, make_organization, make_staff, make_tournament
from tests.databases import Emptier
from tests.machine.clock import Clock, clock_in_hand
from tests.machine.processes import Jobs, killed_at
from tests.payments.till import DECLINED, GOOD, Till, handle_events
from tests.sealing import seal_all_history
from tournaments import queries
from tournaments.models import Tournament
from vgchub.errors import RefusedError

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
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
    "late_offer_hours": 2,
    "decline_hours": 1,
    "refund_kept_percent": 20,
    "refund_until": BEGIN + 6 * HOUR,
}
FEE = 2500
# What can be typed into Stripe's page, by what the card's bank does.
CARDS = {
    "good": GOOD,
    "declined": DECLINED,
    "declined later": "4000000000000341",
    "wants authentication": "4000002760003184",
    "refunds take a while": "4000000000007726",
    "refunds fail": "4000000000005126",
    "is disputed": "4000000000000259",
    "is reported as stolen": "4000000000005423",
}
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
    UNION ALL SELECT unnest(ARRAY[due_at, charge_due_at]) FROM payments_savedcard
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
    mischief: dict[str, Any] = field(default_factory=dict)  # how Stripe misbehaves, if it does
    happened: set[str] = field(default_factory=set)  # in this example, and not to be seen in the database
    chance: random.Random = field(default_factory=random.Random)

    def open(self, mode: Mode, *, fee: int, seats: int) -> None:
        """Begin anew: an empty site with one tournament, at the beginning of time."""
        self.chance.seed(0)
        self.emptier.empty()
        queries._known.clear()  # of the tournament before, which had the same address
        self.lose_redis()
        self.fee = fee
        self.saves_cards = bool(fee) and mode == Mode.LOTTERY
        self.shop_ahead = 0
        self.mischief = {}
        self.happened = set()
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
            saves_cards=self.saves_cards,
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
        with nullcontext() if death is None else killed_at(death, noted_in=self.happened):
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

    # --- Money ---------------------------------------------------------------------------------------------------

    def misbehave(self) -> None:
        if self.mischief:
            self.till.shop.control("misbehave", **self.mischief)

    def behave(self) -> None:
        self.mischief = {}
        self.till.shop.control("misbehave", verb="DELETE")

    @contextmanager
    def test_asks(self) -> Iterator[None]:
        """The test's own questions to Stripe are answered; what it was told to do to the site's still comes."""
        faults = self.till.shop.control("misbehave", verb="DELETE")["faults"]
        self.till.heal()
        yield
        for fault in faults:
            self.till.shop.control("faults", **fault)
        self.misbehave()

    def webhooks(self, order: str) -> None:
        """All events so far arrive: in order, each twice, the newest first, or only every second one."""
        with self.test_asks():
            events = self.till.events()
        arriving = {
            "in order": events,
            "twice": [event for event in events for _again in range(2)],
            "reversed": events[::-1],
            "half lost": events[::2],
        }
        for event in arriving[order]:
            payments.receive_event(event)
        handle_events()

    def save_card(self, public_id: str, card: str) -> None:
        """As its player does on Stripe's page; whoever comes back to the site or not."""
        asked = SavedCard.objects.filter(entry__public_id=public_id, state=SavedCard.State.ASKED).first()
        if asked is None or not asked.checkout_url:
            return
        self.type_in(asked.checkout_url, card)

    def type_in(self, page: str, card: str) -> None:
        """A card, on a page of Stripe's; and its holder says yes where the bank asks."""
        form = {"number": CARDS[card], "expiry": "12 / 40", "cvc": "123", "email": "alice@example.com"}
        answer = requests.post(page, form, allow_redirects=False, timeout=20)
        if answer.headers.get("location", "").endswith("authenticate"):
            requests.post(f"{page}/authenticate", {"result": "complete"}, allow_redirects=False, timeout=20)

    def dispute(self, payment: Payment, *, inquiry: bool, part: bool) -> None:
        """A cardholder goes to the bank about what did not go back yet, or half of it, if there is something to dispute."""
        with self.test_asks():
            charge = self.till.charge(payment)
        left = charge.amount - charge.amount_refunded
        if charge.captured and not charge.disputed and left > 1:
            self.till.shop.control("disputes", charge=charge.id, inquiry=inquiry, amount=left // 2 if part else left)

    def decide(self, dispute: Dispute, status: str) -> None:
        """The bank decides, if Stripe does not know better by now."""
        with self.test_asks():
            known = self.till.shop.v1.disputes.retrieve(dispute.stripe_id).status
        if known == dispute.status and known != status:
            self.till.shop.control("disputes", dispute=dispute.stripe_id, status=status)

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
