"""Charging winners' cards: planned when their offer is seen, charged in batches after the hours to decline, tried again in time.

A charge is a Payment like any other, which carries its card instead of a checkout. Its row is committed before Stripe is called,
with a key of that row; whoever finds it without an answer looks at Stripe first and then repeats the call with the same key.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import pghistory
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from payments.gateway import (
    CardCharge,
    Gateway,
    GatewayAwayError,
    GatewayError,
    GatewayRefusedError,
    Intent,
    NotAtStripeError,
)
from payments.models import Payment, SavedCard
from payments.rules import CardState, LetterKind, State, next_charge, pause
from payments.services import letters
from payments.services.locking import lock_card, lock_payment, postpone
from payments.services.planning import ask_player, is_agreed, price_words
from payments.services.settling import AUTHORISED_STATUSES, end_unpaid, is_over, record_authorisation
from registrations import rules as entries
from registrations.services import begin_charge, end_charge
from tournaments.queries import database_now

logger = logging.getLogger(__name__)

# At most, repeated by the client; a charge is left so long to the worker that began it.
CALL_LASTS = timedelta(seconds=60)


@dataclass(frozen=True)
class Refusal:
    """Why a charge came to nothing; `intent` is what Stripe keeps of it, if anything."""

    code: str
    message: str
    intent: str | None = None


def charge_card(*, card_id: int) -> None:
    """Charge a card that is due, once: its seat is then confirmed, or it is tried again later, or its player asked.

    Does nothing for a card that is not due (any more), nor while its player is paying another way.
    """
    payment = _begin(card_id)
    if payment is not None:
        _ask_stripe(payment, Gateway(payment.stripe_account))


def settle_charge(*, payment_id: int) -> None:
    """Find out what came of a charge whose answer nobody has: look for it at Stripe, else call again with the same key."""
    payment = Payment.objects.select_related("entry__tournament", "card").get(pk=payment_id)
    if payment.state != State.CREATED or payment.card is None:
        return
    gateway = Gateway(payment.stripe_account)
    try:
        intent = gateway.find_intent(payment.card.customer, metadata=_metadata(payment))
    except GatewayError as error:
        logger.warning("Stripe did not say how the charge of payment %s stands: %s", payment.pk, error)
        postpone(payment)
        return
    if intent is not None:
        _record(payment, intent, gateway)
    elif not is_over(payment):
        if _begin_call(payment):
            _ask_stripe(payment, gateway)
    elif payment.session_expires_at > database_now():  # somebody's call may still be on its way
        postpone(payment, payment.session_expires_at)
    else:
        end_unpaid(payment, "not_charged", _("The offer was over before the card was charged."))


def _begin_call(payment: Payment) -> bool:
    """Note until when the call that follows may be on its way (a checkout's row says there when its page closes).

    False if the payment ended or its seat was given up meanwhile: then nobody calls any more.
    """
    with pghistory.context(service="charge_card"):
        still = Payment.objects.filter(pk=payment.pk, state=State.CREATED, released_at=None)
        return bool(still.update(session_expires_at=database_now() + CALL_LASTS))


def _begin(card_id: int) -> Payment | None:
    """The new payment that charges the card, committed before anything is asked of Stripe; None if there is nothing to charge."""
    with transaction.atomic(), pghistory.context(service="charge_card"):
        card = lock_card(card_id)
        entry, tournament, now = card.entry, card.entry.tournament, database_now()
        if card.charge_due_at is None or card.charge_due_at > now or tournament.paused_at is not None:
            return None
        if not _is_chargeable(card, now):
            SavedCard.objects.filter(pk=card.pk).update(charge_due_at=None)
            return None
        if Payment.objects.live().filter(entry=entry).exists():
            return None  # it is looked at again: that payment may come to nothing
        if not is_agreed(card):
            ask_player(card, "price_changed", price_words(card), now)
            return None
        begin_charge(entry_id=entry.pk)
        card.charges, card.charge_due_at = card.charges + 1, None
        card.save(update_fields=["charges", "charge_due_at"])
        return Payment.objects.create(
            entry=entry,
            card=card,
            stripe_account=card.stripe_account,
            amount_minor=tournament.fee_minor,
            currency=tournament.currency,
            session_expires_at=now + CALL_LASTS,
            created_at=now,
            due_at=now + pause(3),
            taken_until=now + CALL_LASTS,
        )


def _is_chargeable(card: SavedCard, now: datetime) -> bool:
    """Whether the card is still wanted: the offer is open and costs something, and nobody asked for the card to be removed."""
    entry = card.entry
    if entry.state != entries.State.OFFERED or entry.tournament.is_free or entry.waived_by_id:
        return False
    is_in_time = entry.offer_expires_at is not None and entry.offer_expires_at > now
    return is_in_time and card.state == CardState.SAVED and card.due_at is None


def _ask_stripe(payment: Payment, gateway: Gateway) -> None:
    """The call itself. Without an answer the payment stays as it is, and the sweep goes on from there."""
    try:
        intent = gateway.charge_card(_charge(payment), key=f"payment-{payment.pk}-charge-{payment.session_number}")
    except GatewayAwayError as error:
        logger.warning("Stripe did not say whether payment %s was charged: %s", payment.pk, error)
        if error.answered:
            _take_next_key(payment)
        postpone(payment)
    except GatewayError as error:  # nothing was tried: the card is gone, or Stripe does not take the request
        logger.warning("Stripe refuses to charge payment %s: %s", payment.pk, error)
        code = "card_gone" if isinstance(error, NotAtStripeError) else error.code or "refused"
        _refused(payment, Refusal(code, error.message or code), for_good=True)
    else:
        _record(payment, intent, gateway)


def _charge(payment: Payment) -> CardCharge:
    entry, card = payment.entry, payment.card
    assert card is not None  # noqa: S101  the caller looked
    title = _("%(tournament)s, %(division)s: %(player)s") % {
        "tournament": entry.tournament.name,
        "division": entry.division.name,
        "player": entry.player.display_name,
    }
    return CardCharge(
        customer=card.customer,
        method=card.payment_method or "",
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        title=title,
        metadata=_metadata(payment),
    )


def _metadata(payment: Payment) -> dict[str, str]:
    return {"payment": str(payment.pk), "entry": payment.entry.public_id}


def _take_next_key(payment: Payment) -> None:
    """Stripe gives the answer of a key again for a day, also a bad one."""
    with pghistory.context(service="charge_card"):
        Payment.objects.filter(pk=payment.pk, session_number=payment.session_number, state=State.CREATED).update(
            session_number=F("session_number") + 1
        )


def _record(payment: Payment, intent: Intent, gateway: Gateway) -> None:
    """What Stripe says of the intent becomes what our rows say."""
    if intent.status in AUTHORISED_STATUSES:
        record_authorisation(payment_id=payment.pk, intent=intent)
        _let_go_of_stray(payment, intent, gateway)
    elif intent.status == "processing":
        postpone(payment)
    else:
        if intent.status == "requires_action":  # nobody is there to act: it must not be completed later
            _cancel(payment, intent, gateway)
        code = intent.decline_code or ("authentication_required" if intent.status == "requires_action" else "declined")
        _refused(payment, Refusal(code, intent.decline_message or code, intent.id))


def _cancel(payment: Payment, intent: Intent, gateway: Gateway) -> None:
    try:
        gateway.cancel_intent(intent.id, key=f"payment-{payment.pk}-cancel-{intent.id}")
    except GatewayRefusedError:
        logger.warning("Stripe keeps the intent of payment %s", payment.pk)


def _let_go_of_stray(payment: Payment, intent: Intent, gateway: Gateway) -> None:
    """Void an authorisation whose payment had ended before Stripe answered."""
    if Payment.objects.filter(pk=payment.pk, state=State.FAILED).exists() and intent.status == "requires_capture":
        logger.error("Payment %s had ended when its card was charged; the authorisation is let go", payment.pk)
        gateway.cancel_intent(intent.id, key=f"payment-{payment.pk}-stray-{intent.id}")


def _refused(payment: Payment, why: Refusal, *, for_good: bool = False) -> None:
    """End the payment; the offer goes on. The card is tried again after a pause, or its player asked to pay themselves.

    `for_good` says that no bank was asked: what is wrong may be ours, so that somebody has to look.
    """
    with transaction.atomic(), pghistory.context(service="charge_card", reason=why.code):
        card = lock_card(payment.card_id or 0)
        locked = lock_payment(payment.pk)
        if locked.state != State.CREATED:
            return
        now = database_now()
        locked.state, locked.ended_at, locked.due_at, locked.intent = State.FAILED, now, None, why.intent
        locked.failure_code, locked.failure_message = why.code[:64], why.message
        locked.save(update_fields=["state", "ended_at", "due_at", "intent", "failure_code", "failure_message"])
        end_charge(entry_id=card.entry_id)
        card.failure_code, card.failure_message = why.code[:64], why.message
        card.charge_due_at = None if for_good else _next_try(card, why.code, now)
        card.save(update_fields=["failure_code", "failure_message", "charge_due_at"])
        if card.charge_due_at is None and card.entry.state == entries.State.OFFERED:
            ask_player(card, why.code, why.message, now)
            if for_good:
                about = {"amount_minor": locked.amount_minor, "entry": card.entry.public_id}
                letters.bury(
                    LetterKind.CHARGE, f"card {card.pk}", f"{why.code}: {why.message}", about, card.charges, locked
                )


def _next_try(card: SavedCard, code: str, now: datetime) -> datetime | None:
    entry = card.entry
    if entry.state != entries.State.OFFERED or entry.offer_expires_at is None or card.state != CardState.SAVED:
        return None
    return next_charge(charges=card.charges, code=code, now=now, expires_at=entry.offer_expires_at)
