"""Taking the money that a bank holds, or letting it go. Each asks Stripe, then records what Stripe says is true."""

import logging

import pghistory
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from payments.gateway import Gateway, GatewayAwayError, GatewayError, GatewayRefusedError, Intent, NotAtStripeError
from payments.models import Payment
from payments.rules import AUTHORISATION_USED, CAPTURE_TRIES, LetterKind, State
from payments.services import letters
from payments.services.locking import lock_payment, postpone
from payments.services.releasing import give_back, release_payment
from registrations import rules as entries
from registrations.services import cancel_entry, reopen_offer
from tournaments.queries import database_now

logger = logging.getLogger(__name__)


def capture_payment(*, payment_id: int) -> None:
    """Take the authorised money of a confirmed seat. A failure is tried again; after too many the seat is offered again.

    A released payment of which something is kept is captured too: the rest is refunded.
    """
    payment = Payment.objects.get(pk=payment_id)
    if payment.state != State.AUTHORISED or _to_be_voided(payment):
        return
    gateway = Gateway(payment.stripe_account)
    try:
        intent = gateway.capture_intent(payment.intent or "", key=f"payment-{payment.pk}-capture-{payment.attempts}")
        _record(payment, intent.status)
    except GatewayRefusedError as error:
        _after_refusal(payment, gateway, error)
    except NotAtStripeError as error:
        _fail_for_good(payment, error)
    except GatewayAwayError as error:
        _after_silence(payment, gateway, error)


def void_payment(*, payment_id: int) -> None:
    """Let the authorisation of a released payment go. If it was captured meanwhile, that is recorded, and refunded."""
    payment = Payment.objects.get(pk=payment_id)
    if payment.state != State.AUTHORISED or not _to_be_voided(payment):
        return
    gateway = Gateway(payment.stripe_account)
    try:
        _record(payment, _cancelled(payment, gateway).status)
    except NotAtStripeError:
        _record(payment, "canceled")
    except GatewayAwayError as error:
        logger.warning("Stripe did not void payment %s: %s", payment.pk, error)
        postpone(payment)


def let_go_of_stray(*, payment_id: int, session_id: str) -> None:
    """Void an authorisation of a payment that had ended. Closing its page first should make that impossible.

    Raises:
        GatewayAwayError
    """
    payment = Payment.objects.get(pk=payment_id)
    if payment.state != State.FAILED:
        return
    gateway = Gateway(payment.stripe_account)
    intent_id = gateway.retrieve_session(session_id).intent
    if intent_id and gateway.retrieve_intent(intent_id).status == "requires_capture":
        logger.error("Payment %s had ended when its session was completed; its authorisation is let go", payment.pk)
        gateway.cancel_intent(intent_id, key=f"payment-{payment.pk}-stray-{intent_id}")


def _to_be_voided(payment: Payment) -> bool:
    return payment.released_at is not None and payment.kept_minor == 0


def _cancelled(payment: Payment, gateway: Gateway) -> Intent:
    """The intent after asking to cancel it: cancelled, or as it is when it can't be."""
    try:
        return gateway.cancel_intent(payment.intent or "", key=f"payment-{payment.pk}-cancel-{payment.attempts}")
    except GatewayRefusedError:
        return gateway.retrieve_intent(payment.intent or "")


def _record(payment: Payment, status: str) -> None:
    """What Stripe says of the intent becomes what our row says."""
    if status == "succeeded":
        record_capture(payment_id=payment.pk)
    elif status == "canceled":
        _record_cancelled(payment.pk)
    else:
        postpone(payment)


def record_capture(*, payment_id: int) -> None:
    """The money was taken. If the seat was given up meanwhile, its refund is decided in the same transaction."""
    with transaction.atomic(), pghistory.context(service="capture_payment"):
        payment = lock_payment(payment_id)
        if payment.state != State.AUTHORISED:
            return
        payment.state, payment.captured_at, payment.due_at = State.CAPTURED, database_now(), None
        payment.failure_code = payment.failure_message = ""
        payment.save(update_fields=["state", "captured_at", "due_at", "failure_code", "failure_message"])
        if payment.entry.state != entries.State.CONFIRMED:
            release_payment(payment, reason=_("The seat was given up before the payment was complete."))
        give_back(payment)


def _record_cancelled(payment_id: int) -> None:
    """Nothing was taken and nothing can be: as wanted if the seat was given up, else its player has to pay anew."""
    with transaction.atomic(), pghistory.context(service="void_payment"):
        payment = lock_payment(payment_id)
        if payment.released_at is None:
            _unseat(payment, "canceled", _("The bank let the authorisation go before it was captured."))
        elif payment.state == State.AUTHORISED:
            payment.state, payment.ended_at, payment.due_at = State.VOIDED, database_now(), None
            payment.save(update_fields=["state", "ended_at", "due_at"])


def _after_refusal(payment: Payment, gateway: Gateway, error: GatewayError) -> None:
    """Stripe said no: the intent itself tells whether it was taken, is gone, or may be tried again."""
    try:
        intent = gateway.retrieve_intent(payment.intent or "")
    except GatewayError:
        postpone(payment)
        return
    if intent.status != "requires_capture":
        _record(payment, intent.status)
        return
    logger.warning("Stripe refused to capture payment %s: %s", payment.pk, error)
    if payment.refusals + 1 >= CAPTURE_TRIES:
        _give_up(payment, gateway, error)
        return
    with pghistory.context(service="capture_payment", reason=error.code):
        Payment.objects.filter(pk=payment.pk, state=State.AUTHORISED).update(
            refusals=F("refusals") + 1, failure_code=error.code[:64], failure_message=error.message or error.code
        )
    postpone(payment)


def _after_silence(payment: Payment, gateway: Gateway, error: GatewayError) -> None:
    """Stripe is away: ask again for as long as the authorisation surely lasts."""
    logger.warning("Stripe did not capture payment %s: %s", payment.pk, error)
    if payment.authorised_at and database_now() > payment.authorised_at + AUTHORISATION_USED:
        _give_up(payment, gateway, error)
    else:
        postpone(payment)


def _give_up(payment: Payment, gateway: Gateway, error: GatewayError) -> None:
    """Let the authorisation go first, so that no money can be taken for a seat that is to be paid anew."""
    try:
        intent = _cancelled(payment, gateway)
    except GatewayError:
        postpone(payment)
        return
    if intent.status == "canceled":
        _fail_for_good(payment, error)
    else:
        _record(payment, intent.status)


def _fail_for_good(payment: Payment, error: GatewayError) -> None:
    logger.error("Payment %s could not be captured: %s", payment.pk, error)
    with transaction.atomic(), pghistory.context(service="capture_payment", reason=error.code):
        _unseat(lock_payment(payment.pk), error.code or "capture_failed", error.message or "capture failed")


def _unseat(payment: Payment, code: str, message: str) -> None:
    """End a locked payment without money; the same player is offered the same seat again, with time to pay anew."""
    if payment.state != State.AUTHORISED:
        return
    payment.state, payment.ended_at, payment.due_at = State.FAILED, database_now(), None
    payment.failure_code, payment.failure_message = code[:64], message
    payment.save(update_fields=["state", "ended_at", "due_at", "failure_code", "failure_message"])
    about = {"entry": payment.entry.public_id, "intent": payment.intent or ""}
    letters.bury(
        LetterKind.CAPTURE, f"payment {payment.pk}", f"{code}: {message}", about, payment.refusals + 1, payment
    )
    if payment.entry.state != entries.State.CONFIRMED:
        return
    if payment.entry.tournament.cancelled_at is not None:
        cancel_entry(entry_id=payment.entry_id, reason="tournament cancelled")
    else:
        reopen_offer(entry_id=payment.entry_id)
