"""Cancelling a tournament: at once nobody can join or pay; confirmed seats are given back one by one, resumably."""

import pghistory
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from accounts.models import User
from payments.models import Payment
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


def cancel_confirmed_entries(*, tournament_id: int) -> int:
    """Cancel and refund the confirmed entries of a cancelled tournament, each in its own transaction; returns how many.

    Killed at any moment, it goes on with the rest when called again; two at once share the work.
    """
    with transaction.atomic(), pghistory.context(service="cancel_tournament"):
        tournament = Tournament.objects.locked().get(pk=tournament_id)
        if tournament.cancelled_at is None:
            return 0
        close_entries_of_cancelled(tournament_id=tournament_id)  # an offer reopened since, by a failed capture
    confirmed = QueueEntry.objects.filter(tournament=tournament_id, state=State.CONFIRMED).order_by("pk")
    return sum(_cancel_one(entry_id) for entry_id in confirmed.values_list("pk", flat=True))


def _cancel_one(entry_id: int) -> bool:
    with transaction.atomic(), pghistory.context(service="cancel_tournament"):
        entry = lock_entry(entry_id)
        if entry.state != State.CONFIRMED:
            return False
        payment = Payment.objects.live().locked().filter(entry=entry).first()
        terms = RefundTerms(payment.amount_minor if payment else 0, 0)
        give_seat_back(entry, payment, terms, reason=_("The tournament was cancelled."), by=None)
    return True


def half_cancelled() -> list[int]:
    """Ids of cancelled tournaments in which somebody still holds or awaits a seat."""
    left = QueueEntry.objects.live().filter(tournament=OuterRef("pk"))
    return list(
        Tournament.objects.filter(Exists(left), cancelled_at__isnull=False).order_by("pk").values_list("pk", flat=True)
    )
