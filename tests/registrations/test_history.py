"""Every change leaves an event in the same transaction, and events stay as they are."""

import pytest
from django.apps import apps
from django.db import connection, models

from lottery.models import Draw
from registrations import services
from registrations.rules import State
from tests.builders import make_entry, make_group, make_staff, make_tournament, now
from tests.lottery.draws import opened
from tests.raw_sql import change, our_models, refused
from tournaments.models import Division, PriorityGroup, Seat

pytestmark = pytest.mark.django_db

TRACKED = our_models(events=True)


def a_row_of(model: type[models.Model]) -> models.Model:
    """A tracked row, made just now."""
    tournament = make_tournament(seats=1)
    entry = make_entry(tournament, group=make_group(tournament), state=State.OFFERED)
    rows = (entry, entry.tournament, entry.division, entry.seat, entry.group, entry.player)
    if model is Draw:
        return opened()
    return next(row for row in rows if isinstance(row, model))


@pytest.mark.parametrize("events", TRACKED)
def test_history_has_the_row_as_it_was_made(events: type[models.Model]) -> None:
    row = a_row_of(events.pgh_tracked_model)  # type: ignore[attr-defined]
    made = events._default_manager.get(pgh_obj_id=row.pk, pgh_label="insert")
    told = {field.attname for field in events._meta.local_concrete_fields}
    columns = [field.attname for field in row._meta.local_concrete_fields if field.attname in told]
    assert [getattr(made, column) for column in columns] == [getattr(row, column) for column in columns]


def test_history_leaves_out_nothing_but_the_secret_of_a_draw_and_what_is_for_machines() -> None:
    left_out = set()
    for events in TRACKED:
        model = events.pgh_tracked_model  # type: ignore[attr-defined]
        told = {field.name for field in events._meta.local_concrete_fields}
        left_out |= {(model.__name__, f.name) for f in model._meta.local_concrete_fields if f.name not in told}
    assert left_out == {("Draw", "secret"), ("Draw", "asked_at"), ("Tournament", "rules_version")}


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


@pytest.mark.parametrize("model", [Seat, PriorityGroup, Division])
def test_history_has_the_row_as_it_was_taken_away(model: type[models.Model]) -> None:
    tournament = make_tournament(seats=0)
    row = {
        Division: tournament.divisions.get(),
        PriorityGroup: make_group(tournament),
        Seat: Seat.objects.create(division=tournament.divisions.get(), number=1),
    }[model]
    events = apps.get_model("tournaments", f"{model.__name__}Event")._default_manager.filter(pgh_obj_id=row.pk)
    row.delete()
    assert list(events.order_by("pgh_id").values_list("pgh_label", flat=True)) == ["insert", "delete"]


def test_set_seats_leaves_who_took_a_seat_away_and_why() -> None:
    staff, division = make_staff(), make_tournament(seats=2).divisions.get()
    services.set_seats(division_id=division.pk, seats=1, by=staff, reason="The stage needs the room.")
    gone = apps.get_model("tournaments", "SeatEvent")._default_manager.get(pgh_label="delete")
    assert (gone.number, gone.pgh_context["by"], gone.pgh_context["reason"]) == (
        2,
        staff.pk,
        "The stage needs the room.",
    )
