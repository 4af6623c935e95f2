"""Declaring a draw void: until the first offer, by two members of staff, with a reason that stays public."""

from datetime import datetime

import pghistory
from django.db import connection, transaction

from accounts.models import User
from lottery.models import Draw
from lottery.services import telling
from lottery.services.errors import (
    AlreadyOfferedError,
    DrawNotFoundError,
    NeedsAnotherPersonError,
    NothingProposedError,
    NotOfStaffError,
    NotSealedError,
)
from lottery.services.opening import new_draw
from registrations.models import QueueEntry
from tournaments.models import Tournament
from tournaments.queries import database_now
from vgchub import live

VOIDABLE = (Draw.State.SEALED, Draw.State.DRAWN)

# Also of who has left since: the next draw hands out the same places.
TAKE_BACK = """
UPDATE registrations_queueentry e SET place = NULL
WHERE e.place IS NOT NULL
  AND (e.id IN (SELECT entry_id FROM lottery_drawentry WHERE draw_id = %(draw)s)
       OR e.id IN (SELECT entry_id FROM lottery_leftout WHERE draw_id = %(draw)s))
"""


def propose_void(*, draw_id: int, by: User, reason: str) -> Draw:
    """Say, with the reason, that a draw should be void. Nothing changes until another member of staff confirms it.

    Raises:
        DrawNotFoundError, NotOfStaffError, NotSealedError, AlreadyOfferedError
    """
    with transaction.atomic(), pghistory.context(service="propose_void", by=by.pk, reason=reason):
        draw = _held(draw_id, by)
        draw.void_reason, draw.void_proposed_by, draw.void_proposed_at = reason, by, database_now()
        draw.save()
    return draw


def withdraw_proposal(*, draw_id: int, by: User) -> Draw:
    """Take a proposal back: anybody of the staff may.

    Raises:
        DrawNotFoundError, NotOfStaffError, NotSealedError, AlreadyOfferedError
    """
    with transaction.atomic(), pghistory.context(service="withdraw_proposal", by=by.pk):
        draw = _held(draw_id, by)
        draw.void_reason, draw.void_proposed_by, draw.void_proposed_at = "", None, None
        draw.save()
    return draw


def void_draw(*, draw_id: int, by: User) -> Draw:
    """Confirm what another proposed: the draw is void, and a new one is open that names it. Returns the new one.

    Raises:
        DrawNotFoundError, NotOfStaffError, NotSealedError, AlreadyOfferedError, NothingProposedError, NeedsAnotherPersonError
    """
    with transaction.atomic(), pghistory.context(service="void_draw", by=by.pk):
        draw = _held(draw_id, by)
        if draw.void_proposed_by_id is None:
            raise NothingProposedError
        if draw.void_proposed_by_id == by.pk:
            raise NeedsAnotherPersonError
        now = database_now()
        return _void(draw, by, now)


def _held(draw_id: int, by: User) -> Draw:
    """The draw, with its tournament's row held against offers, as long as it can be declared void."""
    if not by.is_staff:
        raise NotOfStaffError
    tournament_id = Draw.objects.filter(pk=draw_id).values_list("tournament", flat=True).first()
    if tournament_id is None:
        raise DrawNotFoundError
    tournament = Tournament.objects.locked().get(pk=tournament_id)
    draw = Draw.objects.select_for_update().get(pk=draw_id)
    draw.tournament = tournament
    if draw.state not in VOIDABLE:
        raise NotSealedError
    if QueueEntry.objects.filter(tournament=tournament, offered_at__isnull=False).exists():
        raise AlreadyOfferedError
    return draw


def _void(draw: Draw, by: User, now: datetime) -> Draw:
    telling.stop_mails(draw)  # before any entry is touched: who makes their notices holds the entries
    draw.state, draw.void_confirmed_by, draw.voided_at = Draw.State.VOID, by, now
    draw.save()
    # First the tournament: only without a draw may a place be taken back.
    Tournament.objects.filter(pk=draw.tournament_id).update(entries_sealed_at=None, drawn_at=None)
    with connection.cursor() as cursor:
        cursor.execute(TAKE_BACK, {"draw": draw.pk})
    telling.tell_void(draw)
    live.tell_all_on_commit(draw.tournament_id, "draw.voided", draw=draw.public_id)
    return new_draw(draw.tournament, now, supersedes=draw)
