"""What is left of a payment, and how far a tournament's cancelling has come."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Case, CharField, Count, Exists, F, OuterRef, QuerySet, Sum, Value, When

from payments.models import Dispute, Payment, Refund, SavedCard
from payments.rules import OPEN, RefundState
from registrations.models import QueueEntry
from registrations.rules import State

FROZEN = "FROZEN"  # a refund that is due, and waits for the end of a dispute
SETTLED = "SETTLED"  # a refund that failed, and whose money was given back another way


def card_on_file(entry: QueueEntry) -> SavedCard | None:
    """The entry's card as it is on file now; None without one, and for one that was asked to be removed."""
    cards = SavedCard.objects.filter(entry=entry, state=SavedCard.State.SAVED, due_at=None)
    return cards.first()


def given_back(payment: Payment) -> int:
    """What went back, is on its way, or is decided."""
    counted = payment.refunds.exclude(state=RefundState.FAILED).aggregate(sum=Sum("amount_minor"))
    return counted["sum"] or 0


def settled_another_way(payment: Payment) -> int:
    """What of failed refunds reached the player without Stripe; the payment keeps it there."""
    return payment.refunds.aggregate(sum=Sum("settled_minor"))["sum"] or 0


def lost_to_disputes(payment: Payment) -> int:
    """What cardholders' banks took for good."""
    return payment.disputes.filter(status="lost").aggregate(sum=Sum("amount_minor"))["sum"] or 0


def left_of(payment: Payment) -> int:
    """What can still be given back: neither kept by the rule, nor decided to go back, nor lost to a bank."""
    gone = payment.kept_minor + given_back(payment) + lost_to_disputes(payment)
    return max(0, payment.amount_minor - gone)


def is_overdrawn(payment: Payment) -> bool:
    """Whether a bank took so much for good that what was decided to go back can't all go back any more."""
    lost = lost_to_disputes(payment)
    return lost > 0 and payment.kept_minor + given_back(payment) + lost > payment.amount_minor


def is_frozen(payment: Payment) -> bool:
    """Whether a dispute is open: until its end nothing of the payment is refunded."""
    return Dispute.objects.open().filter(payment=payment.pk).exists()


def with_stage(refunds: "QuerySet[Refund]") -> "QuerySet[Any]":
    """Each refund with `stage`: its state, FROZEN where it is due and a dispute is open, or SETTLED."""
    open_dispute = Dispute.objects.open().filter(payment=OuterRef("payment"))
    frozen = When(Exists(open_dispute), state=RefundState.DUE, then=Value(FROZEN))
    settled = When(settled_at__isnull=False, then=Value(SETTLED))
    return refunds.annotate(stage=Case(frozen, settled, default=F("state"), output_field=CharField()))


@dataclass(frozen=True)
class RefundSum:
    """How many refunds stand at a stage (a RefundState, FROZEN or SETTLED), and what they come to."""

    stage: str
    currency: str
    count: int
    minor: int


@dataclass(frozen=True)
class CancellationProgress:
    """`seats`: still to be cancelled; `open_payments`: still to be closed or let go at Stripe; `refunds` by stage."""

    seats: int
    open_payments: int
    refunds: list[RefundSum]

    @property
    def is_done(self) -> bool:
        """Nothing is left that goes on by itself."""
        at_work = any(found.stage in (RefundState.DUE, RefundState.PENDING) for found in self.refunds)
        return not self.seats and not self.open_payments and not at_work


def cancellation_progress(tournament_id: int) -> CancellationProgress:
    """Three queries, whatever the number of seats."""
    refunds = with_stage(Refund.objects.filter(payment__entry__tournament=tournament_id)).order_by()
    moved = Case(When(settled_at__isnull=False, then=F("settled_minor")), default=F("amount_minor"))
    sums = refunds.values("stage", "payment__currency").annotate(count=Count("pk"), minor=Sum(moved))
    return CancellationProgress(
        seats=QueueEntry.objects.filter(tournament=tournament_id, state=State.CONFIRMED).count(),
        open_payments=Payment.objects.filter(entry__tournament=tournament_id, state__in=OPEN).count(),
        refunds=[
            RefundSum(row["stage"], row["payment__currency"], row["count"], row["minor"])
            for row in sums.order_by("stage", "payment__currency")
        ],
    )
