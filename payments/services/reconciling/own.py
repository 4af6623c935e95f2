"""The other way round: what our rows name has to be at Stripe, what is overdue is looked at, and the books have to add up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from payments.gateway import Listing
from payments.gateway.books import PAGE
from payments.models import Discrepancy, Dispute, LedgerLine, Payment, Reconciliation, Refund
from payments.queries import unexplained
from payments.rules import OPEN, REFUND_OPEN, Finding
from payments.services.reconciling import listing as discrepancies
from payments.services.reconciling.looking import Looker
from payments.services.refunding import refund_payment
from payments.services.sweeping import advance
from tournaments.queries import database_now

OVERDUE = timedelta(minutes=1)  # the sweep has had its time
OF_A_PAYMENT = "payment "  # how a difference in the books of a payment is named


def settle_payments(run: Reconciliation, after: int) -> tuple[int, list[int]]:
    """A page of payments that were begun, authorised, captured or ended in the time, or of which Stripe booked something in it.

    What is in the books was seen at Stripe; what is not, is asked for. Returns (repaired, their ids).

    Raises:
        GatewayAwayError
    """
    moments = ("created_at", "authorised_at", "captured_at", "ended_at")
    booked = LedgerLine.objects.filter(payment=OuterRef("pk"))
    booked_now = LedgerLine.objects.filter(_in_time(run, ["booked_at"]), stripe_account=run.stripe_account)
    is_touched = _in_time(run, moments) | Q(pk__in=booked_now.values("payment"))
    rows = Payment.objects.filter(is_touched, stripe_account=run.stripe_account, pk__gt=after)
    page: list[Any] = list(rows.annotate(is_booked=Exists(booked)).order_by("pk")[:PAGE])
    now, looker, repaired = database_now(), Looker(run.stripe_account), 0
    for payment in page:
        if payment.state in OPEN and _is_overdue(payment.due_at, payment.taken_until, now):
            advance(payment_id=payment.pk)
        if payment.intent and not payment.is_booked:
            repaired += looker.settle_by_id(Listing.INTENTS, payment.intent)
    _note_books(run.stripe_account, [payment.pk for payment in page if payment.is_booked])
    return repaired, [payment.pk for payment in page]


def settle_refunds(run: Reconciliation, after: int) -> tuple[int, list[int]]:
    """The same for refunds that were decided or done in the time.

    Raises:
        GatewayAwayError
    """
    booked = LedgerLine.objects.filter(source=OuterRef("stripe_id"), payment=OuterRef("payment"))
    rows = Refund.objects.filter(
        _in_time(run, ("created_at", "ended_at")), payment__stripe_account=run.stripe_account, pk__gt=after
    )
    page: list[Any] = list(rows.annotate(is_booked=Exists(booked)).order_by("pk")[:PAGE])
    now, looker, repaired = database_now(), Looker(run.stripe_account), 0
    for refund in page:
        if refund.state in REFUND_OPEN and _is_overdue(refund.due_at, refund.taken_until, now):
            refund_payment(refund_id=refund.pk)
        if refund.stripe_id and not refund.is_booked:
            repaired += looker.settle_by_id(Listing.REFUNDS, refund.stripe_id)
    return repaired, [refund.pk for refund in page]


def settle_disputes(run: Reconciliation, after: int) -> tuple[int, list[int]]:
    """Ask Stripe for each dispute that is open here, however long ago it began: the news of its end may have been lost.

    They last for weeks, so that the comparison of the last hours leaves them to the others.

    Raises:
        GatewayAwayError
    """
    if run.kind == Reconciliation.Kind.RECENT:
        return 0, []
    rows = Dispute.objects.open().filter(payment__stripe_account=run.stripe_account, pk__gt=after)
    page = list(rows.order_by("pk")[:PAGE])
    looker = Looker(run.stripe_account)
    repaired = sum(looker.settle_by_id(Listing.DISPUTES, dispute.stripe_id) for dispute in page)
    return repaired, [dispute.pk for dispute in page]


def settle_listed(run: Reconciliation, after: int) -> tuple[int, list[int]]:
    """Look again at what is listed and was not found by this comparison: it may have been set right meanwhile.

    Raises:
        GatewayAwayError
    """
    listed = Discrepancy.objects.filter(
        stripe_account=run.stripe_account, resolved_at=None, last_seen_at__lt=run.started_at, pk__gt=after
    )
    page = list(listed.order_by("pk")[:PAGE])
    looker = Looker(run.stripe_account)
    for one in page:
        if one.kind != Finding.BOOKS:
            looker.look_again(one)
        elif one.payment_id not in _note_books(run.stripe_account, [one.payment_id or 0]):
            discrepancies.close(one.pk)
    return 0, [one.pk for one in page]


def _note_books(account: str, payment_ids: list[int]) -> dict[int, int]:
    """List payments with money in their books that no other difference of theirs explains."""
    wrong = unexplained(payment_ids)
    known = Discrepancy.objects.filter(payment__in=wrong, resolved_at=None).exclude(kind=Finding.BOOKS)
    for payment_id in known.values_list("payment_id", flat=True):
        wrong.pop(payment_id or 0, None)
    for payment_id, minor in wrong.items():
        says = _("By our rows it is %(minor)s (in the smallest unit) more than Stripe has booked.") % {"minor": minor}
        discrepancies.note(account, Finding.BOOKS, f"{OF_A_PAYMENT}{payment_id}", payment_id, says)
    return wrong


def _in_time(run: Reconciliation, moments: Sequence[str]) -> Q:
    found = Q()
    for moment in moments:
        found |= Q(**{f"{moment}__gte": run.since, f"{moment}__lt": run.until})
    return found


def _is_overdue(due_at: datetime | None, taken_until: datetime | None, now: datetime) -> bool:
    return bool(due_at and due_at < now - OVERDUE and (taken_until is None or taken_until <= now))
