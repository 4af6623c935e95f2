"""Publishes the line: for each tournament at most once a second, and only when it moved.

One process does it, the clock. What it knows is in memory and rebuilt from the database whenever it takes over; Redis holds the
latest for whoever asks (`LineStore`), and passes each move on to the live processes. A tick costs a fixed number of statements;
only tournaments in which something happened cost more.
"""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import redis
from django.db import connection, transaction
from django.db.models import Q
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from registrations import queries
from registrations.line import Flow, Lane, Line, block_of, expected_seats, pack, unpack
from registrations.models import QueueEntry
from registrations.rules import State
from tournaments.models import Tournament
from tournaments.queries import database_now
from vgchub import live

logger = logging.getLogger(__name__)

# Events become visible in the order of their commits, not of their numbers: so long they are looked for at least, and then until
# every transaction is over that may have written one.
IN_FLIGHT_SECONDS = 10
# Who begins to follow the events may miss none that is in flight: it has one of so many last numbers.
IN_FLIGHT_EVENTS = 10_000

PUBLISH_SECONDS = 1.0
REBUILD_SECONDS = 300
PACE_SECONDS = 10  # after so long the pace is counted anew though nothing moved: it forgets
KEPT_SECONDS = 24 * 3600

# More blocks than this are neither asked for one by one nor put into a text for all: a draw touches every one.
MANY_BLOCKS = 32

Touched = list[tuple[Lane, int, int]]

# Blocks of a tournament that something happened in; None stands for all of them.
Blocks = AbstractSet[int | None]
EVERYTHING: Blocks = frozenset([None])


def line_key(tournament_id: int) -> str:
    """The Redis hash with the latest line: field `head`, and one for each block."""
    return f"vgchub:line:{tournament_id}"


def block_field(division_id: int, priority: int, block: int) -> str:
    return f"{division_id}:{priority}:{block}"


def field_of(entry: QueueEntry) -> str:
    """The field of the block that an entry stands in; "" for one that stands in no line."""
    if entry.state != State.WAITING or entry.place is None:
        return ""
    return block_field(entry.division_id, entry.priority, block_of(entry.place))


# Both count events by what they touched: (tournament, block, whether all of its blocks may have changed). A change without a place
# may have taken it away: a draw was declared void.
OF_ENTRIES = """
SELECT tournament_id, place >> 10, place IS NULL AND pgh_label = 'update', pgh_id > %(mark)s, count(*), max(pgh_id)
FROM registrations_queueentryevent WHERE pgh_id > %(since)s GROUP BY 1, 2, 3, 4
"""
OF_SEATS = """
SELECT tournament_id, NULL, false, pgh_id > %(mark)s, count(*), max(pgh_id)
FROM tournaments_seatevent JOIN tournaments_division d ON d.id = division_id
WHERE pgh_id > %(since)s GROUP BY 1, 2, 3, 4
"""


# Whether a transaction is running whose id is below that one, which has to be over itself.
STILL_OPEN = "SELECT EXISTS (SELECT FROM pg_snapshot_xip(pg_current_snapshot()) xid WHERE xid < %s::text::xid8)"


class Events:
    """Says what the events touched that became visible since the last look, each of them once.

    Those up to `mark` (older ones) and those after it are counted apart, and looked at again for as long as one may still be in
    flight: a count that changed is something new. Whoever had drawn an event's number up to the mark had its transaction id before,
    so below `open_below`, which is drawn after the mark was read (docs/adr/0013).
    """

    def __init__(self, table: str, sql: str) -> None:
        self.table, self.sql = table, sql
        self.since: int | None = None
        self.mark, self.marked_at, self.open_below = 0, 0.0, ""
        self.counts: dict[tuple[Any, ...], int] = {}

    def touched(self) -> list[tuple[int, int | None, bool]]:
        """(tournament id, block or None, whether all blocks may have changed)."""
        with connection.cursor() as cursor:
            if self.since is None:
                cursor.execute(f"SELECT coalesce(max(pgh_id), 0) FROM {self.table}")  # noqa: S608  a constant
                last = cursor.fetchone()[0]
                self.since = last - IN_FLIGHT_EVENTS
                self._set_mark(last)
            # Asked before the events are: who commits in between is seen among them.
            is_over = self._none_in_flight()
            cursor.execute(self.sql, {"since": self.since, "mark": self.mark})
            rows = cursor.fetchall()
        counts = {(*what, newer): count for *what, newer, count, _last in rows}
        new = {key[:3] for key, count in counts.items() if self.counts.get(key) != count}
        self.counts = counts
        if is_over:
            self._move_on(max((last for *_what, last in rows), default=self.mark))
        return list(new)

    def _none_in_flight(self) -> bool:
        """Whether no number up to the mark can become visible any more, or only one that is left to the next rebuilding."""
        age = time.monotonic() - self.marked_at
        if age <= IN_FLIGHT_SECONDS:
            return False
        if age > REBUILD_SECONDS:
            return True
        with connection.cursor() as cursor:
            cursor.execute(STILL_OPEN, [self.open_below])
            return not cursor.fetchone()[0]

    def _move_on(self, last: int) -> None:
        self.since = self.mark
        self._set_mark(max(last, self.mark))
        self.counts = {(*what, False): count for (*what, newer), count in self.counts.items() if newer}

    def _set_mark(self, last: int) -> None:
        self.mark, self.marked_at = last, time.monotonic()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text")
            self.open_below = cursor.fetchone()[0]


@dataclass
class Followed:
    """A tournament's line as it was last published."""

    line: Line = field(default_factory=Line)
    head: str = ""
    said: tuple[object, ...] = ()  # of the tournament's own row
    pending: Blocks | None = None  # what was touched since; None is nothing
    published_at: float = float("-inf")  # monotonic times, which begin with the machine
    recount_at: float = 0.0


class LinePublisher:
    """Call `publish_moves` again and again: a line that moved after a rest is published at once, then every `pause` seconds."""

    def __init__(self, *, pause: float = PUBLISH_SECONDS) -> None:
        self.pause = pause
        self.followed: dict[int, Followed] = {}
        self.forget()

    def publish_moves(self) -> int:
        """Look at every tournament whose line may move; returns how many lines were published."""
        # Read before the tournaments: what is committed in between is published twice, and never missed.
        touched = self._touched()
        now = database_now()
        soon = now + timedelta(hours=2)
        tournaments = list(
            Tournament.objects.published(now).filter(
                Q(opens_at__lt=soon) | Q(prequeue_opens_at__lt=soon), offers_end_at__gt=now - timedelta(hours=1)
            )
        )
        there = stored([tournament.pk for tournament in tournaments])
        self.followed = {t.pk: self.followed[t.pk] for t in tournaments if t.pk in self.followed}
        return sum(
            self._publish_apart(tournament, touched.get(tournament.pk), now, there=tournament.pk in there)
            for tournament in tournaments
        )

    def forget(self) -> None:
        """Start anew: another clock published meanwhile."""
        self.followed = {}
        self.events = (
            Events("registrations_queueentryevent", OF_ENTRIES),
            Events("tournaments_seatevent", OF_SEATS),
        )
        self.rebuilt_at = time.monotonic()

    def _touched(self) -> dict[int, Blocks]:
        """Tournament id -> blocks that something happened in since the last look; an empty set where it has no block."""
        touched: dict[int, Blocks] = defaultdict(frozenset)
        for events in self.events:
            for tournament_id, block, everything in events.touched():
                touched[tournament_id] |= EVERYTHING if everything else {block} - EVERYTHING
        if time.monotonic() - self.rebuilt_at > REBUILD_SECONDS:
            self.rebuilt_at = time.monotonic()
            touched |= dict.fromkeys(self.followed, EVERYTHING)
        return touched

    def _publish_apart(self, tournament: Tournament, blocks: Blocks | None, now: datetime, *, there: bool) -> bool:
        """What goes wrong with one line holds no other up, unless the database or Redis is away for all."""
        try:
            return self._publish(tournament, blocks, now, there=there)
        except (redis.ConnectionError, redis.TimeoutError):
            raise
        except Exception:
            if not connection.is_usable():
                raise
            logger.exception("The line of tournament %s can't be published", tournament.pk)
            # What is in memory may not be what was published: the next tick begins with that, and with all of the line.
            self.followed.pop(tournament.pk, None)
            return False

    def _publish(self, tournament: Tournament, blocks: Blocks | None, now: datetime, *, there: bool) -> bool:
        """Publish the tournament's line if it moved. `blocks` is None where nothing happened; `there` is whether Redis has it."""
        followed = self.followed.get(tournament.pk)
        if followed is None:
            followed = self.followed[tournament.pk] = LineStore(tournament.pk).last() if there else Followed()
            blocks = EVERYTHING
        if blocks is not None:
            followed.pending = blocks | (followed.pending or set())
        said = (tournament.phase(now), tournament.paused_at, tournament.message)
        moment = time.monotonic()
        if there and followed.pending is None and said == followed.said and moment < followed.recount_at:
            return False
        if moment < followed.published_at + self.pause:
            return False
        with transaction.atomic():  # a savepoint of the clock's transaction: an error in here leaves that usable
            touched = _read_blocks(followed.line, tournament, followed.pending or set())
            numbers = _numbers(tournament, followed.line, now)
        paced = any(division["offers_in_window"] for division in numbers["divisions"].values())
        followed.recount_at = moment + PACE_SECONDS if paced else float("inf")
        followed.said, followed.pending = said, None
        return self._write(tournament, followed, live.compact(numbers), touched if there else None)

    def _write(self, tournament: Tournament, followed: Followed, head: str, touched: Touched | None) -> bool:
        """`touched` is None for all of it: the first time, or Redis was flushed."""
        if touched is None:
            touched = [
                (lane, number, bits) for lane, all_ in followed.line.lanes.items() for number, bits in all_.items()
            ]
        elif head == followed.head and not touched:
            return False
        LineStore(tournament.pk).write(head, touched)
        followed.head, followed.published_at = head, time.monotonic()
        return True


def _read_blocks(line: Line, tournament: Tournament, blocks: Blocks) -> Touched:
    """Bring blocks up to date in every lane; returns those that changed."""
    if not blocks:
        return []
    some = None if None in blocks or len(blocks) > MANY_BLOCKS else {block for block in blocks if block is not None}
    # Before its draw nobody has a place, and there may be a million to look at.
    rows = [] if _undrawn(tournament) else queries.waiting_blocks(tournament.pk, some)
    now = {(Lane.of(division_id, priority), number): bits for division_id, priority, number, bits in rows}
    # A place is unique in its tournament, so a block that is touched in one lane is looked at in all of them: an entry that
    # changed its lane has left another one.
    gone = {
        (lane, number)
        for lane, known in line.lanes.items()
        for number in known
        if (some is None or number in some) and (lane, number) not in now
    }
    now |= dict.fromkeys(gone, 0)
    return [(lane, number, bits) for (lane, number), bits in now.items() if line.replace(lane, number, bits)]


def _undrawn(tournament: Tournament) -> bool:
    return tournament.is_drawn_mode and tournament.drawn_at is None


def head_of(tournament: Tournament) -> dict[str, Any]:
    """The line's head as of now, from the database: for readers while no line is published."""
    line = Line()
    _read_blocks(line, tournament, EVERYTHING)
    return _numbers(tournament, line, database_now())


def _numbers(tournament: Tournament, line: Line, now: datetime) -> dict[str, Any]:
    """What everybody sees: seats, how many wait, the pace, and how many stand before each block."""
    flow = queries.offer_flow(tournament)
    nothing = queries.DivisionFlow(0, 0, 0, 0)
    # Known from the line, except before a draw: then they wait without a place.
    known = None if _undrawn(tournament) else line.waiting_counts()
    divisions = {}
    for summary in queries.seat_summary(tournament, known):
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
            "lanes": line.head(pk),
        }
    return {
        "phase": tournament.phase(now),
        "paused": tournament.paused_at is not None,
        "message": tournament.message,
        "divisions": divisions,
    }


def stored(tournament_ids: list[int]) -> set[int]:
    """Those whose line Redis has, asked in one round trip."""
    pipe = get_redis_connection("default").pipeline(transaction=False)
    for pk in tournament_ids:
        pipe.exists(line_key(pk))
    return {pk for pk, there in zip(tournament_ids, pipe.execute(), strict=True) if there}


class LineStore:
    """The latest published line of one tournament, in Redis."""

    def __init__(self, tournament_id: int) -> None:
        self.key, self.channel = line_key(tournament_id), live.tournament_channel(tournament_id)
        self.redis = get_redis_connection("default")

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
        moved = None if len(blocks) > MANY_BLOCKS else packed | dict.fromkeys(empty, "")
        pipe.publish(self.channel, moved_text(head, moved))
        pipe.execute()

    def last(self) -> Followed:
        """What was published last, by whichever clock."""
        found = {name.decode(): text.decode() for name, text in self.redis.hgetall(self.key).items()}
        followed = Followed(head=found.pop("head", ""))
        for name, bits in found.items():
            division_id, priority, number = map(int, name.split(":"))
            followed.line.replace(Lane.of(division_id, priority), number, unpack(bits))
        return followed

    def read(self, fields: list[str]) -> tuple[dict[str, Any] | None, dict[str, str]]:
        """The head (None where nothing is published, or Redis is away) and those of the asked blocks that are there."""
        try:
            head, *blocks = self.redis.hmget(self.key, ["head", *fields])
        except RedisError:
            logger.warning("Redis is away; positions are counted in the database")
            return None, {}
        found = {name: text.decode() for name, text in zip(fields, blocks, strict=True) if text}
        return (json.loads(head) if head else None), found


def moved_text(head: str, blocks: dict[str, str] | None) -> str:
    """The one text that every socket of the tournament gets: `{"kind": "line", "head": ..., "blocks": {field: bitmap}}`.

    Null for the blocks says that many moved: the live processes then send each socket its own ones.
    """
    return f'{{"kind":"line","head":{head},"blocks":{live.compact(blocks)}}}'
