"""The states of an entry in the database: each pair of states is tried with plain SQL."""

import pytest

from registrations.rules import ENDED, TRANSITIONS, State
from tests.builders import make_entry, make_tournament
from tests.raw_sql import change, columns_in, refused
from tournaments.models import Seat

pytestmark = pytest.mark.django_db

PAIRS = [(old, new) for old in State for new in State if old != new]


@pytest.mark.parametrize(("old", "new"), [pair for pair in PAIRS if pair in TRANSITIONS])
def test_state_machine_lets_pass(old: State, new: State) -> None:
    entry = make_entry(make_tournament(seats=1), state=old)
    change(entry, **columns_in(new, Seat.objects.get()))
    entry.refresh_from_db()
    assert entry.state == new


@pytest.mark.parametrize(("old", "new"), [pair for pair in PAIRS if pair not in TRANSITIONS])
def test_state_machine_refuses(old: State, new: State) -> None:
    entry = make_entry(make_tournament(seats=1), state=old)
    with refused() as refusal:
        change(entry, **columns_in(new, Seat.objects.get()))
    assert refusal.comes_from("ended_is_over" if old in ENDED else "state_machine")
