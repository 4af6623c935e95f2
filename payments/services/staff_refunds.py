"""Refunds that staff and organizers decide: a part as goodwill, a seat taken back, a failed one anew."""

import pghistory
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from payments.models import DeadLetter, Payment, Refund
from payments.queries import left_of
from payments.rules import LetterKind, LetterState, RefundState, RefundTerms, State
from payments.services import letters
from payments.services.disputing import forbid_disputed
from payments.services.locking import lock_payment
from payments.services.refunding import NothingToRefundError, give_seat_back
from payments.services.releasing import decide_refund
from registrations import rules as entries
from registrations.models import QueueEntry
from registrations.services import NotInQueueError
from tournaments.queries import database_now
from vgchub.errors import RefusedError
from vgchub.words import money


class TooMuchError(RefusedError):
    code = "too_much"

    def __init__(self, payment: Payment, left_minor: int, *, seat_stays: bool) -> None:
        left = {"left": money(left_minor, payment.currency)}
        words = (
            _("%(left)s is left of this payment, and a seat that stays has to be paid by some of it.")
            if seat_stays
            else _("Only %(left)s is left of this payment.")
        )
        super().__init__(words % left, remedy=_("Type a smaller amount."), left_minor=left_minor)


def refund_part(*, payment_id: int, amount_minor: int, by: User, reason: str) -> Refund:
    """Give a part of a captured payment back as goodwill; the seat stays, so that less than all that is left goes back.

    Raises:
        NothingToRefundError: it is not captured, or its seat was given up
        DisputedError, TooMuchError
    """
    with transaction.atomic(), pghistory.context(service="refund_part", by=by.pk, reason=reason):
        payment = lock_payment(payment_id)
        if payment.state != State.CAPTURED or payment.released_at is not None or amount_minor <= 0:
            raise NothingToRefundError
        forbid_disputed(payment)
        _leave_some(payment, amount_minor)
        return decide_refund(payment, amount_minor, reason=reason, by=by)


def take_seat_back(*, payment_id: int, amount_minor: int, by: User, reason: str) -> QueueEntry:
    """Cancel the confirmed entry of a payment, refund so much of what is left, and keep the rest; the seat goes to the queue.

    Raises:
        NotInQueueError: not confirmed
        NothingToRefundError: nothing was paid, or its seat was given up
        DisputedError, TooMuchError
    """
    with transaction.atomic(), pghistory.context(service="take_seat_back", by=by.pk, reason=reason):
        payment = lock_payment(payment_id)
        if payment.entry.state != entries.State.CONFIRMED:
            raise NotInQueueError(payment.entry.state)
        if payment.state not in (State.AUTHORISED, State.CAPTURED) or payment.released_at is not None:
            raise NothingToRefundError
        forbid_disputed(payment)
        left = left_of(payment)
        if not 0 <= amount_minor <= left:
            raise TooMuchError(payment, left, seat_stays=False)
        terms = RefundTerms(amount_minor, left - amount_minor)
        return give_seat_back(payment.entry, payment, terms, reason=reason, by=by)


def retry_refund(*, refund_id: int, by: User, reason: str) -> Refund:
    """Decide anew what a failed refund did not give back; the failed one stays as it was.

    Raises:
        NothingToRefundError: it did not fail, or its money goes back another way already
        DisputedError, TooMuchError
    """
    with transaction.atomic(), pghistory.context(service="retry_refund", by=by.pk, reason=reason):
        payment = lock_payment(Refund.objects.values_list("payment_id", flat=True).get(pk=refund_id))
        failed = _failed(payment, refund_id)
        left = left_of(payment)
        if failed is None or not left:
            raise NothingToRefundError
        forbid_disputed(payment)
        amount = min(left, failed.amount_minor)
        if payment.entry.state == entries.State.CONFIRMED:
            _leave_some(payment, amount)
        buried = DeadLetter.objects.filter(kind=LetterKind.REFUND, reference=f"refund {refund_id}")
        letters.close(buried, LetterState.RETRIED, by=by, reason=reason)
        return decide_refund(payment, amount, reason=reason, by=by)


def settle_another_way(*, refund_id: int, by: User, reason: str) -> int:
    """What a failed refund was to give back has reached its player without Stripe; returns how much of it is settled so.

    At Stripe it stays, so that the payment keeps it, and nothing of it is owed any more. The refund says how much it was.

    Raises:
        NothingToRefundError: it did not fail, its seat stays (so that nothing is owed), its money goes back already, or it
            is settled
        DisputedError
    """
    with transaction.atomic(), pghistory.context(service="settle_another_way", by=by.pk, reason=reason):
        payment = lock_payment(Refund.objects.values_list("payment_id", flat=True).get(pk=refund_id))
        failed = _failed(payment, refund_id)
        left = left_of(payment)
        if failed is None or not left or payment.released_at is None:
            raise NothingToRefundError
        forbid_disputed(payment)
        failed.settled_minor, failed.settled_at = min(left, failed.amount_minor), database_now()
        failed.save(update_fields=["settled_minor", "settled_at"])
        payment.kept_minor += failed.settled_minor
        payment.save(update_fields=["kept_minor"])
        buried = DeadLetter.objects.filter(kind=LetterKind.REFUND, reference=f"refund {refund_id}")
        letters.close(buried, LetterState.DISMISSED, by=by, reason=reason)
    return failed.settled_minor


def _failed(payment: Payment, refund_id: int) -> Refund | None:
    """A refund of the locked payment that failed, and was not settled another way since."""
    return payment.refunds.filter(pk=refund_id, state=RefundState.FAILED, settled_at=None).first()


def _leave_some(payment: Payment, amount_minor: int) -> None:
    left = left_of(payment)
    if amount_minor >= left:
        raise TooMuchError(payment, left, seat_stays=True)
