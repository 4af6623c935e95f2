"""Cards on file for a lottery: asked for, saved on Stripe's page, and taken off again. None of it moves money or buys a ticket."""

import logging
from datetime import datetime, timedelta

import pghistory
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext_lazy

from accounts.models import User
from payments.gateway import (
    CardMethod,
    Gateway,
    GatewayAwayError,
    GatewayError,
    GatewayRefusedError,
    NotAtStripeError,
    SetupOrder,
    SetupSession,
)
from payments.models import Payment, SavedCard
from payments.rules import SESSION_STARTABLE, CardState, LetterKind, session_expiry
from payments.services import letters
from payments.services.locking import lock_card, lock_entry, postpone_card
from payments.services.starting import CardChargingError, PaymentAwayError
from payments.tasks import look_at_card
from registrations import rules as entries
from registrations.models import QueueEntry
from registrations.services.leaving import own_entry
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit
from vgchub.errors import RefusedError
from vgchub.pages import absolute

logger = logging.getLogger(__name__)

PAGE_LASTS = timedelta(hours=1)  # in which a card can be saved on Stripe's page
LOOK_AGAIN = timedelta(minutes=2)  # at such a page, in case its webhook was lost; doubling up to ten minutes


class CardNotWantedError(RefusedError):
    code = "card_not_wanted"
    message = gettext_lazy("A card can be put on file only while you wait for the draw or for a seat.")
    remedy = gettext_lazy("It is not needed: when a seat is offered to you, you can pay it yourself.")


class CardAwayError(PaymentAwayError):
    """Its page repeats nothing: a card may have been saved in another tab meanwhile, which the form would replace."""

    code = "card_away"
    remedy = gettext_lazy("Your entry stands without a card, too. Go back and press the button again in a few seconds.")
    repeats = False


class CardImpossibleError(RefusedError):
    code = "card_impossible"
    message = gettext_lazy("The payment service does not save a card for this tournament; that is not your fault.")
    remedy = gettext_lazy("Your entry stands without a card, too: when a seat is offered to you, you pay it yourself.")


def ask_for_card(*, account: User, public_id: str) -> str:
    """Returns the address of Stripe's page that saves a card. Repeating it gives the same page; a saved card is replaced.

    The player agrees to the fee as it is now.

    Raises:
        EntryNotFoundError, CardNotWantedError, CardChargingError
        CardAwayError: Stripe gave no answer; trying again goes on from there
        CardImpossibleError
    """
    card = _asked(account, public_id)
    if card.state == CardState.SAVED:
        remove_card(account=account, public_id=public_id)
        card = _asked(account, public_id)
        if card.state == CardState.SAVED:  # the old one is not off yet
            raise CardAwayError
    return card.checkout_url or _open_page(card, account)


def _asked(account: User, public_id: str) -> SavedCard:
    """The entry's live card, asked for now if there is none. The entry's row is held, so that there is one at most."""
    with transaction.atomic(), pghistory.context(service="ask_for_card"):
        entry = lock_entry(own_entry(account, public_id).pk)
        if not may_have_card(entry):
            raise CardNotWantedError
        now = database_now()
        card = SavedCard.objects.live().locked().filter(entry=entry).first()
        if card is not None and card.state == CardState.ASKED and _is_stale(card, entry):
            _drop(card, due_at=now if card.checkout_session else None)  # its page is to be closed
            card = None
        card = card or _new_card(entry)
        if card.checkout_session is None and card.session_expires_at < now + SESSION_STARTABLE:
            # Stripe would refuse an end so near; with a new end goes a new key.
            card.session_expires_at = session_expiry(now, now + PAGE_LASTS)
            card.session_number += 1
            card.save(update_fields=["session_expires_at", "session_number"])
        card.entry = entry
    return card


def may_have_card(entry: QueueEntry) -> bool:
    """Whether a card of this entry would be charged: its tournament wants one, it costs something, and it still waits."""
    tournament = entry.tournament
    if not tournament.saves_cards or tournament.is_free or entry.waived_by_id or tournament.cancelled_at:
        return False
    return entry.state == entries.State.WAITING


def _is_stale(card: SavedCard, entry: QueueEntry) -> bool:
    """Its page is closed, or the fee is another one since: what the player agrees to is fixed with the card."""
    is_closed = card.checkout_session is not None and card.session_expires_at <= database_now()
    return is_closed or (card.agreed_minor, card.currency) != (entry.tournament.fee_minor, entry.tournament.currency)


def _new_card(entry: QueueEntry) -> SavedCard:
    tournament, now = entry.tournament, database_now()
    return SavedCard.objects.create(
        entry=entry,
        stripe_account=tournament.organization.stripe_account,
        agreed_minor=tournament.fee_minor,
        currency=tournament.currency,
        session_expires_at=session_expiry(now, now + PAGE_LASTS),
        created_at=now,
        due_at=now + LOOK_AGAIN,
    )


def _open_page(card: SavedCard, account: User) -> str:
    gateway, key = Gateway(card.stripe_account), f"card-{card.pk}"
    try:
        customer = card.customer or gateway.create_customer(
            email=account.email, metadata=_metadata(card), key=f"{key}-customer-{card.session_number}"
        )
        session = gateway.create_setup_session(_order(card, customer), key=f"{key}-session-{card.session_number}")
    except GatewayAwayError as error:
        if error.answered:
            _take_next_key(card)
        raise CardAwayError from error
    except GatewayError as error:
        logger.exception("Stripe refuses a page that saves card %s", card.pk)
        _dropped(card)
        raise CardImpossibleError from error
    if not _keep_page(card, customer, session):
        raise CardAwayError
    return session.url


def _metadata(card: SavedCard) -> dict[str, str]:
    return {"card": str(card.pk), "entry": card.entry.public_id}


def _order(card: SavedCard, customer: str) -> SetupOrder:
    entry = card.entry
    return SetupOrder(
        reference=entry.public_id,
        customer=customer,
        currency=card.currency,
        expires_at=card.session_expires_at,
        success_url=absolute(reverse("card_return", args=[entry.public_id])),
        cancel_url=absolute(reverse("card_return", args=[entry.public_id])),
        metadata=_metadata(card),
    )


def _keep_page(card: SavedCard, customer: str, session: SetupSession) -> bool:
    """Note the page that was made; False when the card was dropped while Stripe was asked. Two tabs get the same page."""
    with transaction.atomic(), pghistory.context(service="ask_for_card"):
        asked = SavedCard.objects.filter(pk=card.pk, state=CardState.ASKED)
        kept = asked.filter(checkout_session=None).update(
            customer=customer, checkout_session=session.id, checkout_url=session.url, attempts=0
        )
        return bool(kept) or asked.filter(checkout_session=session.id).exists()


def _take_next_key(card: SavedCard) -> None:
    """Stripe gives the answer of a key again for a day, also a bad one."""
    with pghistory.context(service="ask_for_card"):
        SavedCard.objects.filter(
            pk=card.pk, session_number=card.session_number, checkout_session=None, state=CardState.ASKED
        ).update(session_number=F("session_number") + 1)


# --- What came of the page -----------------------------------------------------------------------------------


def advance_card(*, card_id: int) -> None:
    """Do the next thing that a card needs at Stripe: ask what came of its page, or take it off."""
    state, due_at = SavedCard.objects.values_list("state", "due_at").get(pk=card_id)
    if state == CardState.SAVED and due_at is not None:
        detach_card(card_id=card_id)
    else:
        settle_card(card_id=card_id)


def settle_card(*, card_id: int) -> None:
    """Ask Stripe what came of the page that saves it: a card, nothing, or nothing yet."""
    card = SavedCard.objects.select_related("entry__tournament").get(pk=card_id)
    if card.state not in (CardState.ASKED, CardState.DROPPED):
        return
    try:
        _settle(card, Gateway(card.stripe_account))
    except GatewayAwayError as error:
        logger.warning("Stripe did not say what came of card %s: %s", card.pk, error)
        postpone_card(card)


def _settle(card: SavedCard, gateway: Gateway) -> None:
    session = _page(card, gateway)
    if session and session.method:
        _complete(card, session.method, gateway)
    elif (session and session.status == "open") or (session is None and not _is_over(card)):
        postpone_card(card, LOOK_AGAIN)
    else:
        _dropped(card)


def _page(card: SavedCard, gateway: Gateway) -> SetupSession | None:
    """The page as it stands, closed by a call if nobody may save a card any more; None if there is none that anybody knows."""
    if card.checkout_session is None:
        return None
    try:
        session = gateway.retrieve_setup_session(card.checkout_session)
        if session.status != "open" or not _is_over(card):
            return session
        gateway.expire_session(session.id, key=f"card-{card.pk}-expire-{card.attempts}")
    except NotAtStripeError:
        logger.exception("Stripe does not know the page of card %s", card.pk)
        return None
    except GatewayRefusedError:  # whoever was faster has saved it, or it is closed already
        return gateway.retrieve_setup_session(card.checkout_session)
    return None


def _is_over(card: SavedCard) -> bool:
    """Nobody may save a card on its page any more."""
    is_over = card.state == CardState.DROPPED or card.session_expires_at <= database_now()
    return is_over or not may_have_card(card.entry)


def _complete(card: SavedCard, method: CardMethod, gateway: Gateway) -> None:
    """A card was saved. One that was given up meanwhile is taken off again at once."""
    if _record_saved(card, method) or card.state != CardState.DROPPED:
        return
    try:
        gateway.detach_card(method.id)
    except NotAtStripeError:
        logger.warning("Stripe does not know what was saved for card %s any more", card.pk)
    _dropped(card)


def _record_saved(card: SavedCard, method: CardMethod) -> bool:
    with transaction.atomic(), pghistory.context(service="settle_card"):
        locked = lock_card(card.pk)
        card.state = locked.state
        if locked.state != CardState.ASKED:
            return False
        locked.state, locked.saved_at, locked.payment_method = CardState.SAVED, database_now(), method.id
        locked.brand, locked.last4 = method.brand[:32], method.last4[:4]
        locked.fingerprint = method.fingerprint[:64]
        # After the offer it would be charged without a day to think it over: the player pays themselves.
        locked.due_at = None if may_have_card(locked.entry) else database_now()
        locked.attempts = 0
        changed = ["state", "saved_at", "payment_method", "brand", "last4", "fingerprint", "due_at", "attempts"]
        locked.save(update_fields=changed)
    return True


def _dropped(card: SavedCard) -> None:
    with transaction.atomic(), pghistory.context(service="settle_card"):
        locked = lock_card(card.pk)
        if locked.state not in (CardState.ASKED, CardState.DROPPED) or locked.checkout_session != card.checkout_session:
            return
        _drop(locked, due_at=None)


def _drop(card: SavedCard, *, due_at: datetime | None) -> None:
    card.state, card.ended_at, card.due_at = CardState.DROPPED, card.ended_at or database_now(), due_at
    card.save(update_fields=["state", "ended_at", "due_at"])


# --- Off again -----------------------------------------------------------------------------------------------


def remove_card(*, account: User, public_id: str) -> None:
    """Take the player's card off: from now on it is not charged, whether Stripe answers or not. Repeating it changes nothing.

    Raises:
        EntryNotFoundError, CardChargingError
    """
    with transaction.atomic(), pghistory.context(service="remove_card"):
        entry = lock_entry(own_entry(account, public_id).pk)
        card = SavedCard.objects.locked().filter(entry=entry, state=CardState.SAVED).first()
        if card is None:
            return
        if Payment.objects.open().filter(card=card).exists():
            raise CardChargingError
        card.due_at, card.charge_due_at, card.taken_until, card.attempts = database_now(), None, None, 0
        card.save(update_fields=["due_at", "charge_due_at", "taken_until", "attempts"])
        wake_on_commit(look_at_card, card.pk)
    detach_card(card_id=card.pk)


def detach_card(*, card_id: int) -> None:
    """Take a card that is due for it off at Stripe. Repeating it is safe, and no answer is asked for again."""
    card = SavedCard.objects.get(pk=card_id)
    if card.state != CardState.SAVED or card.due_at is None:
        return
    try:
        Gateway(card.stripe_account).detach_card(card.payment_method or "")
    except NotAtStripeError:
        logger.warning("Stripe does not know card %s any more", card.pk)
    except GatewayError as error:
        logger.warning("Stripe did not take card %s off: %s", card.pk, error)
        if isinstance(error, GatewayRefusedError):  # it is tried again; but somebody should know
            letters.bury(LetterKind.DETACH, f"card {card.pk}", f"{error.code}: {error}", {}, card.attempts + 1)
        postpone_card(card)
        return
    with transaction.atomic(), pghistory.context(service="detach_card"):
        SavedCard.objects.filter(pk=card_id, state=CardState.SAVED).update(
            state=CardState.DETACHED, ended_at=database_now(), due_at=None, charge_due_at=None
        )


def give_up_cards() -> int:
    """Have the cards taken off that nobody will charge any more: their entry is over, or has its seat. Returns how many."""
    over = SavedCard.objects.filter(
        state=CardState.SAVED, due_at=None, entry__state__in=[*entries.ENDED, entries.State.CONFIRMED]
    ).exclude(entry__payments__in=Payment.objects.open())
    return SavedCard.objects.filter(pk__in=over.values("pk"), state=CardState.SAVED, due_at=None).update(
        due_at=database_now(), charge_due_at=None, taken_until=None, attempts=0
    )
