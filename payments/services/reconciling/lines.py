"""Stripe's balance transactions become lines of our books, each with the payment that it is of."""

from collections.abc import Collection, Sequence

from payments.gateway import Listing, Transaction
from payments.models import Dispute, LedgerLine, Payment, Refund
from payments.rules import DISPUTE_TAKES, RefundState, State
from payments.services.reconciling.rows import Rows


def write_lines(account: str, items: Sequence[Transaction]) -> dict[str, Payment]:
    """Note what Stripe booked; lines that are known stay as they are. Returns the payments of ours by balance transaction."""
    rows = Rows(account, items)
    payments = {item.id: payment for item in items if (payment := rows.payment_of(item))}
    LedgerLine.objects.bulk_create(
        [_line(account, item, payments.get(item.id)) for item in items], ignore_conflicts=True
    )
    return payments


def _line(account: str, item: Transaction, payment: Payment | None) -> LedgerLine:
    return LedgerLine(
        stripe_id=item.id,
        stripe_account=account,
        payment=payment,
        category=item.category[:64],
        source=item.source,
        amount_minor=item.amount_minor,
        fee_minor=item.fee_minor,
        net_minor=item.net_minor,
        currency=item.currency,
        booked_at=item.booked_at,
        available_at=item.available_at,
    )


_CAME_BACK = ("won", "prevented")  # how a chargeback ends that gives the money back

# What a line of a category is of, and the states of its row by which we know of the line.
_TELLS: dict[str, tuple[Listing, Collection[str]]] = {
    "charge": (Listing.INTENTS, (State.CAPTURED,)),
    "refund": (Listing.REFUNDS, (RefundState.PENDING, RefundState.SUCCEEDED, RefundState.FAILED)),
    "refund_failure": (Listing.REFUNDS, (RefundState.FAILED,)),
    "dispute": (Listing.DISPUTES, (*DISPUTE_TAKES, *_CAME_BACK)),
    "dispute_reversal": (Listing.DISPUTES, _CAME_BACK),
}


def doubtful(items: Sequence[Transaction], payments: dict[str, Payment]) -> list[tuple[Listing, str]]:
    """What moved money though our rows don't say so: to be looked at, however long ago it was made."""
    ours = [(item, payments[item.id]) for item in items if item.id in payments and item.category in _TELLS]
    sources = [item.source for item, _payment in ours]
    states = dict(Refund.objects.filter(stripe_id__in=sources).values_list("stripe_id", "state"))
    states |= dict(Dispute.objects.filter(stripe_id__in=sources).values_list("stripe_id", "status"))
    found: dict[tuple[Listing, str], None] = {}  # each once, in order
    for item, payment in ours:
        listing, telling = _TELLS[item.category]
        is_charge = listing == Listing.INTENTS
        if (payment.state if is_charge else states.get(item.source)) not in telling:
            found[(listing, item.intent if is_charge else item.source)] = None
    return list(found)
