"""The sentence that says where an entry stands."""

from datetime import UTC, datetime

import pytest

from registrations.rules import State
from registrations.sentences import standing_still
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
