"""Who won with a card on file: when it is charged, and the mail that says so."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pghistory
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from payments.models import SavedCard
from payments.rules import CardState, first_charge
from payments.services.locking import lock_card
from payments.services.one_by_one import one_by_one
from registrations import rules as entries
from registrations.models import Notice
from registrations.services import notices
from registrations.services.telling import tell_changed
from tournaments.queries import database_now
from vgchub.words import moment, money

BATCH = 200


def plan_charges() -> int:
    """Plan the charge of each card whose entry was offered a seat, and tell its player until when to decline. Returns how many.

    For one offer once: the mail that says so is the mark.
    """
    told = Notice.objects.filter(
        entry=OuterRef("entry"), offer_number=OuterRef("entry__offer_number"), kind=Notice.Kind.WON
    )
    won = SavedCard.objects.filter(
        ~Exists(told),
        state=CardState.SAVED,
        due_at=None,
        charge_due_at=None,
        needs_player_at=None,
        entry__state=entries.State.OFFERED,
        entry__waived_by=None,
        entry__tournament__fee_minor__gt=0,
    )
    ids = list(won.order_by("entry__offer_number").values_list("pk", flat=True)[:BATCH])
    return one_by_one(ids, _plan)


def _plan(card_id: int) -> bool:
    with transaction.atomic(), pghistory.context(service="plan_charges"):
        card, now = lock_card(card_id), database_now()
        entry, tournament = card.entry, card.entry.tournament
        if entry.state != entries.State.OFFERED or card.state != CardState.SAVED or card.due_at or card.charge_due_at:
            return False
        told = Notice.objects.filter(entry=entry, kind=Notice.Kind.WON, offer_number=entry.offer_number or 0)
        if told.exists() or entry.offered_at is None or entry.offer_expires_at is None:
            return False
        _say_instead_of_the_offer(card, now)
        if not is_agreed(card):
            ask_player(card, "price_changed", price_words(card), now)
            return True
        charged_at = first_charge(
            offered_at=entry.offered_at, expires_at=entry.offer_expires_at, decline_hours=tournament.decline_hours
        )
        if charged_at is None:
            ask_player(card, "offer_too_short", _("The offer is too short for the time in which you may decline."), now)
            return True
        card.charges, card.charge_due_at = 0, charged_at
        card.save(update_fields=["charges", "charge_due_at"])
        notices.due([entry], Notice.Kind.WON, now, facts=_facts(card, now))
        tell_changed(card.entry)
    return True


def is_agreed(card: SavedCard) -> bool:
    """Whether the fee is (still) within what the player agreed to be charged."""
    tournament = card.entry.tournament
    return card.currency == tournament.currency and tournament.fee_minor <= card.agreed_minor


def price_words(card: SavedCard) -> str:
    """Why a card is not charged whose player agreed to a lower fee, or to one in another currency."""
    tournament = card.entry.tournament
    return _("The price is %(now)s now; you had agreed to %(agreed)s.") % {
        "now": money(tournament.fee_minor, tournament.currency),
        "agreed": money(card.agreed_minor, card.currency),
    }


def ask_player(card: SavedCard, code: str, message: str, now: datetime) -> None:
    """The card of a locked row is not charged any more: only its player can go on, and is told so by mail."""
    card.needs_player_at, card.charge_due_at = now, None
    card.failure_code, card.failure_message = code[:64], message
    card.save(update_fields=["needs_player_at", "charge_due_at", "failure_code", "failure_message"])
    facts = _facts(card, now) | {"problem": message, "bank_asks": code == "authentication_required"}
    notices.due([card.entry], Notice.Kind.ACTION, now, facts=facts)
    tell_changed(card.entry)


def _say_instead_of_the_offer(card: SavedCard, now: datetime) -> None:
    """One mail says both, unless the other was faster."""
    Notice.objects.filter(
        entry=card.entry, kind=Notice.Kind.OFFERED, offer_number=card.entry.offer_number or 0, mailed_at=None
    ).update(mailed_at=now)


def _facts(card: SavedCard, now: datetime) -> dict[str, str | bool]:
    tournament = card.entry.tournament
    facts: dict[str, str | bool] = {
        "card": f"{card.brand.title()} {card.last4}",
        "amount": money(tournament.fee_minor, tournament.currency),
    }
    if card.charge_due_at:
        until = card.charge_due_at.replace(second=0, microsecond=0)  # rather a minute early than late
        facts["charged_at"] = moment(until, ZoneInfo(tournament.time_zone), now=now)
    return facts
