"""Every change leaves an event in the same transaction, and events stay as they are."""

import pytest
from django.apps import apps
from django.db import connection, models

from registrations.rules import State
from tests.builders import make_entry, make_group, make_tournament, now
from tests.raw_sql import change, our_models, refused

pytestmark = pytest.mark.django_db

TRACKED = our_models(events=True)


def a_row_of(model: type[models.Model]) -> models.Model:
    """A tracked row, made just now."""
    tournament = make_tournament(seats=1)
    entry = make_entry(tournament, group=make_group(tournament), state=State.OFFERED)
    rows = (entry, entry.tournament, entry.division, entry.seat, entry.group, entry.player)
    return next(row for row in rows if isinstance(row, model))


@pytest.mark.parametrize("events", TRACKED)
def test_history_has_the_row_as_it_was_made(events: type[models.Model]) -> None:
    row = a_row_of(events.pgh_tracked_model)  # type: ignore[attr-defined]
    made = events._default_manager.get(pgh_obj_id=row.pk, pgh_label="insert")
    columns = [field.attname for field in row._meta.local_concrete_fields]
    assert [getattr(made, column) for column in columns] == [getattr(row, column) for column in columns]


@pytest.mark.parametrize("events", TRACKED)
def test_history_is_append_only(events: type[models.Model]) -> None:
    row = a_row_of(events.pgh_tracked_model)  # type: ignore[attr-defined]
    event = events._default_manager.get(pgh_obj_id=row.pk)
    with connection.cursor() as cursor:
        for statement in ("UPDATE {} SET pgh_label = 'never' WHERE pgh_id = %s", "DELETE FROM {} WHERE pgh_id = %s"):
            with refused() as refusal:
                cursor.execute(statement.format(event._meta.db_table), [event.pk])
            assert refusal.comes_from("append_only")


def test_history_has_each_change_of_an_entry_also_one_by_plain_sql() -> None:
    entry = make_entry(make_tournament())
    change(entry, state=State.LEFT, ended_at=now())
    events = apps.get_model("registrations", "QueueEntryEvent")._default_manager.filter(pgh_obj_id=entry.pk)
    assert list(events.values_list("pgh_label", "state").order_by("pgh_id")) == [
        ("insert", "WAITING"),
        ("update", "LEFT"),
    ]
