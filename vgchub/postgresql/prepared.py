"""Statements that PostgreSQL parses and plans once for each connection: for the few that everybody in a rush sends.

The ORM composes a statement anew each time, and the server plans it anew: for a join that takes longer than to execute it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import psycopg
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from pghistory.runtime import Context

Model = TypeVar("Model", bound=models.Model)
Rows = list[tuple[Any, ...]]

# Two values to select somewhere in a statement that writes: what the history then says of it. `history` binds them.
HISTORY = "set_config('pghistory.context_id', %(history_id)s, true), set_config('pghistory.context_metadata', %(history)s, true)"


class PreparedCursor(psycopg.Cursor[tuple[Any, ...]]):
    """Binds values at the server, and prepares what it has executed some times.

    pghistory puts a statement of its own before every other but those of a cursor with a name, and two can't be prepared as one.
    """

    name = "prepared"


def fetch(statement: str, values: Mapping[str, Any]) -> Rows:
    """All rows of a prepared statement.

    Numbers want a cast in it, such as `%(id)s::bigint`: else each size of a number is a statement of its own.
    """
    connection.ensure_connection()
    cursor: Any = PreparedCursor(connection.connection)
    make = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with make(cursor) as executing:
        executing.execute(statement, values)
        rows: Rows = executing.fetchall()
    return rows


def history(context: Context) -> dict[str, str]:
    """The values of HISTORY; `context` is what `pghistory.context()` gives."""
    return {"history_id": str(context.id), "history": json.dumps(context.metadata, cls=DjangoJSONEncoder)}


class Columns(Generic[Model]):
    """A model's columns in such a statement, in which its table goes by `alias`; and the model's rows back from its values."""

    def __init__(self, model: type[Model], alias: str) -> None:
        self.model = model
        fields = model._meta.concrete_fields  # noqa: SLF001  Django documents `_meta`
        self.names = [field.attname for field in fields]
        self.sql = ", ".join(f"{alias}.{field.column}" for field in fields)
        self._converted = [
            (index, field.from_db_value, field) for index, field in enumerate(fields) if hasattr(field, "from_db_value")
        ]

    def __str__(self) -> str:
        return self.sql

    def __len__(self) -> int:
        return len(self.names)

    def row(self, values: Sequence[Any]) -> Model:
        """What the ORM would have made of these values."""
        own = list(values)
        for index, convert, field in self._converted:
            own[index] = convert(own[index], field, connection)
        return self.model.from_db("default", self.names, own)


def split(row: Sequence[Any], *columns: Columns[Any]) -> Iterator[Sequence[Any]]:
    """The values of each, one after the other, and then those that are left."""
    at = 0
    for one in columns:
        yield row[at : at + len(one)]
        at += len(one)
    yield row[at:]
