"""An offer whose seat is paid by a card on file: while the card is charged, the clock leaves it to payments."""

import pghistory
from django.db import transaction

from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services.telling import tell_changed
from tournaments.queries import database_now


def begin_charge(*, entry_id: int) -> bool:
    """As if a checkout had begun: whether the offer lapses is for payments to settle, within `hold_until`."""
    return _mark(entry_id, "begin_charge", charging=True)


def end_charge(*, entry_id: int) -> bool:
    """The card was refused: the offer goes on as one that nobody has begun to pay, and lapses by the clock."""
    return _mark(entry_id, "end_charge", charging=False)


def _mark(entry_id: int, service: str, *, charging: bool) -> bool:
    with transaction.atomic(), pghistory.context(service=service):
        offered = QueueEntry.objects.filter(pk=entry_id, state=State.OFFERED, checkout_at__isnull=charging)
        marked = offered.update(checkout_at=database_now() if charging else None)
        if marked:
            tell_changed(QueueEntry.objects.select_related("player").get(pk=entry_id))
    return bool(marked)
