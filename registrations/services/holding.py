"""From an offer to a confirmed seat, and back. Each is one UPDATE WHERE state = <old>; whoever comes second finds zero rows."""

from datetime import datetime, timedelta

import pghistory
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest, Least
from django.utils.translation import gettext as _

from accounts.models import User
from registrations.models import Notice, QueueEntry
from registrations.rules import CARD_RETRY_MINUTES, State
from registrations.services import notices
from registrations.services.errors import NotInQueueError
from registrations.services.leaving import any_entry, end, own_entry
from registrations.services.offering import lapse, offer_deadlines
from registrations.services.telling import tell_changed
from tournaments.models import Tournament
from tournaments.queries import database_now
from vgchub.errors import RefusedError

# What changes with an offer and its seat.
HELD = ["state", "seat", "offer_number", "offer_expires_at", "checkout_at", "hold_until", "confirmed_at", "ended_at"]


class OfferOverError(RefusedError):
    code = "offer_over"

    def __init__(self, state: str) -> None:
        super().__init__(
            _("There is no open offer for this entry: it ended, or was never made."),
            remedy=_("The entry's page shows what happened. After a first missed offer you can step back in once."),
            state=state,
        )


def take_up_offer(*, account: User, public_id: str) -> QueueEntry:
    """Begin the checkout of an offer: its deadline is extended once to leave time to pay, never past `hold_until`.

    A free or waived entry is confirmed at once. Repeating it changes nothing.

    Raises:
        EntryNotFoundError, OfferOverError
    """
    with transaction.atomic(), pghistory.context(service="take_up_offer"):
        entry = own_entry(account, public_id)
        now = database_now()
        if entry.tournament.is_free or entry.waived_by_id:
            return _confirm(entry, now, unless_over_at=_deadline_clock(entry.tournament, now))
        moment = _deadline_clock(entry.tournament, now)
        paying = moment + timedelta(minutes=entry.tournament.payment_minutes)
        begun = QueueEntry.objects.filter(
            pk=entry.pk, state=State.OFFERED, checkout_at=None, offer_expires_at__gt=moment
        ).update(
            checkout_at=now,
            offer_expires_at=Least(F("hold_until"), Greatest(F("offer_expires_at"), Value(paying))),
        )
        entry.refresh_from_db(fields=["state", "checkout_at", "offer_expires_at", "hold_until"])
        if not begun and (entry.state != State.OFFERED or entry.checkout_at is None):
            raise OfferOverError(entry.state)
        tell_changed(entry)
    return entry


def _deadline_clock(tournament: Tournament, now: datetime) -> datetime:
    """What deadlines are held against: the time, which stands still in a pause, since resuming adds the paused time to them."""
    return tournament.paused_at or now


def extend_for_retry(*, entry_id: int) -> None:
    """A card was declined: leave ten more minutes, within `hold_until`."""
    with transaction.atomic(), pghistory.context(service="extend_for_retry"):
        entry = QueueEntry.objects.select_related("player", "tournament").get(pk=entry_id)
        _extend(entry, _deadline_clock(entry.tournament, database_now()) + timedelta(minutes=CARD_RETRY_MINUTES))


def extend_for_bank(*, entry_id: int, until: datetime) -> bool:
    """The card's bank is asking its holder (3-D Secure): leave the offer until then, within `hold_until`.

    Returns whether it is still open.
    """
    with transaction.atomic(), pghistory.context(service="extend_for_bank"):
        return _extend(QueueEntry.objects.select_related("player", "tournament").get(pk=entry_id), until)


def _extend(entry: QueueEntry, until: datetime) -> bool:
    """An offer with a checkout lasts until then, or for as long as it would have, and never past `hold_until`."""
    extended = QueueEntry.objects.filter(pk=entry.pk, state=State.OFFERED, checkout_at__isnull=False).update(
        offer_expires_at=Least(F("hold_until"), Greatest(F("offer_expires_at"), Value(until)))
    )
    tell_changed(entry)
    return bool(extended)


def confirm_entry(*, entry_id: int, paid: bool = False) -> QueueEntry:
    """OFFERED becomes CONFIRMED; the seat is theirs. Confirming again changes nothing.

    A free entry has to be in time. A paid one (`paid`, called by payments with an authorisation in hand) is confirmed as long as
    the seat is held: it was held for exactly this.

    Raises:
        OfferOverError
    """
    with transaction.atomic():
        now = database_now()
        entry = QueueEntry.objects.select_related("player", "tournament").get(pk=entry_id)
        return _confirm(entry, now, unless_over_at=None if paid else _deadline_clock(entry.tournament, now))


def _confirm(entry: QueueEntry, now: datetime, *, unless_over_at: datetime | None) -> QueueEntry:
    """One UPDATE, which looks at the deadline if there is one to keep; the entry then says how it stands."""
    offered = QueueEntry.objects.filter(pk=entry.pk, state=State.OFFERED)
    if unless_over_at is not None:
        offered = offered.filter(offer_expires_at__gt=unless_over_at)
    with pghistory.context(service="confirm_entry"):
        confirmed = offered.update(state=State.CONFIRMED, confirmed_at=now, offer_expires_at=None, hold_until=None)
    entry.refresh_from_db(fields=HELD)
    if not confirmed and entry.state != State.CONFIRMED:
        raise OfferOverError(entry.state)
    if confirmed:
        notices.due([entry], Notice.Kind.CONFIRMED, now)
        tell_changed(entry)
    return entry


def reopen_offer(*, entry_id: int) -> bool:
    """The capture failed for good: the seat stays with the player, to be paid again within a fresh deadline.

    It is that of an offer made now (hours outside the rush, never ending in the night), and at least the time to pay once more.
    """
    with transaction.atomic(), pghistory.context(service="reopen_offer"):
        now = database_now()
        entry = QueueEntry.objects.select_related("player", "tournament").get(pk=entry_id)
        paying = timedelta(minutes=entry.tournament.payment_minutes + CARD_RETRY_MINUTES)
        expires_at = max(now + paying, offer_deadlines(entry.tournament, now).expires_at)
        reopened = QueueEntry.objects.filter(pk=entry_id, state=State.CONFIRMED).update(
            state=State.OFFERED,
            confirmed_at=None,
            checkout_at=None,
            offer_expires_at=expires_at,
            hold_until=expires_at + paying,
        )
        if reopened:
            notices.due([entry], Notice.Kind.UNSEATED, now)
            tell_changed(entry)
    return bool(reopened)


def cancel_entry(*, entry_id: int, reason: str = "", by: User | None = None) -> QueueEntry:
    """CONFIRMED becomes CANCELLED; the seat goes to the next in line. Refunds are the caller's (payments).

    Raises:
        NotInQueueError: not confirmed
    """
    context = {"by": by.pk} if by else {}
    with transaction.atomic(), pghistory.context(service="cancel_entry", reason=reason, **context):
        now = database_now()
        cancelled = end(QueueEntry.objects.filter(pk=entry_id, state=State.CONFIRMED), State.CANCELLED, now)
        entry = QueueEntry.objects.select_related("player", "tournament").get(pk=entry_id)
        if not cancelled and entry.state != State.CANCELLED:
            raise NotInQueueError(entry.state)
        if cancelled:
            notices.due([entry], Notice.Kind.CANCELLED, now)
            tell_changed(entry)
    return entry


def lapse_offer(*, entry_id: int) -> bool:
    """Payments found the checkout over without a payment: the offer lapses, if its time is up. Returns whether it did."""
    with transaction.atomic(), pghistory.context(service="lapse_offer"):
        entry = QueueEntry.objects.get(pk=entry_id)
        tournament = Tournament.objects.locked().get(pk=entry.tournament_id)
        if tournament.paused_at is not None:
            return False
        return lapse(tournament.pk, entry_id=entry_id, settled=True) == 1


def waive_fee(*, public_id: str, by: User, reason: str) -> QueueEntry:
    """Staff let somebody in without the fee, with a written reason; the offer is then confirmed with one click.

    Raises:
        EntryNotFoundError
        NotInQueueError: the entry is confirmed or over, or its checkout has begun
    """
    with transaction.atomic(), pghistory.context(service="waive_fee", by=by.pk, reason=reason):
        waived = QueueEntry.objects.filter(
            public_id=public_id, state__in=[State.WAITING, State.OFFERED, State.PASSED], checkout_at=None
        ).update(waived_by=by, waiver_reason=reason)
        entry = any_entry(public_id)
        if not waived:
            raise NotInQueueError(entry.state)
        tell_changed(entry)
    return entry
