"""Beginning to pay: the price is fixed in a transaction, the checkout page is made after its commit."""

from datetime import datetime

import pghistory
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from payments.gateway import CheckoutOrder, Gateway, GatewayAwayError, GatewayError, Session, urgently
from payments.models import Payment
from payments.rules import SESSION_STARTABLE, State, pause, session_expiry
from payments.services.locking import lock_entry
from registrations import rules as entries
from registrations.models import QueueEntry
from registrations.services import OfferOverError, take_up_offer
from registrations.services.leaving import own_entry
from tournaments.queries import database_now
from vgchub.errors import RefusedError
from vgchub.pages import absolute


class PaymentAwayError(RefusedError):
    code = "payment_away"
    status = 503
    message = gettext_lazy("The payment service does not answer at the moment.")
    remedy = gettext_lazy("Your seat is held. Try again in a few seconds.")
    repeats, retry_after = True, 5


class PaymentClosingError(RefusedError):
    code = "payment_closing"
    message = gettext_lazy("An earlier payment for this entry is just being closed.")
    remedy = gettext_lazy("Your seat is held. Try again in a few seconds.")
    repeats, retry_after = True, 5


class CardChargingError(RefusedError):
    code = "card_charging"
    message = gettext_lazy("Your card on file is just being charged.")
    remedy = gettext_lazy("Your seat is held. Go back in a few seconds: the page then says how it went.")


class PaymentImpossibleError(RefusedError):
    code = "payment_impossible"
    message = gettext_lazy("The payment service refuses this payment; that is not your fault.")
    remedy = gettext_lazy("Your seat is held. Please write to the organizer, who can give you more time.")


@urgently()
def start_payment(*, account: User, public_id: str) -> str | None:
    """Take up an offer; returns the address of the checkout page, or None when the seat is confirmed without one.

    Repeating it (a double click, a second tab) gives the same page.

    Raises:
        EntryNotFoundError, OfferOverError
        PaymentAwayError: Stripe gave no answer; the offer is taken up, and trying again goes on from there
        PaymentClosingError, PaymentImpossibleError
        CardChargingError: the card on file is being charged this very moment
    """
    if own_entry(account, public_id).state == entries.State.CONFIRMED:
        return None
    with transaction.atomic(), pghistory.context(service="start_payment"):
        taken = take_up_offer(account=account, public_id=public_id)
        if taken.state == entries.State.CONFIRMED:
            return None
        payment = _payment_for(taken.pk)
    return payment.checkout_url or _open_checkout(payment, account)


def _payment_for(entry_id: int) -> Payment:
    """The entry's live payment, made now if there is none. The entry's row is held, so that there is one at most."""
    entry = lock_entry(entry_id)
    if entry.state != entries.State.OFFERED or entry.hold_until is None:
        raise OfferOverError(entry.state)
    now = database_now()
    payment = Payment.objects.live().locked().filter(entry=entry).first() or _new_payment(entry, now)
    if payment.card_id is not None:
        raise CardChargingError
    if payment.released_at is not None or payment.state != State.CREATED:
        raise PaymentClosingError
    if payment.checkout_session is None and payment.session_expires_at < now + SESSION_STARTABLE:
        # Stripe would refuse an end so near; with a new end goes a new key.
        payment.session_expires_at = session_expiry(now, entry.hold_until)
        payment.session_number += 1
        payment.save(update_fields=["session_expires_at", "session_number"])
    payment.entry = entry
    return payment


def _new_payment(entry: QueueEntry, now: datetime) -> Payment:
    tournament = entry.tournament
    return Payment.objects.create(
        entry=entry,
        stripe_account=tournament.organization.stripe_account,
        amount_minor=tournament.fee_minor,
        currency=tournament.currency,
        session_expires_at=session_expiry(now, entry.hold_until or now),
        created_at=now,
        due_at=now + pause(3),
    )


def _open_checkout(payment: Payment, account: User) -> str:
    try:
        session = Gateway(payment.stripe_account).create_session(
            _order(payment, account), key=f"payment-{payment.pk}-session-{payment.session_number}"
        )
    except GatewayAwayError as error:
        if error.answered:
            _take_next_key(payment)
        raise PaymentAwayError from error
    except GatewayError as error:
        _fail(payment, error)
        raise PaymentImpossibleError from error
    if not _keep_session(payment, session):
        _close_unwanted(payment, session)
        raise PaymentClosingError
    return session.url


def _order(payment: Payment, account: User) -> CheckoutOrder:
    entry = payment.entry
    title = _("%(tournament)s, %(division)s: %(player)s") % {
        "tournament": entry.tournament.name,
        "division": entry.division.name,
        "player": entry.player.display_name,
    }
    return CheckoutOrder(
        reference=entry.public_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        title=title,
        email=account.email,
        expires_at=payment.session_expires_at,
        success_url=absolute(reverse("payment_return", args=[entry.public_id])) + "?session={CHECKOUT_SESSION_ID}",
        cancel_url=absolute(reverse("checkout_left", args=[entry.public_id])),
        metadata={"payment": str(payment.pk), "entry": entry.public_id},
    )


def _keep_session(payment: Payment, session: Session) -> bool:
    """Note the page that was made; False when the payment ended while Stripe was asked. Two tabs get the same session."""
    with transaction.atomic(), pghistory.context(service="start_payment"):
        open_ones = Payment.objects.filter(pk=payment.pk, state=State.CREATED, released_at=None)
        kept = open_ones.filter(checkout_session=None).update(
            checkout_session=session.id, checkout_url=session.url, attempts=0
        )
        return bool(kept) or open_ones.filter(checkout_session=session.id).exists()


def _close_unwanted(payment: Payment, session: Session) -> None:
    """Nobody has seen this page; were the call to fail, it would close by itself."""
    try:
        Gateway(payment.stripe_account).expire_session(session.id, key=f"payment-{payment.pk}-unwanted-{session.id}")
    except GatewayError:
        return


def _take_next_key(payment: Payment) -> None:
    """Stripe gives the answer of a key again for a day, also a bad one."""
    with pghistory.context(service="start_payment"):
        Payment.objects.filter(
            pk=payment.pk, session_number=payment.session_number, checkout_session=None, state=State.CREATED
        ).update(session_number=payment.session_number + 1)


def _fail(payment: Payment, error: GatewayError) -> None:
    with pghistory.context(service="start_payment", reason=error.code):
        Payment.objects.filter(pk=payment.pk, state=State.CREATED, checkout_session=None).update(
            state=State.FAILED,
            ended_at=database_now(),
            due_at=None,
            failure_code=error.code[:64] or "refused",
            failure_message=error.message or "refused",
        )
