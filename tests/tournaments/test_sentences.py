"""A tournament's rules in words."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.builders import Mode, make_group, make_organization, make_tournament
from tournaments import sentences
from tournaments.models import Division, Tournament

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (date(2014, 1, 1), None, "Born on 1 January 2014 or later"),
        (None, date(2009, 12, 31), "Born on 31 December 2009 or earlier"),
        (date(2010, 1, 1), date(2013, 12, 31), "Born from 1 January 2010 to 31 December 2013"),
        (None, None, "Any age"),
    ],
)
def test_eligible_names_the_bounds_of_birth(first: date | None, last: date | None, text: str) -> None:
    assert sentences.eligible(Division(born_from=first, born_to=last)) == text


def tournament(**fields: object) -> Tournament:
    times = {"opens_at": NOW, "closes_at": NOW + timedelta(days=1), "starts_at": NOW + timedelta(days=20)}
    return Tournament(time_zone="Europe/Berlin", **{**times, **fields})


def test_each_mode_says_who_comes_first() -> None:
    first, fair, lottery = (
        sentences.how_seats_are_given(tournament(mode=mode, seals_at=NOW + timedelta(days=1)), NOW)[0] for mode in Mode
    )
    assert first == "The line is in the order in which players join it, from today at 13:00 (Berlin time)."
    assert fair.startswith("At the opening, today at 13:00 (Berlin time), the order of everyone in the waiting room")
    assert lottery.startswith(
        "The order of everyone who entered in time is drawn at random after Monday 23 November at 13:00 (Berlin time)"
    )


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        (0, "you get all of it back. If the"),
        (10, "you get it back less 10%. If the"),
        (100, "the fee is kept. If the"),
    ],
)
def test_refund_says_what_is_kept(kept: int, text: str) -> None:
    assert text in sentences.refund(tournament(fee_minor=2500, refund_kept_percent=kept), NOW)


def test_refund_says_until_when() -> None:
    paid = tournament(fee_minor=2500, refund_until=NOW + timedelta(days=3))
    assert "until Wednesday 25 November at 13:00 (Berlin time)" in sentences.refund(paid, NOW)


def test_free_tournament_has_no_refund_rule() -> None:
    assert sentences.fee(tournament()) == "Taking part is free."
    assert sentences.refund(tournament(), NOW) == ""


@pytest.mark.django_db
def test_group_says_who_belongs_to_it_and_what_it_gets() -> None:
    organization = make_organization()
    first_come = make_tournament(organization=organization)
    lottery = make_tournament(organization=organization, mode=Mode.LOTTERY)
    veterans = make_group(
        first_come, min_championship_points=1200, countries="DE AT", priority=1, opens_early_minutes=30
    )
    lucky = make_group(lottery, max_best_placement=8, tickets=3)
    listed = make_group(lottery, "Guests")
    assert sentences.group_criteria(veterans, listed=True) == (
        "Players with at least 1,200 championship points and an account of DE or AT, or listed by the organizer"
    )
    assert sentences.group_benefits(veterans, reserved=0) == (
        "registration opens 30 minutes earlier and a line of its own that is served first"
    )
    assert sentences.group_criteria(lucky, listed=False) == "Players with a best placement of 8th or better"
    assert sentences.group_benefits(lucky, reserved=16) == "16 reserved seats and 3 tickets in the draw"
    assert sentences.group_criteria(listed, listed=True) == "Players whom the organizer has listed"
    assert sentences.group_benefits(listed, reserved=0) == ""
