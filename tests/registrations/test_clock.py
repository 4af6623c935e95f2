"""The clock finds what is due, in every tournament, whatever is wrong with one of them."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from registrations.clock import Clock, tournaments_to_serve
from registrations.models import QueueEntry
from registrations.rules import State
from tests.builders import Mode, make_entry, make_group, make_tournament, now
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RAN_OUT: dict[str, Any] = {"offer_expires_at": now() - MINUTE, "hold_until": now() + DAY}


def states() -> list[str]:
    return list(QueueEntry.objects.order_by("number").values_list("state", flat=True))


def test_tick_lapses_and_offers_the_seat_at_once() -> None:
    tournament = make_tournament(seats=1)
    make_entry(tournament, state=State.OFFERED, **RAN_OUT)
    make_entry(tournament)
    Clock().tick()
    assert states() == [State.PASSED, State.OFFERED]
    Clock().tick()
    assert states() == [State.PASSED, State.OFFERED]


@pytest.mark.parametrize(
    ("settings", "is_due"),
    [
        ({}, True),
        ({"opens_in": HOUR / 2}, True),  # an early lane
        ({"opens_in": -3 * DAY}, True),  # joining is over
        ({"mode": Mode.FAIR_START, "drawn_at": now()}, True),
        ({"seats": 0}, False),
        ({"published": False}, False),
        ({"paused_at": now()}, False),
        ({"cancelled_at": now()}, False),
        ({"opens_in": -5 * DAY}, False),
        ({"mode": Mode.LOTTERY}, False),
        ({"mode": Mode.FAIR_START}, False),
    ],
)
def test_somebody_waiting_is_due_where_seats_are_given_out(settings: dict[str, Any], is_due: bool) -> None:
    entry = make_entry(make_tournament(**settings), place=1)
    assert tournaments_to_serve() == ([entry.tournament_id] if is_due else [])
    Clock().tick()
    assert states() == [State.OFFERED if is_due else State.WAITING]


@pytest.mark.parametrize(
    ("settings", "offer", "is_due"),
    [
        ({}, RAN_OUT, True),
        ({"opens_in": -5 * DAY}, RAN_OUT, True),  # open offers run out also after the last were made
        ({}, {}, False),
        ({}, {**RAN_OUT, "checkout_at": now()}, False),  # payments ask Stripe first
        ({}, {**RAN_OUT, "hold_until": now() - MINUTE, "checkout_at": now()}, True),
        ({"paused_at": now()}, RAN_OUT, False),
    ],
)
def test_an_offer_is_due_when_its_time_is_up(settings: dict[str, Any], offer: dict[str, Any], *, is_due: bool) -> None:
    entry = make_entry(make_tournament(**settings), state=State.OFFERED, **offer)
    assert tournaments_to_serve() == ([entry.tournament_id] if is_due else [])
    Clock().tick()
    assert states() == [State.PASSED if is_due else State.OFFERED]


def test_nothing_is_due_where_everybody_is_served() -> None:
    tournament = make_tournament(seats=2)
    make_entry(tournament, state=State.CONFIRMED)
    make_entry(tournament, state=State.LEFT)
    assert tournaments_to_serve() == []


def test_a_reserved_seat_waits_for_its_group() -> None:
    tournament = make_tournament(seats=0)
    group = make_group(tournament, reserved={"masters": 1})
    make_entry(tournament)
    Clock().tick()
    assert states() == [State.WAITING]
    make_entry(tournament, group=group)
    Clock().tick()
    assert states() == [State.WAITING, State.OFFERED]


def test_one_tournament_in_trouble_holds_no_other_up(caplog: pytest.LogCaptureFixture) -> None:
    troubled, fine = make_tournament(), make_tournament()
    make_entry(troubled)
    make_entry(fine)
    Tournament.objects.filter(pk=troubled.pk).update(time_zone="Atlantis/Centre")
    with caplog.at_level(logging.ERROR):
        Clock().tick()
    assert states() == [State.WAITING, State.OFFERED]
    assert f"Tournament {troubled.pk} can't be served" in caplog.text
    Tournament.objects.filter(pk=troubled.pk).update(time_zone="Europe/Athens")
    Clock().tick()
    assert states() == [State.OFFERED, State.OFFERED]
