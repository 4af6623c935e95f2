"""Giving a paid seat back: what a player gets is said before, decided with the cancellation, and carried out after it."""

import logging
from dataclasses import dataclass
from datetime import timedelta

import pghistory
from django.db import transaction
from django.db.models import F, Sum
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from payments.gateway import Gateway, GatewayAwayError, GatewayError, StripeRefund
from payments.models import Payment, Refund, new_idempotency_key
from payments.rules import REFUND_OPEN, RefundState, RefundTerms, State, pause, refund_terms
from payments.services.locking import lock_entry, lock_payment
from payments.services.releasing import release_payment
from payments.tasks import carry_out_refund
from registrations import rules as entries
from registrations.models import QueueEntry
from registrations.services import NotInQueueError, cancel_entry
from registrations.services.leaving import own_entry
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit
from vgchub.errors import RefusedError

logger = logging.getLogger(__name__)

ASK_AGAIN = timedelta(hours=1)  # at a refund on which a bank is working
OUTCOMES = {
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
}


class RefundChangedError(RefusedError):
    code = "refund_changed"

    def __init__(self, terms: RefundTerms) -> None:
        super().__init__(
            _("What you would get back has changed since the page was made."),
            remedy=_("Open the page again to see the amount, then decide."),
            refund_minor=terms.refund_minor,
        )


class NothingToRefundError(RefusedError):
    code = "nothing_to_refund"
    message = gettext_lazy("All of this payment went back already, or is on its way, or is kept by the rule.")
    remedy = gettext_lazy("The payment's page lists its refunds.")


@dataclass(frozen=True)
class Cancellation:
    """What cancelling an entry now would mean; amounts are zero where nothing was paid."""

    refund_minor: int
    kept_minor: int
    currency: str


def cancellation_terms(entry: QueueEntry) -> Cancellation:
    """What the player would get back, and what is kept, by the tournament's rule as of now."""
    payment = entry.payments.filter(state__in=[State.AUTHORISED, State.CAPTURED]).first()
    terms = _terms(entry, payment)
    return Cancellation(terms.refund_minor, terms.kept_minor, payment.currency if payment else "")


def _terms(entry: QueueEntry, payment: Payment | None) -> RefundTerms:
    if payment is None:
        return RefundTerms(0, 0)
    tournament = entry.tournament
    if tournament.cancelled_at is not None:
        return RefundTerms(payment.amount_minor, 0)
    return refund_terms(
        amount_minor=payment.amount_minor,
        kept_percent=tournament.refund_kept_percent,
        refund_until=tournament.refund_until,
        now=database_now(),
    )


def cancel_and_refund(*, account: User, public_id: str, expected_minor: int | None = None) -> QueueEntry:
    """A player gives a confirmed seat back; the refund follows the tournament's rule. Repeating it changes nothing.

    `expected_minor` is the refund that the player was shown.

    Raises:
        EntryNotFoundError
        NotInQueueError: not confirmed
        RefundChangedError: the refund is no longer `expected_minor`; nothing is changed
    """
    entry_id = own_entry(account, public_id).pk
    with transaction.atomic(), pghistory.context(service="cancel_and_refund", by=account.pk):
        entry = lock_entry(entry_id)
        if entry.state == entries.State.CANCELLED:
            return entry
        if entry.state != entries.State.CONFIRMED:
            raise NotInQueueError(entry.state)
        payment = Payment.objects.live().locked().filter(entry=entry).first()
        terms = _terms(entry, payment)
        if expected_minor is not None and expected_minor != terms.refund_minor:
            raise RefundChangedError(terms)
        return give_seat_back(entry, payment, terms, reason=_("Cancelled by the player."), by=account)


def give_seat_back(
    entry: QueueEntry, payment: Payment | None, terms: RefundTerms, *, reason: str, by: User | None
) -> QueueEntry:
    """Cancel a locked, confirmed entry and release its locked payment, if it has one."""
    cancelled = cancel_entry(entry_id=entry.pk, reason=reason, by=by)
    if payment is not None:
        release_payment(payment, reason=reason, kept_minor=terms.kept_minor, by=by)
    return cancelled


def refund_payment(*, refund_id: int) -> None:
    """Carry a decided refund out at Stripe, or ask how one that is under way stands."""
    refund = Refund.objects.select_related("payment__entry").get(pk=refund_id)
    if refund.state not in REFUND_OPEN or refund.payment.state != State.CAPTURED:
        return
    try:
        _record(refund.pk, _at_stripe(refund))
    except GatewayAwayError as error:
        logger.warning("Stripe did not refund %s: %s", refund.pk, error)
        _postpone(refund, new_key=error.answered)
    except GatewayError as error:
        logger.exception("Stripe refuses refund %s", refund.pk)
        _record_refusal(refund, error)


def retry_refund(*, refund_id: int, by: User, reason: str) -> Refund:
    """Decide anew what a failed refund did not give back; the failed one stays as it was.

    Raises:
        NothingToRefundError: it did not fail, or its money goes back another way already
    """
    with transaction.atomic(), pghistory.context(service="retry_refund", by=by.pk, reason=reason):
        payment = lock_payment(Refund.objects.values_list("payment_id", flat=True).get(pk=refund_id))
        failed = payment.refunds.filter(pk=refund_id, state=RefundState.FAILED).first()
        given = payment.refunds.exclude(state=RefundState.FAILED).aggregate(sum=Sum("amount_minor"))["sum"] or 0
        left = payment.amount_minor - payment.kept_minor - given
        if failed is None or left <= 0:
            raise NothingToRefundError
        now = database_now()
        refund = Refund.objects.create(
            payment=payment,
            amount_minor=min(left, failed.amount_minor),
            reason=reason[:200],
            by=by,
            created_at=now,
            due_at=now,
        )
        wake_on_commit(carry_out_refund, refund.pk)
    return refund


def check_refund(*, stripe_id: str) -> None:
    """Stripe says that something happened to a refund of ours: ask for it, also when it had succeeded.

    Raises:
        GatewayAwayError
    """
    refund = Refund.objects.select_related("payment").filter(stripe_id=stripe_id).first()
    if refund is not None:
        _record(refund.pk, Gateway(refund.payment.stripe_account).retrieve_refund(stripe_id))


def _at_stripe(refund: Refund) -> StripeRefund:
    """The refund at Stripe, made now unless an earlier call, of which we heard nothing, has made it."""
    payment, gateway = refund.payment, Gateway(refund.payment.stripe_account)
    if refund.stripe_id:
        return gateway.retrieve_refund(refund.stripe_id)
    mark = {"refund": str(refund.pk), "payment": str(payment.pk), "entry": payment.entry.public_id}
    made = gateway.find_refund(payment.intent or "", metadata=mark) if refund.attempts else None
    return made or gateway.create_refund(
        payment.intent or "", amount_minor=refund.amount_minor, key=refund.idempotency_key, metadata=mark
    )


def _record(refund_id: int, answer: StripeRefund) -> None:
    state = OUTCOMES.get(answer.status, RefundState.PENDING)
    with transaction.atomic(), pghistory.context(service="refund_payment"):
        refund = Refund.objects.select_for_update().get(pk=refund_id)
        if refund.state in (state, RefundState.FAILED) and state not in REFUND_OPEN:
            return
        now = database_now()
        is_open = state in REFUND_OPEN
        refund.state, refund.stripe_id = state, answer.id
        refund.ended_at, refund.due_at = (None, now + ASK_AGAIN) if is_open else (now, None)
        if state == RefundState.FAILED:
            refund.failure_code = answer.problem[:64] or answer.status
            refund.failure_message = _("The bank did not take the money back; it has to reach the player another way.")
        refund.taken_until = None
        refund.save()


def _record_refusal(refund: Refund, error: GatewayError) -> None:
    with pghistory.context(service="refund_payment", reason=error.code):
        Refund.objects.filter(pk=refund.pk, state__in=REFUND_OPEN).update(
            state=RefundState.FAILED,
            ended_at=database_now(),
            due_at=None,
            failure_code=error.code[:64] or "refused",
            failure_message=error.message or "refused",
        )


def _postpone(refund: Refund, *, new_key: bool) -> None:
    Refund.objects.filter(pk=refund.pk, state__in=REFUND_OPEN).update(
        attempts=F("attempts") + 1,
        due_at=database_now() + pause(refund.attempts),
        taken_until=None,
        **({"idempotency_key": new_idempotency_key()} if new_key else {}),
    )
