"""The sentence that says where an entry stands."""

from datetime import UTC, datetime

import pytest

from registrations.rules import State
from registrations.sentences import standing_still, waiting
from tests.builders import make_entry, make_tournament

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("until", "sentence"),
    [
        (datetime(2026, 11, 28, 19, 24, 10, tzinfo=UTC), "A Masters seat is yours until 20:24:10 (Berlin time)."),
        (
            datetime(2026, 11, 30, 7, 0, tzinfo=UTC),
            "A Masters seat is yours until Monday 30 November at 08:00 (Berlin time).",
        ),
    ],
)
def test_an_offer_says_the_day_on_which_it_ends_unless_that_is_today(until: datetime, sentence: str) -> None:
    entry = make_entry(make_tournament(time_zone="Europe/Berlin"), state=State.OFFERED)
    entry.offer_expires_at = until
    now = datetime(2026, 11, 28, 19, 0, tzinfo=UTC)
    assert standing_still(entry, seats=1, sold_out_at=None, now=now) == sentence


@pytest.mark.parametrize(
    ("seats", "open_seats", "said"),
    [
        (
            0,
            0,
            "It has no seats at the moment; what is added goes down this line. A seat is unlikely (about 2%), but you",
        ),
        (
            1,
            0,
            "The only seat is confirmed; if it is returned, it goes down this line. A seat is unlikely (about 2%), but you",
        ),
        (
            500,
            0,
            "All 500 seats are confirmed; returned seats go down this line. A seat is unlikely (about 2%), but you",
        ),
        (
            500,
            9,
            "9 seats are free or on offer. A seat is unlikely (about 2%), but returned seats go down this line, and you",
        ),
    ],
)
def test_that_returned_seats_go_down_the_line_is_said_once(seats: int, open_seats: int, said: str) -> None:
    standing = {"position": 3420, "division": "Masters", "seats": seats, "open": open_seats}
    sentence = waiting({**standing, "chance": 0.02, "minutes": None, "paused": False})
    stay = "this line" if not open_seats else "it"
    assert sentence == f"You are 3,420th in line for Masters. {said} need to do nothing to stay in {stay}."
