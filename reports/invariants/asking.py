"""How an invariant is asked: one statement, each row of its answer put into words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection

from vgchub.errors import Sentence

# Put into every statement: the rows of one tournament, or of all. psycopg writes the value into the text, so the planner sees it.
OF_TOURNAMENT = "(%(tournament)s::bigint IS NULL OR {column} = %(tournament)s::bigint)"


@dataclass(frozen=True)
class Invariant:
    """A sentence that must hold; `violations` takes a tournament's id, or None for all, and returns the exceptions in words.

    Where all of the site takes too long to ask every few minutes, `watched` asks what doesn't.
    """

    code: str
    sentence: Sentence
    violations: Callable[[int | None], list[str]]
    watched: Callable[[], list[str]] | None = None

    def watch(self) -> list[str]:
        """The exceptions that can be looked for every few minutes."""
        return self.watched() if self.watched else self.violations(None)


@dataclass(frozen=True)
class Report:
    """What asking one invariant found."""

    invariant: Invariant
    violations: list[str]


def of_tournament(column: str) -> str:
    """The condition that limits a statement to the tournament asked for."""
    return OF_TOURNAMENT.format(column=column)


def exceptions(
    sql: str, words: str, tournament_id: int | None, **parameters: int | str | list[str] | None
) -> list[str]:
    """Run a statement and say each row with `words`, whose %(names)s are the columns."""
    return [words % row for row in rows(sql, tournament=tournament_id, **parameters)]


def rows(sql: str, **parameters: int | str | list[str] | None) -> list[Mapping[str, Any]]:
    """The answer of a statement, each row by the names of its columns."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
