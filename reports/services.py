"""Sealing history, and watching what must be true."""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache
from django.db import connection, transaction
from psycopg.sql import SQL, Identifier, Literal

from reports.history import NO_DIGEST, Content, block_digest, content_of, event_models, sealed_columns, table_of
from reports.invariants import violations
from reports.models import HistoryBlock
from tournaments.queries import database_now

logger = logging.getLogger(__name__)

MOST_LOGGED = 50
LAST_LOOK = "invariants:last_look"
SEALING = 7_301_220  # advisory lock: one sealer at a time


def seal_history() -> HistoryBlock | None:
    """Seal the events that nothing can be added to any more; returns the new block, or None if there is nothing to do yet.

    Events get their ids in one order and are committed in another, so the largest id that is visible says little: an earlier
    one may still be on its way. So a block only notes how far it could see (`marks`) and a transaction id drawn afterwards
    (`open_below`). Whoever had drawn an event id up to the marks had its transaction id before that (triggers write events after
    the row they tell of), so a smaller one: once all those are over, the next block seals up to the marks. No writer ever waits.
    """
    with transaction.atomic(durable=True):
        if not _only_sealer():
            return None
        marks = _visible_ids()
        own_xid = _transaction_id()
        last = HistoryBlock.objects.order_by("number").last()
        if last is not None and not _worth_a_block(last, marks, own_xid):
            return None
        block = _next_block(last, marks, own_xid)
        block.save(force_insert=True)
    logger.info("Sealed block %d with %d events: %s", block.number, block.events, block.digest)
    return block


def watch_invariants() -> int:
    """Log every exception to what must be true as an error, for whoever is on call; returns how many there are."""
    found = violations(watching=True)
    for sentence in found[:MOST_LOGGED]:
        logger.error("Broken invariant %s", sentence)
    if len(found) > MOST_LOGGED:
        logger.error(
            "%d more exceptions to invariants: manage.py check_invariants names them", len(found) - MOST_LOGGED
        )
    cache.set(LAST_LOOK, Look(len(found), database_now()), timeout=None)
    return len(found)


@dataclass(frozen=True)
class Look:
    """How many exceptions to what must be true were found, and when."""

    broken: int
    at: datetime


def last_look() -> Look | None:
    """What `watch_invariants` found last, as far as the cache remembers."""
    look: Look | None = cache.get(LAST_LOOK)
    return look


def _only_sealer() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s), pg_current_xact_id_if_assigned() IS NULL", [SEALING])
        mine, unwritten = cursor.fetchone()
    if not unwritten:
        raise RuntimeError("Something was written before the marks were read: the transaction's id is too small.")
    return bool(mine)


def _visible_ids() -> dict[str, int]:
    """The largest event id of each table that is committed by now; tables without events are left out."""
    query = SQL(" UNION ALL ").join(
        SQL("SELECT {name}, max(pgh_id) FROM {table}").format(name=Literal(name), table=Identifier(name))
        for name in map(table_of, event_models())
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {table: largest for table, largest in cursor.fetchall() if largest is not None}


def _transaction_id() -> int:
    """This transaction's id, drawn now: larger than that of any transaction that has written anything so far.

    `pg_snapshot_xmax` would not do: it is one more than the last id that is *over*, and larger ones may be running.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        xid: int = cursor.fetchone()[0]
    return xid


def _worth_a_block(last: HistoryBlock, marks: dict[str, int], own_xid: int) -> bool:
    if marks == last.marks == last.sealed_to:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        oldest_open: int = cursor.fetchone()[0]
    # Ids smaller than noted: the database was restored into another cluster, where nothing from then is running.
    return oldest_open >= last.open_below or own_xid < last.open_below


def _next_block(last: HistoryBlock | None, marks: dict[str, int], own_xid: int) -> HistoryBlock:
    contents = _contents(last) if last else {}
    block = HistoryBlock(
        number=last.number + 1 if last else 1,
        sealed_at=database_now(),
        events=sum(content["count"] for content in contents.values()),
        sealed_to=last.marks if last else {},
        marks=marks,
        open_below=own_xid,
        contents=contents,
        previous_digest=last.digest if last else NO_DIGEST,
    )
    block.digest = block_digest(block)
    return block


def _contents(last: HistoryBlock) -> dict[str, Content]:
    """What stands between where `last` ended and its marks, for each table that moved."""
    models = {table_of(model): model for model in event_models()}
    return {
        table: content_of(table, sealed_columns(models[table]), last.sealed_to.get(table, 0), up_to)
        for table, up_to in last.marks.items()
        if up_to > last.sealed_to.get(table, 0) and table in models
    }
