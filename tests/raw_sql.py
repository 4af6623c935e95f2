"""What somebody with a SQL prompt could try: rows written past the ORM and the services, and what the database says to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from registrations.rules import ENDED, SEATED, State
from tests.builders import now
from tournaments.models import Seat

APPS = ("accounts", "tournaments", "registrations", "lottery")
# Triggers that refuse nothing: they write history (test_history) and count changes (tests/tournaments/test_entry_rules.py).
REFUSE_NOTHING = {"insert_insert", "update_update", "delete_delete", "counts_its_changes", "counts_as_a_change"}


def our_models(*, events: bool = False) -> list[type[models.Model]]:
    """The models of these apps; with `events`, those of their history instead."""
    found = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    return [model for model in found if hasattr(model, "pgh_tracked_model") == events]


class Tries(dict[str, Callable[[], None]]):
    """The name of a constraint or trigger, and a function that tries what it forbids."""

    def breaks(self, name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
        """The function tries what the constraint or trigger `name` forbids."""

        def add(attempt: Callable[[], None]) -> Callable[[], None]:
            assert name not in self
            self[name] = attempt
            return attempt

        return add


def names_of(*apps_: str) -> set[str]:
    """The constraints and triggers of these apps' models, without those that write history."""
    return {name for model in our_models() if model._meta.app_label in apps_ for name in names_in(model)}


def names_in(model: type[models.Model]) -> set[str]:
    """The same of one model."""
    names = {str(constraint.name) for constraint in model._meta.constraints}
    return (names | {trigger.name for trigger in getattr(model._meta, "triggers", [])}) - REFUSE_NOTHING


def columns_in(state: State, seat: Seat | None) -> dict[str, object]:
    """The columns that an entry in `state` must have, so that nothing but the state machine can object."""
    in_ten_minutes = now() + timedelta(minutes=10)
    return {
        "state": state,
        "seat_id": seat.pk if seat and state in SEATED else None,
        "offer_expires_at": in_ten_minutes if state == State.OFFERED else None,
        "hold_until": in_ten_minutes if state == State.OFFERED else None,
        "ended_at": now() if state in ENDED else None,
        "confirmed_at": now() if state in (State.CONFIRMED, State.CANCELLED) else None,
    }


def change(row: models.Model, **columns: Any) -> None:
    """UPDATE the row, by column names."""
    assignments = ", ".join(f'"{column}" = %s' for column in columns)
    _run(f'UPDATE "{table(row)}" SET {assignments} WHERE id = %s', [*columns.values(), row.pk])  # noqa: S608  our names


def copy(row: models.Model, **columns: Any) -> None:
    """INSERT the row again under a new id, with these columns changed."""
    same = [f.column for f in row._meta.local_concrete_fields if not f.primary_key and f.column not in columns]
    names = ", ".join(f'"{name}"' for name in [*columns, *same])
    values = ", ".join(["%s"] * len(columns) + [f'"{name}"' for name in same])
    source = f'SELECT {values} FROM "{table(row)}" WHERE id = %s'  # noqa: S608
    _run(f'INSERT INTO "{table(row)}" ({names}) {source}', [*columns.values(), row.pk])


def remove(row: models.Model) -> None:
    """DELETE the row."""
    _run(f'DELETE FROM "{table(row)}" WHERE id = %s', [row.pk])  # noqa: S608


def table(row: models.Model) -> str:
    return row._meta.db_table


def _run(statement: str, values: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount == 1
        # Foreign keys are checked at the end of a transaction; a test looks now.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


@dataclass
class Refusal:
    """Who refused: a constraint's name, or a trigger function's (its context); set when the block is left."""

    constraint: str = ""
    context: str = ""

    def comes_from(self, name: str) -> bool:
        return self.constraint == name or f"function pgtrigger_{name}_" in self.context


@contextmanager
def refused() -> Iterator[Refusal]:
    """The block must be refused by the database; what it had done before is undone."""
    refusal = Refusal()
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        yield refusal
    diagnosis = caught.value.__cause__.diag  # type: ignore[union-attr]
    refusal.constraint = diagnosis.constraint_name or ""
    refusal.context = diagnosis.context or ""
