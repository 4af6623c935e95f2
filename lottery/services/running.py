"""The draw itself: the entropy is known, and with it the seed, every key, the ranks and the places."""

import logging
from datetime import datetime, timedelta
from itertools import islice

import pghistory
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from lottery import beacon
from lottery.drawing import Keys, Result, bundle_pieces, entropy_bytes, seed_of
from lottery.models import Draw, DrawFile
from lottery.queries import divisions_of, plain_bytes, ranked_in, ranking, sealed_rows
from lottery.services import telling
from lottery.services.files import write_file
from lottery.services.rounds import published_in_time, round_published_at
from tournaments.models import Tournament
from tournaments.queries import database_now
from vgchub import live
from vgchub.postgresql.locks import Work, only_one

logger = logging.getLogger(__name__)

# drand is asked again after a tenth of the time that it has let us wait, within these bounds.
ASK_AGAIN = timedelta(seconds=2), timedelta(minutes=1)
ROWS = 20_000

RANK = """
UPDATE lottery_drawentry d SET key = r.key, rank = r.rank, division_rank = r.division_rank
FROM (
    SELECT id, key, row_number() OVER (ORDER BY key, id) AS rank,
           row_number() OVER (PARTITION BY division ORDER BY key, id) AS division_rank
    FROM draw_key
) r
WHERE d.id = r.id AND d.draw_id = %(draw)s AND d.key IS NULL
"""

# Before all who joined meanwhile (their places are positive); who has left is in the ranking, and stands nowhere.
PLACE = """
UPDATE registrations_queueentry e SET place = d.rank - %(entrants)s - 1
FROM lottery_drawentry d
WHERE d.draw_id = %(draw)s AND e.id = d.entry_id AND e.state = 'WAITING' AND e.place IS NULL
"""

PLACE_LEFT_OUT = """
UPDATE registrations_queueentry e SET place = e.number
FROM lottery_leftout l
WHERE l.draw_id = %(draw)s AND e.id = l.entry_id AND e.state = 'WAITING' AND e.place IS NULL
"""


def due_to_draw() -> list[int]:
    """Ids of the sealed draws whose entropy should be known by now."""
    now = database_now()
    sealed = Draw.objects.filter(state=Draw.State.SEALED, tournament__cancelled_at=None).order_by("sealed_at")
    return [draw.pk for draw in sealed if not draw.uses_drand or _may_ask(draw, now)]


def due_to_bundle() -> list[int]:
    """Ids of the draws whose bundle is still to be written."""
    bundles = DrawFile.objects.filter(draw=OuterRef("pk"), name=DrawFile.Name.BUNDLE)
    return list(Draw.objects.filter(state=Draw.State.DRAWN).exclude(Exists(bundles)).values_list("pk", flat=True))


def _may_ask(draw: Draw, now: datetime) -> bool:
    """drand is asked once the round is out, and again after a tenth of the time that it has let us wait."""
    try:
        round_at = round_published_at(draw)
    except beacon.BeaconAwayError as error:
        logger.error("Draw %s can't be drawn: %s", draw, error)  # noqa: TRY400  where it happened says nothing
        return False
    shortest, longest = ASK_AGAIN
    wait = min(longest, max(shortest, (now - round_at) / 10))
    return now >= round_at and (draw.asked_at is None or draw.asked_at + wait <= now)


def run_draw(*, draw_id: int) -> bool:
    """Draw, if the entropy is known; returns whether it was done now and not before. Killed halfway, nothing was done."""
    draw = Draw.objects.filter(pk=draw_id, state=Draw.State.SEALED).first()
    if draw is None:
        return False
    found = _reveal(draw) if draw.uses_drand else beacon.Beacon(0, "", "")
    if found is None:
        return False
    with transaction.atomic(), pghistory.context(service="run_draw"):
        return only_one(Work.DRAW, draw_id) and _draw(draw_id, found)


def _reveal(draw: Draw) -> beacon.Beacon | None:
    """The round that the manifest named; None while it can't be had. No lock is held while relays are asked.

    As long as one worker asks, the time of asking lies ahead, so that relays that don't answer keep no second one busy.
    """
    asking = Draw.objects.filter(Q(asked_at=None) | Q(asked_at__lte=Now()), pk=draw.pk)
    longest = timedelta(seconds=len(settings.DRAND_RELAYS) * beacon.TIMEOUTS.total)
    if not asking.update(asked_at=Now() + longest):
        return None
    try:
        if not published_in_time(draw):
            logger.error(
                "Draw %s named round %s, which was out when its manifest was: declare it void", draw, draw.round
            )
            return None
        return beacon.fetch(beacon.chain_named(draw.chain), draw.round or 0)
    except beacon.BeaconError as error:
        logger.warning("Draw %s waits for round %s of drand: %s", draw, draw.round, error)
        return None
    finally:
        Draw.objects.filter(pk=draw.pk).update(asked_at=Now())


def _draw(draw_id: int, found: beacon.Beacon) -> bool:
    """Everything in one transaction: either all have their rank and place, or nobody has."""
    tournament_id = Draw.objects.values_list("tournament", flat=True).get(pk=draw_id)
    tournament = Tournament.objects.held().get(pk=tournament_id)
    draw = Draw.objects.select_for_update().get(pk=draw_id)
    if draw.state != Draw.State.SEALED or tournament.cancelled_at is not None:
        return False
    draw.randomness, draw.signature = found.randomness, found.signature
    seed = seed_of(bytes.fromhex(draw.manifest_sha256), entropy_bytes(draw.revealed()))
    _rank(draw, seed)
    _place(draw)
    draw.seed, draw.drawn_at, draw.state = seed.hex(), database_now(), Draw.State.DRAWN
    draw.save()
    Tournament.objects.filter(pk=tournament_id).update(drawn_at=draw.drawn_at)
    telling.tell_drawn(draw)
    live.tell_all_on_commit(tournament_id, "draw.drawn", draw=draw.public_id)
    return True


def _rank(draw: Draw, seed: bytes) -> None:
    keys = Keys(seed)
    rows = ((pk, entry.division, keys.of(entry.id, entry.tickets)) for pk, entry in sealed_rows(draw))
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE draw_key (id bigint, division text, key bytea)")
        while chunk := list(islice(rows, ROWS)):
            with cursor.copy("COPY draw_key FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int8", "text", "bytea"])
                for row in chunk:
                    copy.write_row(row)
        cursor.execute("ANALYZE draw_key")
        cursor.execute("SELECT set_config('vgchub.drawing', 'on', true)")  # what the trigger on these rows asks for
        cursor.execute(RANK, {"draw": draw.pk})
        if cursor.rowcount != draw.entrants:
            raise RuntimeError(f"Draw {draw} sealed {draw.entrants} entries and ranked {cursor.rowcount}")
        cursor.execute("SELECT set_config('vgchub.drawing', 'off', true)")
        cursor.execute("DROP TABLE draw_key")


def _place(draw: Draw) -> None:
    """Give everybody who still waits a place in line."""
    with connection.cursor() as cursor:
        cursor.execute(PLACE, {"draw": draw.pk, "entrants": draw.entrants})
        cursor.execute(PLACE_LEFT_OUT, {"draw": draw.pk})


def write_bundle(*, draw_id: int) -> bool:
    """Publish the file with which anybody can check the draw; returns whether it was written now."""
    with transaction.atomic():
        if not only_one(Work.DRAW, draw_id):
            return False
        draw = Draw.objects.get(pk=draw_id)
        if draw.state != Draw.State.DRAWN or draw.files.filter(name=DrawFile.Name.BUNDLE).exists():
            return False
        manifest = draw.files.get(name=DrawFile.Name.MANIFEST)
        result = Result(
            divisions_of(draw), bytes.fromhex(draw.manifest_sha256), draw.revealed(), bytes.fromhex(draw.seed)
        )
        pieces = bundle_pieces(result, plain_bytes(manifest), ranking(draw), lambda code: ranked_in(draw, code))
        write_file(draw, DrawFile.Name.BUNDLE, pieces)
        live.tell_all_on_commit(draw.tournament_id, "draw.bundled", draw=draw.public_id)
    return True
