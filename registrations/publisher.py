"""Publishes the line: for each tournament at most once a second, and only when it moved.

One process does it, the clock. What it knows is in memory and rebuilt from the database whenever it takes over; Redis holds the
latest for whoever asks (`LineStore`), and passes each move on to the live processes.
"""

import json
import logging
import time
from collections import defaultdict, deque
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Q
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from registrations import queries
from registrations.line import BLOCK, Flow, Lane, Line, bitmap, block_of, expected_seats, pack
from tournaments.models import Tournament
from tournaments.queries import database_now
from vgchub import live

logger = logging.getLogger(__name__)

# Events become visible in the order of their commits, not of their numbers: those younger than this are read again.
IN_FLIGHT_SECONDS = 10
REBUILD_SECONDS = 300
KEPT_SECONDS = 24 * 3600

# More blocks than this are not asked for one by one: a draw touches them all.
MANY_BLOCKS = 32

Touched = list[tuple[Lane, int, int]]

# A change without a place may have taken it away (a draw was declared void): its block is null, for all of the tournament.
TOUCHED = """
SELECT tournament_id, floor(place / %s::numeric)::bigint, max(pgh_id) FROM registrations_queueentryevent
WHERE pgh_id > %s AND (place IS NOT NULL OR pgh_label = 'update') GROUP BY 1, 2
"""


def line_key(tournament_id: int) -> str:
    """The Redis hash with the latest line: field `head`, and one for each block."""
    return f"vgchub:line:{tournament_id}"


def block_field(division_id: int, priority: int, block: int) -> str:
    return f"{division_id}:{priority}:{block}"


class LinePublisher:
    """Call `publish_moves` about once a second."""

    def __init__(self) -> None:
        self.lines: dict[int, Line] = {}
        self.heads: dict[int, str] = {}
        self.seen: deque[tuple[float, int]] = deque()
        self.rebuilt_at = 0.0

    def publish_moves(self) -> int:
        """Look at every tournament whose line may move; returns how many lines were published."""
        if time.monotonic() - self.rebuilt_at > REBUILD_SECONDS:
            self.forget()
        # Read before the events: what is committed in between is published twice, and never missed.
        touched = self._touched_blocks()
        now = database_now()
        soon = now + timedelta(hours=2)
        tournaments = Tournament.objects.published(now).filter(
            Q(opens_at__lt=soon) | Q(prequeue_opens_at__lt=soon), offers_end_at__gt=now - timedelta(hours=1)
        )
        return sum(self._publish(tournament, touched[tournament.pk]) for tournament in tournaments)

    def forget(self) -> None:
        """Start anew from the database: another clock published meanwhile, or its time has come."""
        self.lines.clear()
        self.heads.clear()
        self.rebuilt_at = time.monotonic()

    def _touched_blocks(self) -> dict[int, set[int | None]]:
        """Tournament id -> numbers of the blocks that an event of the last seconds was about; None is all of them."""
        with connection.cursor() as cursor:
            if not self.seen:
                cursor.execute("SELECT coalesce(max(pgh_id), 0) FROM registrations_queueentryevent")
                self.seen.append((time.monotonic(), cursor.fetchone()[0]))
            since = self.seen[0][1]
            cursor.execute(TOUCHED, [BLOCK, since])
            rows = cursor.fetchall()
        touched: dict[int, set[int | None]] = defaultdict(set)
        for tournament_id, block, _last in rows:
            touched[tournament_id].add(block)
        now = time.monotonic()
        self.seen.append((now, max((last for _t, _b, last in rows), default=since)))
        while len(self.seen) > 1 and self.seen[1][0] < now - IN_FLIGHT_SECONDS:
            self.seen.popleft()
        return touched

    def _publish(self, tournament: Tournament, blocks: set[int | None]) -> bool:
        everything = tournament.pk not in self.lines or None in blocks or len(blocks) > MANY_BLOCKS
        line = self.lines.setdefault(tournament.pk, Line())
        touched = _read_blocks(
            line, tournament, None if everything else {block for block in blocks if block is not None}
        )
        head = json.dumps(head_of(tournament, line), separators=(",", ":"))
        store = LineStore(tournament.pk)
        if not store.there():
            # The first time, or Redis was flushed: everything is written again.
            touched = [(lane, number, bits) for lane, all_ in line.lanes.items() for number, bits in all_.items()]
        elif head == self.heads.get(tournament.pk) and not touched:
            return False
        self.heads[tournament.pk] = head
        store.write(head, touched)
        return True


def _read_blocks(line: Line, tournament: Tournament, blocks: set[int] | None) -> Touched:
    """Bring blocks (all of them for None) up to date in every lane; returns those that changed."""
    if blocks is not None and not blocks:
        return []
    places: dict[tuple[Lane, int], list[int]] = defaultdict(list)
    # Before its draw nobody in a lottery has a place, and there may be a million to look at.
    undrawn = tournament.mode == Tournament.Mode.LOTTERY and tournament.drawn_at is None
    for division_id, priority, place in [] if undrawn else queries.waiting_places(tournament.pk, blocks, BLOCK):
        places[Lane.of(division_id, priority), block_of(place)].append(place)
    # A place is unique in its tournament, so a block that is touched in one lane is looked at in all of them: an entry that
    # changed its lane has left another one.
    gone = {
        (lane, number)
        for lane, known in line.lanes.items()
        for number in known
        if (blocks is None or number in blocks) and (lane, number) not in places
    }
    now = {key: bitmap(found) for key, found in places.items()} | dict.fromkeys(gone, 0)
    return [(lane, number, bits) for (lane, number), bits in now.items() if line.replace(lane, number, bits)]


def head_of(tournament: Tournament, line: Line | None) -> dict[str, Any]:
    """What everybody sees: seats, how many wait, the pace, and (given a line) how many stand before each block."""
    flow = queries.offer_flow(tournament)
    nothing = queries.DivisionFlow(0, 0, 0, 0)
    divisions = {}
    for summary in queries.seat_summary(tournament):
        pk = summary.division.pk
        of = flow.get(pk, nothing)
        expected = expected_seats(
            Flow(summary.free, summary.offered, summary.confirmed, of.taken_up, of.missed, of.cancelled)
        )
        divisions[str(pk)] = {
            "code": summary.division.code,
            "seats": summary.seats,
            "confirmed": summary.confirmed,
            "offered": summary.offered,
            "free": summary.free,
            "waiting": summary.waiting,
            "sold_out_at": summary.sold_out_at and summary.sold_out_at.isoformat(),
            "mean": expected.mean,
            "deviation": expected.deviation,
            "offers_in_window": of.offers_in_window,
            "lanes": line.head(pk) if line else [],
        }
    return {
        "phase": tournament.phase(database_now()),
        "paused": tournament.paused_at is not None,
        "message": tournament.message,
        "divisions": divisions,
    }


class LineStore:
    """The latest published line of one tournament, in Redis."""

    def __init__(self, tournament_id: int) -> None:
        self.key, self.channel = line_key(tournament_id), live.tournament_channel(tournament_id)
        self.redis = get_redis_connection("default")

    def there(self) -> bool:
        return bool(self.redis.exists(self.key))

    def write(self, head: str, touched: Touched) -> None:
        """Keep the head and the touched blocks, and pass them on to the live processes."""
        blocks = {block_field(lane.division_id, lane.priority, number): bits for lane, number, bits in touched}
        packed = {name: pack(bits) for name, bits in blocks.items() if bits}
        empty = [name for name, bits in blocks.items() if not bits]
        pipe = self.redis.pipeline(transaction=True)
        pipe.hset(self.key, mapping={"head": head, **packed})
        if empty:
            pipe.hdel(self.key, *empty)
        pipe.expire(self.key, KEPT_SECONDS)
        pipe.publish(self.channel, moved_text(head, packed | dict.fromkeys(empty, "")))
        pipe.execute()

    def read(self, fields: list[str]) -> tuple[dict[str, Any] | None, dict[str, str]]:
        """The head (None where nothing is published, or Redis is away) and those of the asked blocks that are there."""
        try:
            head, *blocks = self.redis.hmget(self.key, ["head", *fields])
        except RedisError:
            logger.warning("Redis is away; positions are counted in the database")
            return None, {}
        found = {name: text.decode() for name, text in zip(fields, blocks, strict=True) if text}
        return (json.loads(head) if head else None), found


def moved_text(head: str, blocks: dict[str, str]) -> str:
    """The one text that every socket of the tournament gets: `{"kind": "line", "head": ..., "blocks": {field: bitmap}}`."""
    return f'{{"kind":"line","head":{head},"blocks":{json.dumps(blocks, separators=(",", ":"))}}}'
