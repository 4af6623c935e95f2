"""Rows as payments hold them. Lock order: tournament, entries by id, seats, card, payment."""

from datetime import datetime, timedelta

from django.db.models import F

from payments.models import Payment, SavedCard
from payments.rules import LONGEST_PAUSE, pause
from registrations.models import QueueEntry
from tournaments.queries import database_now


def lock_payment(payment_id: int) -> Payment:
    """The payment's row and, before it, its entry's (`payment.entry`), both FOR UPDATE. No network call until the commit."""
    entry_id = Payment.objects.values_list("entry_id", flat=True).get(pk=payment_id)
    entry = lock_entry(entry_id)
    payment = Payment.objects.locked().get(pk=payment_id)
    payment.entry = entry
    return payment


def lock_card(card_id: int) -> SavedCard:
    """The card's row and, before it, its entry's (`card.entry`), both FOR UPDATE. No network call until the commit."""
    entry = lock_entry(SavedCard.objects.values_list("entry_id", flat=True).get(pk=card_id))
    card = SavedCard.objects.locked().get(pk=card_id)
    card.entry = entry
    return card


def lock_entry(entry_id: int) -> QueueEntry:
    """The entry's row alone, FOR UPDATE, with its tournament and organization, division and player as they were read."""
    entries = QueueEntry.objects.select_for_update(of=("self",))
    return entries.select_related("tournament__organization", "division", "player").get(pk=entry_id)


def postpone(payment: Payment, until: datetime | None = None) -> None:
    """Let the sweep look at an open payment again: at `until`, or after a pause that grows with each failure."""
    due_at = until or database_now() + pause(payment.attempts)
    # One that was released meanwhile is due at once, and stays so.
    Payment.objects.open().filter(pk=payment.pk, state=payment.state, released_at=payment.released_at).update(
        attempts=F("attempts") + 1, due_at=due_at, taken_until=None
    )


def postpone_card(card: SavedCard, first: timedelta | None = None) -> None:
    """Let the sweep look at a card again: after a pause that starts at `first` and grows, or as after a failure."""
    wait = min(first * (1 << min(card.attempts, 10)), LONGEST_PAUSE) if first else pause(card.attempts)
    SavedCard.objects.filter(pk=card.pk, state=card.state, due_at__isnull=False).update(
        attempts=F("attempts") + 1, due_at=database_now() + wait, taken_until=None
    )
