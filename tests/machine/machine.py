"""Everything that can happen to a tournament, in any order: a hypothesis state machine over all services.

After every step all invariants are asked, and the rows are compared with what that step may have changed: what one player does
concerns nobody else's entry, a pause changes none, a place stays.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from accounts.services.emails import mark_email_verified
from lottery import services as lottery
from lottery.models import Draw
from payments import services as payments
from payments.models import Payment
from registrations import services as queue
from registrations.models import QueueEntry
from registrations.queries import queue_position
from registrations.rules import LIVE, State
from registrations.standing import standings
from reports.invariants import INVARIANTS
from tests.builders import Mode
from tests.machine.money import Money
from tests.machine.played import facts
from tests.machine.site import BEGIN, CARDS, DAY, HOUR, MINUTE, SECOND, Seen, Site
from tests.payments.books import check_books, reconcile
from tests.payments.till import check_against_stripe, check_money, owed_by_hand
from tournaments import services as tournaments
from tournaments.models import PriorityMember, Seat

Steps = set[tuple[str, str]]

JOIN: Steps = {("", State.WAITING)}
LEAVE: Steps = {(state, State.LEFT) for state in (State.WAITING, State.OFFERED, State.PASSED)}
CONFIRM: Steps = {(State.OFFERED, State.CONFIRMED)}
LAPSE: Steps = {(State.OFFERED, State.PASSED), (State.OFFERED, State.LAPSED)}
CLOSE: Steps = {(state, State.CLOSED) for state in (State.WAITING, State.OFFERED, State.PASSED)}
TICK: Steps = {(State.WAITING, State.OFFERED), *LAPSE}
# A job may pay, unseat, lapse, close and cancel; it never offers.
WORK: Steps = {*CONFIRM, *LAPSE, *CLOSE, (State.CONFIRMED, State.OFFERED), (State.CONFIRMED, State.CANCELLED)}

players = st.integers(0, 7)
cards = st.sampled_from(["good", *CARDS])
STAFF_REASON = "for a test"


class Happenings(Money):
    """One example is one tournament. Subclasses say of which mode; the fee, and what was played so far, are the test's."""

    mode: ClassVar[Mode]
    site: ClassVar[Site]
    fee: ClassVar[int] = 0
    played: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, Seen] = {}
        self.untouched = True  # since everything was found to hold

    @initialize(
        seats=st.integers(1, 3),
        late=st.booleans(),
        early=st.integers(3, 8),
        waits=st.booleans(),
        wallet=st.lists(cards, min_size=1, max_size=3),
    )
    def open(self, seats: int, late: bool, early: int, waits: bool, wallet: Sequence[str]) -> None:
        """A crowd joins, before registration opens or just after; unless it waits, the first are offered a seat and take it."""
        self.site.open(self.mode, fee=self.fee, seats=seats)
        self.work_off()
        if not late:
            self.site.pass_to(BEGIN + 31 * MINUTE)
        for number in range(early):
            self.join(number)
        self.catch_up()
        if not waits:
            self.begin(wallet)

    def begin(self, wallet: Sequence[str]) -> None:
        """Cards go on file where that is wanted, the first offers are made, and some of them are taken up with these cards."""
        if self.site.saves_cards:
            for number, card in enumerate(wallet):
                self.put_a_card_on_file(number, card)
        while not self.any_in(State.OFFERED) and self.site.clock.now < BEGIN + 2 * HOUR:
            self.let_pass(10 * MINUTE)
        for card in wallet:
            if self.any_in(State.OFFERED):
                self.take_up(0, card, returns=True)
        self.work_off()

    # --- Players -----------------------------------------------------------------------------------------------

    @rule(number=players)
    def join(self, number: int) -> None:
        player = self.site.players[number]
        self.step(
            lambda: queue.join_queue(account=player.account, tournament=self.site.tournament, player_ids=[player.pk]),
            may=JOIN,
            of=player.pk,
        )

    @rule(number=players)
    @precondition(lambda self: self.any_in(State.WAITING, State.OFFERED, State.PASSED))
    def leave(self, number: int) -> None:
        entry = self.pick(number, State.WAITING, State.OFFERED, State.PASSED)
        self.step(
            lambda: queue.leave_queue(account=self.account(entry), public_id=entry.public_id),
            may=LEAVE,
            of=entry.player,
        )

    @rule(number=players)
    @precondition(lambda self: self.any_in(State.PASSED))
    def step_back_in(self, number: int) -> None:
        entry = self.pick(number, State.PASSED)
        self.step(
            lambda: queue.step_back_in(account=self.account(entry), public_id=entry.public_id),
            may={(State.PASSED, State.WAITING)},
            of=entry.player,
        )

    @rule(number=players, card=st.none() | cards, returns=st.booleans())
    @precondition(lambda self: self.any_in(State.OFFERED))
    def take_up(self, number: int, card: str | None, returns: bool) -> None:
        """And pay, perhaps; whoever paid comes back to the site, or closes the browser."""
        entry = self.pick(number, State.OFFERED)
        self.step(
            lambda: payments.start_payment(account=self.account(entry), public_id=entry.public_id),
            may=CONFIRM,
            of=entry.player,
        )
        payment = Payment.objects.live().filter(entry=entry.pk).exclude(checkout_url="").first()
        if payment and card:
            self.site.type_in(payment.checkout_url, card)
            if returns:
                self.step(lambda: payments.settle_payment(payment_id=payment.pk), may=CONFIRM | LAPSE, of=entry.player)

    @rule(number=players)
    @precondition(lambda self: self.any_in(State.CONFIRMED))
    def give_back(self, number: int) -> None:
        entry = self.pick(number, State.CONFIRMED)
        self.step(
            lambda: payments.cancel_and_refund(account=self.account(entry), public_id=entry.public_id),
            may={(State.CONFIRMED, State.CANCELLED)},
            of=entry.player,
        )

    @rule(number=players)
    def verify_address(self, number: int) -> None:
        account = self.site.players[number].account
        self.step(lambda: mark_email_verified(account=account, now=self.site.clock.now))

    # --- Organizers and staff ----------------------------------------------------------------------------------

    @rule(change=st.sampled_from([-2, -1, 1, 2]), senior=st.booleans(), reserved=st.booleans())
    def change_seats(self, change: int, senior: bool, reserved: bool) -> None:
        division = self.site.tournament.divisions.get(code="senior" if senior else "masters")
        group = self.site.group.pk if reserved else None
        seats = max(0, Seat.objects.filter(division=division, reserved_for=group).count() + change)
        self.step(
            lambda: queue.set_seats(
                division_id=division.pk, seats=seats, by=self.site.staff[0], reason=STAFF_REASON, group_id=group
            )
        )

    @rule()
    def pause_or_resume(self) -> None:
        paused = self.site.now_is().paused_at is not None
        act = queue.resume_tournament if paused else queue.pause_tournament
        self.step(lambda: act(tournament_id=self.site.tournament.pk, by=self.site.staff[0]))

    @rule(number=players)
    @precondition(lambda self: self.any_in(State.WAITING))
    def grant_seat(self, number: int) -> None:
        entry = self.pick(number, State.WAITING)
        self.step(
            lambda: queue.grant_seat(public_id=entry.public_id, by=self.site.staff[0], reason=STAFF_REASON),
            may={(State.WAITING, State.OFFERED)},
            of=entry.player,
        )

    @rule(number=players)
    @precondition(lambda self: self.any_in(*LIVE))
    def reject(self, number: int) -> None:
        entry = self.pick(number, *LIVE)
        self.step(
            lambda: queue.reject_entry(public_id=entry.public_id, by=self.site.staff[0], reason=STAFF_REASON),
            may={(state, State.REJECTED) for state in LIVE},
            of=entry.player,
        )

    @rule(number=players)
    @precondition(lambda self: self.site.fee and self.any_in(State.WAITING, State.OFFERED))
    def waive_fee(self, number: int) -> None:
        entry = self.pick(number, State.WAITING, State.OFFERED)
        self.step(lambda: queue.waive_fee(public_id=entry.public_id, by=self.site.staff[0], reason=STAFF_REASON))

    @rule(minutes=st.sampled_from([1, 30]))
    @precondition(lambda self: self.any_in(State.OFFERED))
    def extend_offers(self, minutes: int) -> None:
        self.step(
            lambda: queue.extend_offers(
                tournament_id=self.site.tournament.pk, minutes=minutes, by=self.site.staff[0], reason=STAFF_REASON
            )
        )

    @rule(number=players)
    def change_list(self, number: int) -> None:
        """Put a player on the group's list, or take the player off it, and let the line follow."""
        group, player_id = self.site.group.pk, self.site.players[number].player_id
        listed = PriorityMember.objects.filter(group=group, player_id=player_id).exists()

        def change() -> None:
            by = self.site.staff[0]
            if listed:
                tournaments.remove_members(group_id=group, player_ids=[player_id], by=by, reason=STAFF_REASON)
            else:
                tournaments.import_members(group_id=group, player_ids=[player_id], by=by)
            queue.regroup_entries(tournament_id=self.site.tournament.pk)

        self.step(change)

    @rule()
    @precondition(lambda self: self.any_in(State.CONFIRMED))
    def cancel_tournament(self) -> None:
        self.step(
            lambda: payments.cancel_tournament(
                tournament_id=self.site.tournament.pk, by=self.site.staff[0], reason=STAFF_REASON
            ),
            may=CLOSE,
        )

    # --- Draws -------------------------------------------------------------------------------------------------

    @rule()
    @precondition(lambda self: self.draw_is(Draw.State.OPEN))
    def seal_by_hand(self) -> None:
        draw = self.standing_draw()
        self.step(lambda: lottery.begin_sealing(draw_id=draw.pk, by=self.site.staff[0]))

    @rule()
    @precondition(lambda self: self.draw_is(Draw.State.SEALED, Draw.State.DRAWN))
    def void_draw(self) -> None:
        draw = self.standing_draw()

        def void() -> None:
            lottery.propose_void(draw_id=draw.pk, by=self.site.staff[0], reason=STAFF_REASON)
            lottery.void_draw(draw_id=draw.pk, by=self.site.staff[1])

        self.step(void, places_stay=False)

    # --- What runs beside the web, and what goes wrong with it -----------------------------------------------------

    @rule(number=st.integers(0, 1))
    def tick(self, number: int) -> None:
        dying = self.site.dying_at is not None
        self.step(lambda: self.site.tick(number), may=TICK, through_site=False)
        if not dying:
            self.look_at_free_seats()
            self.look_at_published_line()

    @rule()
    def work(self) -> None:
        self.work_off()

    @rule(order=st.sampled_from(["in order", "twice", "reversed", "half lost"]))
    @precondition(lambda self: self.site.fee)
    def webhooks_arrive(self, order: str) -> None:
        self.step(lambda: self.site.webhooks(order), may=WORK)

    @rule(statement=st.integers(1, 40), loses_redis=st.booleans())
    def something_dies(self, statement: int, loses_redis: bool) -> None:
        """Redis forgets everything, or whoever acts next is killed before that statement to the database."""
        if loses_redis:
            self.site.lose_redis()
            self.site.happened.add("Redis forgot everything")
        else:
            self.site.dying_at = statement

    @rule(
        path=st.sampled_from(["/v1/checkout/*", "/v1/payment_intents/*", "/v1/refunds*"]),
        when=st.sampled_from(["before", "after"]),
        times=st.integers(1, 2),
    )
    @precondition(lambda self: self.site.fee)
    def stripe_fails(self, path: str, when: str, times: int) -> None:
        """The next calls are answered by an error, some after having been carried out."""
        self.site.happened.add("Stripe was told to fail")
        self.site.till.fail(path, when=when, times=times)

    # --- Time ------------------------------------------------------------------------------------------------------

    @rule()
    def wait_for_what_is_due(self) -> None:
        """The next thing that is due by its row is due, and nobody has seen to it yet."""
        self.catch_up()
        self.site.pass_to(self.site.next_due(until=BEGIN + 12 * HOUR))

    @rule(minutes=st.sampled_from([5, 20, 60, 120]))
    def time_passes(self, minutes: int) -> None:
        """Everybody does what is due when it is due."""
        self.let_pass(minutes * MINUTE)

    @rule(minutes=st.sampled_from([1, 20, 60]))
    def be_away(self, minutes: int) -> None:
        """Nothing of the site runs for a while; then the clock comes back first, and there are minutes for what was put off."""
        self.site.happened.add("nothing ran for a while")
        self.site.be_away_until(self.site.clock.now + minutes * MINUTE)
        for _ in range(5):
            self.let_pass(MINUTE)

    def let_pass(self, time: timedelta) -> None:
        until = self.site.clock.now + time
        while self.site.clock.now < until:
            self.catch_up()
            self.site.pass_to(self.site.next_due(until=until))
        self.catch_up()

    def catch_up(self) -> None:
        """The clock and all workers do what is due now."""
        self.site.dying_at = None
        self.step(self.site.tick, may=TICK, through_site=False)
        self.work_off()

    def work_off(self) -> None:
        self.step(self.site.work, may=WORK, through_site=False)

    # --- Looking -------------------------------------------------------------------------------------------------

    def step(
        self,
        act: Callable[[], object],
        *,
        may: Steps | frozenset[tuple[str, str]] = frozenset(),
        of: int | None = None,
        places_stay: bool = True,
        through_site: bool = True,
    ) -> None:
        """Do it, and hold the entries against how they were: only the steps that it `may` cause, only `of` that player."""
        self.untouched = False
        before = self.seen
        if through_site:
            self.site.do(act)
        else:
            act()
        self.seen = self.site.look()
        assert before.keys() <= self.seen.keys(), "an entry vanished"
        for pk, now in self.seen.items():
            then = before.get(pk)
            if then == now:
                continue
            was = then.state if then else ""
            # A crowd of jobs may take an entry more than one step.
            assert was == now.state or (was, now.state) in closure(may), f"{now} was {was!r}"
            assert was == now.state or of in (None, now.player), f"{now} is not of player {of}"
            if places_stay and then and then.place is not None:
                assert now.place == then.place, f"{now} stood at {then.place}"

    @invariant()
    def everything_holds(self) -> None:
        if self.untouched:
            return
        self.site.clock.move(SECOND)
        self.nothing_is_violated()
        self.untouched = True

    def nothing_is_violated(self) -> None:
        """Ask the invariants. I4 stands, as it should, where a refund failed and a dead letter asks staff to look."""
        found = [f"{one.code}: {sentence}" for one in INVARIANTS for sentence in one.violations(None)]
        known = [f"of payment {payment_id} neither went back" for payment_id in owed_by_hand()]
        wrong = [one for one in found if not (one.startswith("I4:") and any(words in one for words in known))]
        assert not wrong, "\n".join(wrong)

    def look_at_free_seats(self) -> None:
        """After a tick nobody waits beside a seat that is free for them."""
        tournament, now = self.site.now_is(), self.site.clock.now
        begin = tournament.offers_begin_at if tournament.is_drawn_mode else now
        if (
            tournament.paused_at
            or tournament.cancelled_at
            or now >= tournament.offers_end_at
            or not begin
            or begin > now
        ):
            return
        free = set(Seat.objects.filter(entry=None).values_list("division", "reserved_for"))
        for entry in QueueEntry.objects.filter(state=State.WAITING, place__isnull=False).select_related(
            "player__account"
        ):
            if entry.player.account.email_verified_at is not None:
                mine = {(entry.division_id, None), (entry.division_id, entry.group_id)}
                assert not free & mine, f"{entry.public_id} waits beside a free seat"

    def look_at_published_line(self) -> None:
        """What was published says of everybody in line exactly how many stand before."""
        entries = list(QueueEntry.objects.in_line().select_related("tournament", "division", "seat"))
        found, _head = standings(self.site.tournament, entries)
        for standing in found:
            mine = standing.entry
            before = [
                e for e in entries
                if e.division_id == mine.division_id and (-e.priority, e.place) < (-mine.priority, mine.place)
            ]  # fmt: skip
            assert standing.position == len(before) + 1 == queue_position(mine)

    def teardown(self) -> None:
        """The end of every story: who did not get a seat is told so, and the money is where the seats are."""
        if not self.untouched:
            return  # it ends by an error
        if self.site.fee:
            self.site.till.heal()
            self.site.behave()
            self.banks_decide_all()
            self.compare_with_stripe()
        if self.site.now_is().paused_at:
            self.step(lambda: queue.resume_tournament(tournament_id=self.site.tournament.pk, by=self.site.staff[0]))
        self.let_pass(self.site.tournament.offers_end_at - BEGIN + 3 * HOUR)
        if self.site.fee:
            self.compare_with_stripe()  # a refund may have come back since anybody asked: its webhook arrives here only when called
        self.nothing_is_violated()
        forgotten = self.any_in(*LIVE, but=State.CONFIRMED)
        assert not forgotten, f"registration is over, and these don't know: {forgotten}"
        if self.site.fee:
            check_money()
            check_against_stripe(self.site.till)
            check_books(self.site.till, BEGIN - DAY, self.site.clock.now + DAY)
        self.played.update([*facts(), *self.site.happened])

    def compare_with_stripe(self) -> None:
        """As every night."""
        self.step(lambda: reconcile(BEGIN - DAY, self.site.clock.now + DAY), may=WORK, through_site=False)

    # --- Who ---------------------------------------------------------------------------------------------------------

    def any_in(self, *states: str, but: str = "") -> list[Seen]:
        return [entry for entry in self.seen.values() if entry.state in states and entry.state != but]

    def pick(self, number: int, *states: str) -> Seen:
        found = self.any_in(*states)
        return found[number % len(found)]

    def account(self, entry: Seen) -> Any:
        return next(player.account for player in self.site.players if player.pk == entry.player)

    def standing_draw(self) -> Draw:
        return Draw.objects.standing().get()

    def draw_is(self, *states: str) -> bool:
        return self.mode != Mode.FIRST_COME and Draw.objects.standing().filter(state__in=states).exists()


def closure(steps: Iterable[tuple[str, str]]) -> Steps:
    """All steps, and what comes of one after another."""
    found = set(steps)
    while more := {(a, d) for a, b in found for c, d in found if b == c and a != d} - found:
        found |= more
    return found


class FirstCome(Happenings):
    """Seats in the order of arrival, in two lanes."""

    mode = Mode.FIRST_COME


class FairStart(Happenings):
    """The order of all who were there at the opening is drawn; who comes later stands behind."""

    mode = Mode.FAIR_START


class Lottery(Happenings):
    """The order is drawn of all who entered."""

    mode = Mode.LOTTERY
