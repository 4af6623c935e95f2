"""What goes away leaves an event that says so."""

import pghistory.models
import pytest

from tests.builders import make_group, make_tournament
from tournaments.models import Seat

pytestmark = pytest.mark.django_db


def test_a_deleted_seat_leaves_an_event() -> None:
    seat = Seat.objects.filter(division__tournament=make_tournament(seats=2)).latest("number")
    pk, number = seat.pk, seat.number

    seat.delete()

    events = pghistory.models.Events.objects.references(Seat(pk=pk)).order_by("pgh_id")
    assert [(e.pgh_label, e.pgh_data["number"]) for e in events] == [("insert", number), ("delete", number)]


def test_a_deleted_draft_leaves_events_of_all_its_parts() -> None:
    draft = make_tournament(seats=2, published=False)
    make_group(draft)

    draft.delete()

    gone = pghistory.models.Events.objects.filter(pgh_label="delete")
    assert sorted(gone.values_list("pgh_obj_model", flat=True)) == [
        "tournaments.Division",
        "tournaments.PriorityGroup",
        "tournaments.Seat",
        "tournaments.Seat",
        "tournaments.Tournament",
    ]
