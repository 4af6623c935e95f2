"""The chain over all events: what a block says, and whether it still holds."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC
from typing import TypedDict

from django.apps import apps
from django.db import connection, transaction
from django.utils.translation import gettext as _
from pghistory.models import Event
from psycopg.sql import SQL, Composed, Identifier, Literal

from reports.models import HistoryBlock

NO_DIGEST = "0" * 64

# Personal facts that have to be erasable one day: the chain tells who got what and why, by numbers, and holds without them.
NOT_SEALED = frozenset({"address_hash", "device_hash", "display_name", "birth_date", "player_id"})


class Content(TypedDict):
    """What a block says about one event table."""

    columns: list[str]
    count: int
    digest: str


def event_models() -> list[type[Event]]:
    """Every model whose rows are events, of whatever app."""
    found = [model for model in apps.get_models() if issubclass(model, Event) and model._meta.managed]  # noqa: SLF001
    return sorted(found, key=table_of)


def table_of(model: type[Event]) -> str:
    return model._meta.db_table  # noqa: SLF001


def sealed_columns(model: type[Event]) -> list[str]:
    """The columns that are sealed as things stand; a block keeps its own list, so that later columns don't break it."""
    columns = {field.column for field in model._meta.concrete_fields if field.column is not None}  # noqa: SLF001
    return sorted(columns - NOT_SEALED)


# Each row by itself first: a text of all rows of a large block would not fit into one value.
CONTENT = SQL("""
SELECT count(*), encode(sha256(coalesce(
    string_agg(sha256(convert_to(to_jsonb(event)::text, 'UTF8')), ''::bytea ORDER BY event.pgh_id), '')), 'hex')
FROM (SELECT {columns} FROM {table} WHERE pgh_id > {after} AND pgh_id <= {up_to}) AS event
""")


def content_of(table: str, columns: list[str], after: int, up_to: int) -> Content:
    """Count and digest the rows with `after` < pgh_id <= `up_to`; call it within a transaction."""
    with connection.cursor() as cursor:
        # to_jsonb writes times in the zone of the session.
        cursor.execute("SELECT set_config('TimeZone', 'UTC', true)")
        query: Composed = CONTENT.format(
            columns=SQL(", ").join(map(Identifier, columns)),
            table=Identifier(table),
            after=Literal(after),
            up_to=Literal(up_to),
        )
        cursor.execute(query)
        count, digest = cursor.fetchone()
    return Content(columns=columns, count=count, digest=digest)


def block_digest(block: HistoryBlock) -> str:
    """SHA-256, in hex, of everything that the block says but this digest itself, as JSON with sorted keys."""
    said = {
        "number": block.number,
        "sealed_at": block.sealed_at.astimezone(UTC).isoformat(),
        "events": block.events,
        "sealed_to": block.sealed_to,
        "marks": block.marks,
        "open_below": block.open_below,
        "contents": block.contents,
        "previous_digest": block.previous_digest,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def broken_blocks(*, newest: int | None = None) -> Iterator[str]:
    """A sentence for each thing that no longer is as it was sealed; with `newest`, of the last so many blocks only."""
    blocks = HistoryBlock.objects.order_by("number")
    before: HistoryBlock | None = None
    if newest is not None:
        last = blocks.last()
        first = max(1, last.number - newest + 1) if last else 1
        before = blocks.filter(number=first - 1).first()
        blocks = blocks.filter(number__gte=first)
    columns = _existing_columns()
    for block in blocks.iterator(chunk_size=500):
        yield from _link_problems(before, block)
        yield from _content_problems(before, block, columns)
        before = block


def _link_problems(before: HistoryBlock | None, block: HistoryBlock) -> Iterator[str]:
    expected = before.number + 1 if before else 1
    if block.number != expected:
        yield _("Block %(number)d is missing from the chain: %(next)d comes next.") % {
            "number": expected,
            "next": block.number,
        }
    elif block.previous_digest != (before.digest if before else NO_DIGEST):
        yield _("Block %(number)d does not follow from the block before it.") % {"number": block.number}
    if block_digest(block) != block.digest:
        yield _("Block %(number)d itself was changed after it was sealed.") % {"number": block.number}


def _content_problems(
    before: HistoryBlock | None, block: HistoryBlock, columns: dict[str, frozenset[str]]
) -> Iterator[str]:
    for table, sealed in block.contents.items():
        after = before.sealed_to.get(table, 0) if before else 0
        words = {"number": block.number, "table": table, "after": after, "up_to": block.sealed_to.get(table, 0)}
        if missing := set(sealed["columns"]) - columns.get(table, frozenset()):
            yield _("Block %(number)d can't be checked: %(table)s has lost %(columns)s.") % {
                **words,
                "columns": ", ".join(sorted(missing)),
            }
            continue
        with transaction.atomic():
            found = content_of(table, sealed["columns"], after, words["up_to"])
        if found["count"] != sealed["count"]:
            yield _(
                "Block %(number)d: %(table)s held %(sealed)d events after %(after)d up to %(up_to)d when it was sealed, "
                "and holds %(found)d now."
            ) % {**words, "sealed": sealed["count"], "found": found["count"]}
        elif found["digest"] != sealed["digest"]:
            yield (
                _(
                    "Block %(number)d: an event of %(table)s after %(after)d up to %(up_to)d was changed after it was sealed."
                )
                % words
            )


def _existing_columns() -> dict[str, frozenset[str]]:
    """The columns of each table as the database has them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
            WHERE table_schema = current_schema() GROUP BY 1
            """
        )
        return {table: frozenset(columns) for table, columns in cursor.fetchall()}
