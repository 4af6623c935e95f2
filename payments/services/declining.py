"""Attempts to pay on a checkout page that are not, or not yet, a payment: each leaves more time once, within the longest hold."""

from datetime import timedelta

import pghistory
from django.db import transaction

from payments.gateway import Attempt, Gateway, Intent
from payments.models import Payment, StripeEvent
from payments.rules import AUTHENTICATION_LASTS, State
from payments.services.locking import lock_payment
from registrations import rules as entries
from registrations.services import extend_for_bank, extend_for_retry
from tournaments.queries import database_now


def record_decline(*, payment_id: int, intent: Intent) -> bool:
    """A card was refused: keep the reason for the player, and leave more time, once for each charge that was tried.

    Returns whether that was so.
    """
    if intent.status not in ("requires_payment_method", "canceled") or not intent.decline_code:
        return False
    with transaction.atomic(), pghistory.context(service="record_decline", reason=intent.decline_code):
        payment = lock_payment(payment_id)
        if payment.state not in (State.CREATED, State.FAILED):
            return False
        if intent.declined_charge and intent.declined_charge == payment.charge:
            return False
        payment.failure_code, payment.failure_message = intent.decline_code[:64], intent.decline_message
        payment.charge = intent.declined_charge or payment.charge
        payment.save(update_fields=["failure_code", "failure_message", "charge"])
        if payment.state == State.CREATED:  # else the time was over first; the player still reads why
            extend_for_retry(entry_id=payment.entry_id)
    return True


def hear_of_attempt(payment: Payment, gateway: Gateway) -> bool:
    """Before an open page is closed: whether its player just tried to pay, and no event told, so that there is more time.

    The event is noted as if it had been delivered: it counts once, whether its webhook comes later or came before.
    Nothing leaves more time once the seat was given up, or can't be held any longer.

    Raises:
        GatewayAwayError
    """
    entry = payment.entry
    if payment.released_at is not None or entry.state != entries.State.OFFERED or entry.hold_until is None:
        return False
    if entry.hold_until <= database_now():
        return False
    metadata = {"payment": str(payment.pk), "entry": entry.public_id}
    attempt = gateway.last_attempt(metadata=metadata, since=payment.created_at)
    if attempt is None:
        return False
    known = StripeEvent.objects.filter(stripe_id=attempt.event).first()
    if known is not None:
        return known.handled_at is None  # a worker is about to
    return _record(payment, attempt, gateway.retrieve_intent(attempt.intent))


def _record(payment: Payment, attempt: Attempt, intent: Intent) -> bool:
    with transaction.atomic():
        if not _note(payment, attempt):
            return True  # the webhook came this very moment: look again
        if intent.status == "requires_action":
            return _leave_to_the_bank(payment, attempt)
        return record_decline(payment_id=payment.pk, intent=intent)


def _note(payment: Payment, attempt: Attempt) -> bool:
    """Note the event as handled; False if it is noted already."""
    now = database_now()
    _event, is_new = StripeEvent.objects.get_or_create(
        stripe_id=attempt.event,
        defaults={
            "type": attempt.type,
            "stripe_account": payment.stripe_account,
            "object_id": attempt.intent,
            "payment": payment,
            "received_at": now,
            "handled_at": now,
            "due_at": now,
        },
    )
    return is_new


def _leave_to_the_bank(payment: Payment, attempt: Attempt) -> bool:
    """The card's holder is at the bank's own page: leave it as long as such a page lasts, counted from when it was shown."""
    until = attempt.at + AUTHENTICATION_LASTS
    if until <= database_now() + timedelta(seconds=1):
        return False
    return extend_for_bank(entry_id=payment.entry_id, until=until)
