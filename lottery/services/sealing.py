"""Sealing: from one moment on nobody enters; then the manifest is written from one snapshot and its hash published."""

import logging
from datetime import datetime, timedelta

import pghistory
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import User
from lottery.beacon import current_chain
from lottery.drawing import manifest_pieces
from lottery.models import Draw, DrawFile
from lottery.queries import group_codes, head_of, sealed_divisions, sealed_entries
from lottery.services import telling
from lottery.services.errors import DrawNotFoundError, NotDueError
from lottery.services.files import write_file
from lottery.services.rounds import published_in_time
from registrations.services import regroup_sealed
from tournaments.models import Tournament
from tournaments.queries import database_now
from vgchub import live
from vgchub.postgresql.locks import Work, only_one

logger = logging.getLogger(__name__)

# How long after sealing the round of drand is published at the earliest: nobody can know it while the entries are open.
AHEAD = {Draw.Kind.LOTTERY: timedelta(minutes=10), Draw.Kind.OPENING: timedelta(seconds=30)}

# One statement, so one snapshot: who is sealed and who is left out are the two halves of who waited. Sorted, so that the primary
# keys ascend with the public ids.
SEAL = """
WITH waiting AS MATERIALIZED (
    SELECT e.id AS entry_id, e.public_id, d.code AS division, e.group_id,
           CASE WHEN u.email_verified_at IS NULL THEN 'UNVERIFIED'
                WHEN p.player_id_state = 'DISPUTED' THEN 'DISPUTED' END AS left_out
    FROM registrations_queueentry e
    JOIN tournaments_division d ON d.id = e.division_id
    JOIN accounts_player p ON p.id = e.player_id
    JOIN accounts_user u ON u.id = p.account_id
    WHERE e.tournament_id = %(tournament)s AND e.state = 'WAITING' AND e.place IS NULL
), left_out AS (
    INSERT INTO lottery_leftout (draw_id, entry_id, reason)
    SELECT %(draw)s, entry_id, left_out FROM waiting WHERE left_out IS NOT NULL
)
INSERT INTO lottery_drawentry (draw_id, entry_id, division, "group", tickets)
SELECT %(draw)s, w.entry_id, w.division, coalesce(g.code, ''), coalesce(g.tickets, 1)
FROM waiting w
LEFT JOIN unnest(%(groups)s::bigint[], %(codes)s::text[], %(tickets)s::int[]) AS g (id, code, tickets) ON g.id = w.group_id
WHERE w.left_out IS NULL
ORDER BY w.public_id COLLATE "C"
"""


def due_to_seal() -> list[int]:
    """Ids of the draws whose entries are to be sealed now, or whose sealing was begun and not finished.

    One that follows a void draw is sealed by hand, once what went wrong is put right.
    """
    lottery = Q(kind=Draw.Kind.LOTTERY, tournament__seals_at__lte=Now())
    opening = Q(kind=Draw.Kind.OPENING, tournament__opens_at__lte=Now())
    begun = Q(tournament__entries_sealed_at__isnull=False)
    live_ones = Draw.objects.filter(
        state=Draw.State.OPEN,
        tournament__published_at__lte=Now(),
        tournament__cancelled_at=None,
        tournament__closed_at=None,
    )
    due = live_ones.filter(begun | (Q(supersedes=None) & (lottery | opening)))
    return list(due.order_by("opened_at").values_list("pk", flat=True))


def seal_draw(*, draw_id: int, by: User | None = None) -> bool:
    """Seal the entries, then write and publish the manifest; returns whether it was done now and not before.

    Killed halfway, it goes on where it was: no entry slips in, since the tournament's row says that entries are sealed.

    Raises:
        DrawNotFoundError, NotDueError
    """
    with pghistory.context(service="seal_draw", **({"by": by.pk} if by else {})):
        tournament_id = _close_the_door(draw_id, by_hand=by is not None)
        if tournament_id is None:
            return False
        if regrouped := regroup_sealed(tournament_id=tournament_id):
            Draw.objects.filter(pk=draw_id, state=Draw.State.OPEN).update(regrouped=F("regrouped") + regrouped)
        with pghistory.context(service="seal_draw"):  # regrouping left its own name
            return _write_manifest(draw_id, tournament_id)


def begin_sealing(*, draw_id: int, by: User) -> bool:
    """Somebody seals the entries: nobody enters from now on. The next look writes the manifest, without this person waiting.

    Returns whether it was done now and not before. Raises:
        DrawNotFoundError, NotDueError
    """
    with pghistory.context(service="seal_draw", by=by.pk):
        return _close_the_door(draw_id, by_hand=True) is not None


def _close_the_door(draw_id: int, *, by_hand: bool) -> int | None:
    """Whoever joins holds the row, so that nobody is half in after this. Returns the tournament; None if nothing is to do."""
    with transaction.atomic():
        draw = Draw.objects.filter(pk=draw_id).first()
        if draw is None:
            raise DrawNotFoundError
        tournament = Tournament.objects.locked().get(pk=draw.tournament_id)
        draw.refresh_from_db()
        if draw.state != Draw.State.OPEN:
            return None
        now = database_now()
        if not _may_be_sealed(draw, tournament, now, by_hand=by_hand):
            raise NotDueError
        Tournament.objects.filter(pk=tournament.pk, entries_sealed_at=None).update(entries_sealed_at=now)
    return tournament.pk


def _may_be_sealed(draw: Draw, tournament: Tournament, now: datetime, *, by_hand: bool) -> bool:
    if tournament.published_at is None or tournament.cancelled_at or tournament.closed_at:
        return False
    if tournament.entries_sealed_at:
        return True
    if draw.kind == Draw.Kind.OPENING:
        return tournament.opens_at <= now
    due = tournament.closes_at if by_hand else tournament.seals_at
    return due is not None and due <= now


def _write_manifest(draw_id: int, tournament_id: int) -> bool:
    """All that takes as long as there are entries. Joins of a fair start go on meanwhile, and stand behind."""
    with transaction.atomic():
        if not only_one(Work.DRAW, draw_id):
            return False
        tournament = Tournament.objects.held().get(pk=tournament_id)
        draw = Draw.objects.select_for_update().get(pk=draw_id)
        if draw.state != Draw.State.OPEN or tournament.entries_sealed_at is None or tournament.cancelled_at:
            return False
        draw.tournament = tournament
        draw.entrants = _seal(draw)
        # After what takes longest, so that the round is still to come when the manifest is public, however many entered.
        draw.sealed_at = database_now()
        if draw.uses_drand:
            chain = current_chain()
            draw.chain, draw.round = chain.hash, chain.first_round_after(draw.sealed_at + AHEAD[Draw.Kind(draw.kind)])
        draw.divisions = [division.plain() for division in sealed_divisions(tournament)]
        pieces = manifest_pieces(head_of(draw), sealed_entries(draw))
        draw.manifest_sha256 = write_file(draw, DrawFile.Name.MANIFEST, pieces).sha256
        draw.published_at, draw.state = database_now(), Draw.State.SEALED
        if draw.uses_drand and not published_in_time(draw):
            logger.error("Draw %s took so long to seal that its round was out: sealed once more, for a later one", draw)
            transaction.set_rollback(True)
            return False
        draw.save()
        telling.tell_sealed(draw)
        live.tell_all_on_commit(tournament.pk, "draw.sealed", draw=draw.public_id, manifest_sha256=draw.manifest_sha256)
    return True


def _seal(draw: Draw) -> int:
    """Write down who takes part; returns how many."""
    tickets = dict(draw.tournament.groups.values_list("pk", "tickets"))
    codes = group_codes(draw.tournament)
    with connection.cursor() as cursor:
        cursor.execute(
            SEAL,
            {
                "draw": draw.pk,
                "tournament": draw.tournament_id,
                "groups": list(codes),
                "codes": list(codes.values()),
                "tickets": [tickets[pk] for pk in codes],
            },
        )
        entrants: int = cursor.rowcount
        # Foreign keys are checked here, not at the end, which has to follow the time of publishing closely.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return entrants
