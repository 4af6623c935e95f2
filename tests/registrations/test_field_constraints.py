"""What fields alone promise: a foreign key for each relation, no negative where there is none, and unique columns."""

import pytest
from django.db import connection, models

from registrations.rules import State
from tests.builders import make_entry, make_player, make_tournament
from tests.raw_sql import copy, our_models, refused, remove
from vgchub.constraints import ForeignKeyTogether

pytestmark = pytest.mark.django_db

RELATIONS = [
    (model, field)
    for model in our_models()
    for field in model._meta.local_concrete_fields
    if isinstance(field, models.ForeignKey)
]
FOREIGN_KEYS = [
    pytest.param(model, field, id=f"{model.__name__}.{field.name}")
    for model, field in RELATIONS
    if field.db_constraint  # type: ignore[attr-defined]  # the stubs forget it
]
HELD_TOGETHER = [
    pytest.param(model, field, id=f"{model.__name__}.{field.name}")
    for model, field in RELATIONS
    if not field.db_constraint  # type: ignore[attr-defined]
]
POSITIVE = [
    pytest.param(model, field, id=f"{model.__name__}.{field.name}")
    for model in our_models()
    for field in model._meta.local_concrete_fields
    if isinstance(field, models.PositiveIntegerField | models.PositiveSmallIntegerField)
]

A_FOREIGN_KEY_OF = """
SELECT count(*) FROM pg_constraint c
JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
WHERE c.contype = 'f' AND c.convalidated AND c.conrelid = %s::regclass AND a.attname = %s AND c.confrelid = %s::regclass
"""
A_CHECK_OF = """
SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c
JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
WHERE c.contype = 'c' AND c.convalidated AND c.conrelid = %s::regclass AND a.attname = %s
"""


@pytest.mark.parametrize(("model", "field"), FOREIGN_KEYS)
def test_database_knows_the_foreign_key(model: type[models.Model], field: "models.ForeignKey[models.Model]") -> None:
    with connection.cursor() as cursor:
        related = field.remote_field.model._meta.db_table
        cursor.execute(A_FOREIGN_KEY_OF, [model._meta.db_table, field.column, related])
        assert cursor.fetchone() == (1,)


@pytest.mark.parametrize(("model", "field"), HELD_TOGETHER)
def test_a_relation_without_a_foreign_key_of_its_own_is_held_by_one_over_two_columns(
    model: type[models.Model], field: "models.ForeignKey[models.Model]"
) -> None:
    """Such a key says nothing of a row with a null in one of its columns, so that none of them may be null."""
    keys = [c for c in model._meta.constraints if isinstance(c, ForeignKeyTogether) and field.column in c.fields]
    nullable = {one.column for one in model._meta.local_concrete_fields if one.null}
    (key,) = [key for key in keys if not nullable & set(key.fields)]
    entry = make_entry(make_tournament())
    with refused() as refusal:
        copy(entry, player_id=make_player().pk, public_id="y", number=0, place=0, **{field.column: 10**9})
    assert refusal.comes_from(key.name)


@pytest.mark.parametrize(("model", "field"), POSITIVE)
def test_database_refuses_a_negative(model: type[models.Model], field: "models.Field[int, int]") -> None:
    with connection.cursor() as cursor:
        cursor.execute(A_CHECK_OF, [model._meta.db_table, field.column])
        assert (f"CHECK (({field.column} >= 0))",) in [
            (definition.replace('"', ""),) for (definition,) in cursor.fetchall()
        ]


def test_a_seat_an_arrival_number_and_a_public_id_are_of_one_entry() -> None:
    seated = make_entry(make_tournament(), state=State.CONFIRMED)
    others = {"player_id": make_player().pk, "place": 0}
    free = {"state": State.WAITING, "seat_id": None}
    with refused() as refusal:
        copy(seated, **others, number=0, public_id="x")
    assert refusal.constraint == "registrations_queueentry_seat_id_key"
    with refused() as refusal:
        copy(seated, **others, **free, public_id="x")
    assert refusal.constraint == "registrations_queueentry_number_key"
    with refused() as refusal:
        copy(seated, **others, **free, number=0)
    assert refusal.constraint == "registrations_queueentry_public_id_key"


def test_a_seat_that_is_held_cannot_be_deleted() -> None:
    entry = make_entry(make_tournament(), state=State.OFFERED)
    assert entry.seat is not None
    with refused() as refusal:
        remove(entry.seat)
    assert refusal.constraint == "queueentry_seat_of_its_division"
