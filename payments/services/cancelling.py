"""Cancelling a tournament: at once nobody can join or pay; confirmed seats are given back in batches, resumably.

The refunds are rows, made with each cancellation; workers carry them out afterwards, at the pace that Stripe allows.
"""

import logging
from dataclasses import dataclass

import pghistory
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from accounts.models import User
from payments.models import Payment
from payments.queries import left_of
from payments.rules import RefundTerms
from payments.services.locking import lock_entry
from payments.services.refunding import give_seat_back
from payments.tasks import cancel_confirmed
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import close_entries_of_cancelled
from tournaments.models import Tournament
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit

logger = logging.getLogger(__name__)

BATCH = 20


def cancel_tournament(*, tournament_id: int, by: User, reason: str) -> None:
    """Cancel for good: who waits or is offered a seat is closed now, who is confirmed is cancelled and refunded in full.

    Repeating it changes nothing.
    """
    with transaction.atomic(), pghistory.context(service="cancel_tournament", by=by.pk, reason=reason):
        tournament = Tournament.objects.locked().get(pk=tournament_id)
        if tournament.cancelled_at is not None:
            return
        Tournament.objects.filter(pk=tournament_id).update(cancelled_at=database_now())
        close_entries_of_cancelled(tournament_id=tournament_id)
        wake_on_commit(cancel_confirmed, tournament_id)


def cancel_confirmed_entries(*, tournament_id: int, limit: int | None = None) -> int:
    """Cancel and refund the confirmed entries of a cancelled tournament, batch by batch; returns how many.

    Each batch is one transaction: killed at any moment, it goes on with the rest when called again. Several at once share the
    work, since none waits for a batch that another holds. After `limit` entries a worker is woken for the rest.
    """
    with transaction.atomic(), pghistory.context(service="cancel_tournament"):
        tournament = Tournament.objects.locked().get(pk=tournament_id)
        if tournament.cancelled_at is None:
            return 0
        close_entries_of_cancelled(tournament_id=tournament_id)  # an offer reopened since, by a failed capture
    cancelled, last = 0, 0
    while batch := _cancel_batch(tournament_id, last):
        cancelled, last = cancelled + batch.cancelled, batch.last
        if limit is not None and cancelled >= limit:
            wake_on_commit(cancel_confirmed, tournament_id)
            break
    return cancelled


@dataclass(frozen=True)
class _Batch:
    last: int
    cancelled: int


def _cancel_batch(tournament_id: int, after: int) -> _Batch | None:
    """The next confirmed entries that nobody else is at; None when there are no more."""
    with transaction.atomic(), pghistory.context(service="cancel_tournament"):
        confirmed = QueueEntry.objects.filter(tournament=tournament_id, state=State.CONFIRMED, pk__gt=after).order_by(
            "pk"
        )
        taken = confirmed.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)
        ids = list(taken[:BATCH])
        return _Batch(ids[-1], sum(_cancel_one(entry_id) for entry_id in ids)) if ids else None


def _cancel_one(entry_id: int) -> bool:
    """Whether it worked; one that doesn't holds up nobody else, and is tried again by the sweep."""
    try:
        with transaction.atomic():
            entry = lock_entry(entry_id)
            payment = Payment.objects.live().locked().filter(entry=entry).first()
            terms = RefundTerms(left_of(payment) if payment else 0, 0)
            give_seat_back(entry, payment, terms, reason=_("The tournament was cancelled."), by=None)
    except Exception:
        logger.exception("Entry %s of a cancelled tournament can't be cancelled", entry_id)
        return False
    return True


def half_cancelled() -> list[int]:
    """Ids of cancelled tournaments in which somebody still holds or awaits a seat."""
    left = QueueEntry.objects.live().filter(tournament=OuterRef("pk"))
    return list(
        Tournament.objects.filter(Exists(left), cancelled_at__isnull=False).order_by("pk").values_list("pk", flat=True)
    )
