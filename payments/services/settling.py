"""What came of a checkout: Stripe is asked, and its answer decides between a confirmed seat and a lapsed offer."""

import logging
from datetime import timedelta

import pghistory
from django.db import transaction
from django.utils.translation import gettext as _

from payments.gateway import Charge, Gateway, GatewayAwayError, GatewayRefusedError, Intent, NotAtStripeError, Session
from payments.models import Payment
from payments.rules import LONGEST_PAUSE, State
from payments.services.declining import hear_of_attempt
from payments.services.locking import lock_payment, postpone
from payments.services.releasing import release_payment
from payments.tasks import advance_payment, look_at_entry
from registrations import rules as entries
from registrations.models import Notice
from registrations.services import confirm_entry, lapse_offer, notices
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit

logger = logging.getLogger(__name__)

AUTHORISED_STATUSES = ("requires_capture", "succeeded")
LOOK_AGAIN = timedelta(minutes=1)  # at an open checkout, in case its webhook was lost; doubling up to ten minutes


def settle_payment(*, payment_id: int) -> None:
    """Ask Stripe how the checkout stands: complete is recorded; expired, or open when its time is up, ends the payment.

    An attempt to pay of which no event told leaves more time first: see `declining`. Without an answer the hold stays, and
    Stripe is asked again later. One by a card on file has no checkout: see `charging`.
    """
    payment = Payment.objects.select_related("entry__tournament").get(pk=payment_id)
    if payment.state != State.CREATED or payment.card_id is not None:
        return
    try:
        _settle(payment, Gateway(payment.stripe_account))
    except GatewayAwayError as error:
        logger.warning("Stripe did not say how payment %s stands: %s", payment.pk, error)
        postpone(payment)


def _settle(payment: Payment, gateway: Gateway) -> None:
    session = _session(payment, gateway)
    if session and session.status == "open" and is_over(payment):
        if hear_of_attempt(payment, gateway):
            payment.entry.refresh_from_db(fields=["offer_expires_at"])
        else:
            session = _expired(payment, session, gateway)
    if session and session.status == "open":
        _look_again(payment)
    elif session and session.status == "complete":
        _complete(payment, session, gateway)
    elif session or is_over(payment):
        end_unpaid(payment, "session_expired", _("The time to pay ran out."))
    else:
        _look_again(payment)


def _session(payment: Payment, gateway: Gateway) -> Session | None:
    """The session as it stands; None when none was made, or its making was never answered: nobody has its address."""
    if payment.checkout_session is None:
        return None
    try:
        return gateway.retrieve_session(payment.checkout_session)
    except NotAtStripeError:
        logger.exception("Stripe does not know the session of payment %s", payment.pk)
        return Session(id=payment.checkout_session, status="expired", url="", intent=None)


def _expired(payment: Payment, session: Session, gateway: Gateway) -> Session:
    """Close the session by a call, so that nobody can pay any more; whoever was faster has paid."""
    try:
        return gateway.expire_session(session.id, key=f"payment-{payment.pk}-expire-{payment.attempts}")
    except GatewayRefusedError:
        return gateway.retrieve_session(session.id)


def is_over(payment: Payment) -> bool:
    """Nobody may pay any more: the seat was given up, or the offer's time is over."""
    entry = payment.entry
    if payment.released_at is not None or entry.state != entries.State.OFFERED or entry.offer_expires_at is None:
        return True
    return entry.tournament.paused_at is None and entry.offer_expires_at <= database_now()


def _look_again(payment: Payment) -> None:
    now = database_now()
    until = now + min(LOOK_AGAIN * (1 << min(payment.attempts, 4)), LONGEST_PAUSE)
    if payment.entry.offer_expires_at:
        until = max(now + timedelta(seconds=2), min(until, payment.entry.offer_expires_at))
    postpone(payment, until)


def _complete(payment: Payment, session: Session, gateway: Gateway) -> None:
    intent = gateway.retrieve_intent(session.intent or "")
    if intent.status in AUTHORISED_STATUSES:
        record_authorisation(payment_id=payment.pk, intent=intent)
    elif intent.status == "canceled":
        end_unpaid(payment, "canceled", _("The authorisation was cancelled by the bank or at Stripe."))
    else:  # a method that takes its time: neither paid nor failed yet
        postpone(payment)


def end_unpaid(payment: Payment, code: str, message: str) -> None:
    """It came to nothing. The offer lapses if its time is up; otherwise its player may begin again."""
    with transaction.atomic(), pghistory.context(service="settle_payment", reason=code):
        locked = lock_payment(payment.pk)
        if locked.state != State.CREATED or locked.checkout_session != payment.checkout_session:
            return
        locked.state, locked.ended_at, locked.due_at = State.FAILED, database_now(), None
        locked.failure_code = locked.failure_code or code
        locked.failure_message = locked.failure_message or message
        locked.save(update_fields=["state", "ended_at", "due_at", "failure_code", "failure_message"])
    lapse_offer(entry_id=payment.entry_id)


def record_authorisation(*, payment_id: int, intent: Intent) -> bool:
    """The bank holds the money: confirm the seat, or, if it is gone, let the authorisation go and say so.

    Returns whether the entry is confirmed. Repeating it changes nothing.
    """
    with transaction.atomic(), pghistory.context(service="record_authorisation"):
        payment = lock_payment(payment_id)
        if payment.state == State.CREATED:
            _authorise(payment, intent)
            _seat_or_void(payment)
            wake_on_commit(advance_payment, payment.pk)
            wake_on_commit(look_at_entry, payment.entry_id)
        payment.entry.refresh_from_db(fields=["state"])
    return payment.entry.state == entries.State.CONFIRMED


def _authorise(payment: Payment, intent: Intent) -> None:
    now = database_now()
    payment.state, payment.intent, payment.authorised_at = State.AUTHORISED, intent.id, now
    payment.failure_code = payment.failure_message = ""
    payment.due_at, payment.attempts = now, 0
    changed = ["state", "intent", "authorised_at", "failure_code", "failure_message", "due_at", "attempts"]
    payment.save(update_fields=[*changed, *_describe(payment, intent.charge)])


def _describe(payment: Payment, charge: Charge | None) -> tuple[str, ...]:
    """By what it was paid, as a receipt shows it, and how risky that looked; returns the fields that changed."""
    if charge is None:
        return ()
    payment.charge, payment.method = charge.id, charge.method[:32]
    payment.card_brand, payment.card_last4 = charge.brand[:32], charge.last4[:4]
    payment.card_fingerprint = charge.fingerprint[:64]
    payment.risk_level, payment.risk_score = charge.risk_level[:16], charge.risk_score
    return ("charge", "method", "card_brand", "card_last4", "card_fingerprint", "risk_level", "risk_score")


def _seat_or_void(payment: Payment) -> None:
    if payment.entry.state == entries.State.OFFERED and payment.released_at is None:
        confirm_entry(entry_id=payment.entry_id, paid=True)
        return
    release_payment(payment, reason=_("The payment came after the seat was gone."))
    notices.due([payment.entry], Notice.Kind.VOIDED, database_now())
