"""Out of the line by oneself, and back in once after a missed offer."""

from datetime import datetime

import pghistory
from django.db import connection, transaction

from accounts.models import User
from registrations.models import QueueEntry, QueueEntryQuerySet
from registrations.rules import State
from registrations.services.errors import ClosedError, EntryNotFoundError, NotInQueueError
from registrations.services.telling import tell_accounts
from tournaments.queries import database_now


def leave_queue(*, account: User, public_id: str) -> QueueEntry:
    """Give up a place, or decline an offer. Leaving again is no error.

    Raises:
        EntryNotFoundError: not an entry of this account
        NotInQueueError: it is confirmed (then it is cancelled instead), or over
    """
    with transaction.atomic(), pghistory.context(service="leave_queue"):
        entry = own_entry(account, public_id)
        staying = QueueEntry.objects.filter(pk=entry.pk, state__in=[State.WAITING, State.OFFERED, State.PASSED])
        left = end(staying, State.LEFT, database_now())
        entry.refresh_from_db()
        if not left and entry.state != State.LEFT:
            raise NotInQueueError(entry.state)
        tell_accounts([(account.pk, entry.public_id)])
    return entry


def end(entries: QueueEntryQuerySet, state: State, now: datetime) -> int:
    """Make it an end, and let go of what an entry may hold: a seat, an offer, a checkout. Returns how many ended."""
    return entries.update(
        state=state, seat=None, offer_expires_at=None, hold_until=None, checkout_at=None, ended_at=now
    )


STEP_BACK_IN = """
WITH tournament AS MATERIALIZED (
    SELECT id FROM tournaments_tournament
    WHERE id = %(tournament)s AND cancelled_at IS NULL AND closed_at IS NULL AND statement_timestamp() < offers_end_at
    FOR KEY SHARE
)
UPDATE registrations_queueentry e SET state = 'WAITING', stepped_back_at = statement_timestamp()
FROM tournament t
WHERE e.id = %(entry)s AND e.tournament_id = t.id AND e.state = 'PASSED' AND e.stepped_back_at IS NULL
"""


def step_back_in(*, account: User, public_id: str) -> QueueEntry:
    """Return to the old place after a missed offer, once.

    Raises:
        EntryNotFoundError, NotInQueueError, ClosedError (registration is over)
    """
    with transaction.atomic(), pghistory.context(service="step_back_in"):
        entry = own_entry(account, public_id)
        with connection.cursor() as cursor:
            cursor.execute(STEP_BACK_IN, {"tournament": entry.tournament_id, "entry": entry.pk})
            stepped = cursor.rowcount
        entry.refresh_from_db()
        if not stepped and not (entry.state == State.WAITING and entry.stepped_back_at):
            raise ClosedError if entry.state == State.PASSED else NotInQueueError(entry.state)
        tell_accounts([(account.pk, entry.public_id)])
    return entry


def own_entry(account: User, public_id: str) -> QueueEntry:
    """The account's entry with this id; EntryNotFoundError otherwise, also for somebody else's."""
    try:
        return QueueEntry.objects.of(account).select_related("tournament", "player").get(public_id=public_id)
    except QueueEntry.DoesNotExist:
        raise EntryNotFoundError from None


def any_entry(public_id: str) -> QueueEntry:
    """The entry with this id, whosever it is: for staff. EntryNotFoundError if there is none."""
    try:
        return QueueEntry.objects.select_related("tournament", "player").get(public_id=public_id)
    except QueueEntry.DoesNotExist:
        raise EntryNotFoundError from None
