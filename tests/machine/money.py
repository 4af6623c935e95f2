"""What players, banks, Stripe and staff do with money, in any order; `Happenings` plays it with all the rest."""

from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from payments import services as payments
from payments.models import DeadLetter, Dispute, Payment, Reconciliation, Review
from payments.rules import CHARGEBACK_OPEN, DISPUTE_OPEN, LetterKind, LetterState, State
from registrations import rules as entries
from tests.machine.processes import COMPARING
from tests.machine.site import MINUTE, Seen, Site
from tests.payments.books import check_differences

Steps = set[tuple[str, str]]

REASON = "for a test"
# What goes wrong of the requests; hosted pages and the tests' own questions always get through.
MISCHIEF = ["error_before", "error_after", "rate_limit", "cut_before", "cut_after"]
MOST_MINUTES = 60  # for a comparison with a Stripe that misbehaves: I12 says so
numbers = st.integers(0, 7)


class Money(RuleBasedStateMachine):
    """Rules about money. The site, and a step that is held against what it may change, are `Happenings`'."""

    site: ClassVar[Site]
    step: Callable[..., None]
    work_off: Callable[[], None]
    let_pass: Callable[..., None]
    nothing_is_violated: Callable[[], None]
    account: Callable[[Seen], Any]
    any_in: Callable[..., list[Seen]]
    pick: Callable[..., Seen]

    # --- Cards on file -----------------------------------------------------------------------------------------

    @rule(number=numbers, card=st.sampled_from(["good", "declined later", "wants authentication"]))
    @precondition(lambda self: self.site.fee and self.site.saves_cards and self.any_in(entries.State.WAITING))
    def put_a_card_on_file(self, number: int, card: str) -> None:
        entry = self.pick(number, entries.State.WAITING)
        self.step(lambda: payments.ask_for_card(account=self.account(entry), public_id=entry.public_id))
        self.site.save_card(entry.public_id, card)

    @rule(number=numbers)
    @precondition(lambda self: self.site.fee and self.site.saves_cards and self.any_in(entries.State.WAITING))
    def take_the_card_off(self, number: int) -> None:
        entry = self.pick(number, entries.State.WAITING)
        self.step(lambda: payments.remove_card(account=self.account(entry), public_id=entry.public_id))

    # --- Banks ---------------------------------------------------------------------------------------------------

    @rule(number=numbers, inquiry=st.booleans(), part=st.booleans())
    @precondition(lambda self: self.site.fee and self._disputable())
    def cardholder_disputes(self, number: int, inquiry: bool, part: bool) -> None:
        found = self._disputable()
        payment = found[number % len(found)]
        self.site.dispute(payment, inquiry=inquiry, part=part)

    @rule(number=numbers, status=st.sampled_from(["won", "lost", "under_review", "warning_closed", "needs_response"]))
    @precondition(lambda self: self.site.fee and Dispute.objects.filter(status__in=DISPUTE_OPEN).exists())
    def bank_decides(self, number: int, status: str) -> None:
        found = list(Dispute.objects.filter(status__in=DISPUTE_OPEN).order_by("pk"))
        dispute = found[number % len(found)]
        fits = status.startswith("warning") or status == "needs_response"
        if fits != (dispute.status in CHARGEBACK_OPEN):
            self.site.decide(dispute, status)

    def _disputable(self) -> list[Payment]:
        return list(Payment.objects.filter(state=State.CAPTURED, disputes=None).order_by("pk"))

    def banks_decide_all(self) -> None:
        """Every second chargeback is won. Whether the site knows of it yet or not."""
        disputes = self.site.till.shop.v1.disputes.list({"limit": 100}).data
        for number, dispute in enumerate(one for one in disputes if one.status in DISPUTE_OPEN):
            chargeback = "lost" if number % 2 else "won"
            status = chargeback if dispute.status in CHARGEBACK_OPEN else "warning_closed"
            self.site.till.shop.control("disputes", dispute=dispute.id, status=status)

    # --- Stripe --------------------------------------------------------------------------------------------------

    @rule(seed=st.integers(0, 1000), share=st.sampled_from([0.1, 0.3]))
    @precondition(lambda self: self.site.fee)
    def stripe_misbehaves(self, seed: int, share: float) -> None:
        """From now on, until it behaves again: the same for the same seed."""
        self.site.mischief = {"seed": seed, "share": share, "kinds": MISCHIEF}
        self.site.misbehave()

    @rule()
    @precondition(lambda self: self.site.fee and self.site.mischief)
    def stripe_behaves(self) -> None:
        self.site.behave()

    @rule()
    @precondition(lambda self: self.site.fee)
    def reconcile(self) -> None:
        """What Stripe has is held against the rows, again where it does not answer; then nothing differs."""
        for _minute in range(MOST_MINUTES):
            self.site.jobs.start(COMPARING)
            self.work_off()
            if not Reconciliation.objects.filter(ended_at=None).exists():
                self.nothing_is_violated()
                check_differences()
                return
            self.let_pass(MINUTE)
        raise AssertionError(f"Comparing does not end: {Reconciliation.objects.get(ended_at=None).error}")

    # --- Staff ---------------------------------------------------------------------------------------------------

    @rule(number=numbers, approve=st.booleans())
    @precondition(lambda self: self.site.fee and Review.objects.filter(state=Review.State.OPEN).exists())
    def review_is_decided(self, number: int, approve: bool) -> None:
        found = list(Review.objects.filter(state=Review.State.OPEN).select_related("entry").order_by("pk"))
        review = found[number % len(found)]
        decide = payments.approve_review if approve else payments.reject_review
        self.step(
            lambda: decide(review_id=review.pk, by=self.site.staff[0], reason=REASON),
            may=set() if approve else {(state, entries.State.REJECTED) for state in entries.LIVE},
            of=review.entry.player_id,
        )

    @rule(number=numbers, part=st.booleans())
    @precondition(lambda self: self.site.fee and self._captured())
    def staff_refund(self, number: int, part: bool) -> None:
        """A part as goodwill, or the seat with half of the money."""
        found = self._captured()
        payment = found[number % len(found)]
        refund = payments.refund_part if part else payments.take_seat_back
        self.step(
            lambda: refund(
                payment_id=payment.pk, amount_minor=payment.amount_minor // 2, by=self.site.staff[0], reason=REASON
            ),
            may=set() if part else {(entries.State.CONFIRMED, entries.State.CANCELLED)},
            of=payment.entry.player_id,
        )

    @rule(number=numbers, again=st.booleans())
    @precondition(lambda self: self.site.fee and self._letters())
    def dead_letter_is_decided(self, number: int, again: bool) -> None:
        """Money that did not go back is always tried again."""
        found = self._letters()
        letter = found[number % len(found)]
        decide = payments.retry_letter if again or letter.kind == LetterKind.REFUND else payments.dismiss_letter
        self.step(lambda: decide(letter_id=letter.pk, by=self.site.staff[0], reason=REASON))

    def _letters(self) -> list[DeadLetter]:
        return list(DeadLetter.objects.filter(state=LetterState.OPEN).order_by("pk"))

    def _captured(self) -> list[Payment]:
        return list(Payment.objects.filter(state=State.CAPTURED).select_related("entry").order_by("pk"))
