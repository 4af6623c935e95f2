"""The clock finds what is due, in every tournament, whatever is wrong with one of them."""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import InterfaceError, connection
from django_redis import get_redis_connection
from redis.exceptions import ConnectionError as RedisConnectionError

from registrations import queries
from registrations.clock import LEAD_SECONDS, Clock, Lead, tournaments_to_serve
from registrations.models import QueueEntry
from registrations.publisher import LinePublisher, line_key, stored
from registrations.queries import offer_flow
from registrations.rules import State
from registrations.services import lapse_offers, offer_seats
from tests.builders import Mode, make_entry, make_group, make_player, make_tournament, make_user, now
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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by", [offer_seats, lapse_offers, None])
def test_redis_is_asked_for_the_pace_while_no_lock_is_held(
    by: Callable[..., int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joins would wait for a Redis that hangs."""
    locked: list[bool] = []

    def pace() -> float:
        locked.append(connection.in_atomic_block)
        return 1.0

    monkeypatch.setattr("vgchub.health.offer_pace", pace)
    tournament = make_tournament(seats=1)
    make_entry(tournament, state=State.OFFERED, **RAN_OUT)
    if by is None:
        Clock().tick()
    else:
        by(tournament_id=tournament.pk)
    assert locked == [False]


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
    assert tournaments_to_serve() == []
    Clock().tick()
    assert states() == [State.WAITING]
    make_entry(tournament, group=group)
    Clock().tick()
    assert states() == [State.WAITING, State.OFFERED]


MEMBER, OTHER, NEW_MEMBER, NEW_OTHER = "a member", "another", "a member, not verified", "another, not verified"


@pytest.mark.parametrize("waiting", [(MEMBER,), (OTHER,), (NEW_MEMBER,), (NEW_OTHER,), (NEW_MEMBER, OTHER)])
@pytest.mark.parametrize("reserved", [False, True])
@pytest.mark.parametrize(
    "settings",
    [{}, {"opens_in": -3 * DAY}, {"opens_in": -3 * DAY, "releases_reserved": True}, {"releases_reserved": True}],
)
def test_the_clock_serves_exactly_where_the_admitter_has_somebody_to_offer_a_seat_to(
    waiting: tuple[str, ...], settings: dict[str, Any], *, reserved: bool
) -> None:
    tournament = make_tournament(seats=0 if reserved else 1, **settings)
    group = make_group(tournament, reserved={"masters": 1 if reserved else 0})
    for who in waiting:
        player = make_player(make_user(verified=who in (MEMBER, OTHER)))
        make_entry(tournament, player, group=group if who in (MEMBER, NEW_MEMBER) else None)
    due = tournaments_to_serve()
    assert due == [tournament.pk] * offer_seats(tournament_id=tournament.pk)


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


def a_garbled_block(troubled: Tournament, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    redis, key = get_redis_connection("default"), line_key(troubled.pk)
    redis.hset(key, mapping={"head": "{}", "no block": "bits"})
    return lambda: redis.delete(key)


def a_key_of_another_type(troubled: Tournament, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    redis, key = get_redis_connection("default"), line_key(troubled.pk)
    redis.set(key, "no hash")
    return lambda: redis.delete(key)


def a_deadlock(troubled: Tournament, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    def flow(tournament: Tournament) -> object:
        if tournament == troubled:
            sql("DO $$ BEGIN RAISE deadlock_detected; END $$")  # as if the database were away: an OperationalError
        return offer_flow(tournament)

    patch.setattr(queries, "offer_flow", flow)
    return lambda: patch.setattr(queries, "offer_flow", offer_flow)


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


FAULTS = [a_garbled_block, a_key_of_another_type, a_deadlock]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_line_that_cannot_be_published_holds_no_other_up(
    fault: Callable[..., Callable[[], object]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, troubled, last = [make_tournament() for _ in range(3)]
    mend, clock = fault(troubled, monkeypatch), Clock()
    with caplog.at_level(logging.ERROR):
        clock.tick()
    assert stored([first.pk, last.pk]) == {first.pk, last.pk}
    assert f"The line of tournament {troubled.pk} can't be published" in caplog.text
    assert "Traceback" in caplog.text
    mend()
    clock.tick()
    assert stored([troubled.pk]) == {troubled.pk}


@pytest.mark.parametrize("fault", FAULTS)
def test_without_being_kept_apart_it_holds_up_the_others(
    fault: Callable[..., Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    troubled, last = make_tournament(), make_tournament()
    fault(troubled, monkeypatch)
    monkeypatch.setattr(LinePublisher, "_publish_apart", LinePublisher._publish)
    with suppress(Exception):
        Clock().tick()
    assert stored([last.pk]) == set()


class ShortLived(Clock):
    """Ticks three times."""

    ticks = 0

    def tick(self) -> None:
        self.ticks += 1
        self.stopping = self.ticks == 3
        super().tick()


@pytest.mark.django_db(transaction=True)
def test_a_clock_that_loses_its_connection_while_it_publishes_connects_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, last = make_tournament(), make_tournament()

    def flow(_tournament: Tournament) -> None:
        monkeypatch.setattr(queries, "offer_flow", offer_flow)
        sql("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(queries, "offer_flow", flow)
    monkeypatch.setattr("registrations.clock.AWAY_SECONDS", 0)
    ShortLived().run()
    assert stored([first.pk, last.pk]) == {first.pk, last.pk}
    assert caplog.text.count("The clock could not tick") == 1
    assert "can't be published" not in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [InterfaceError, RuntimeError])
def test_a_clock_that_cannot_tick_tries_again(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def beat() -> None:
        monkeypatch.undo()
        raise error

    tournament = make_tournament()
    monkeypatch.setattr("registrations.clock.beat", beat)
    ShortLived().run()
    assert stored([tournament.pk]) == {tournament.pk}
    assert caplog.text.count("The clock could not tick") == 1


def test_one_clock_leads_until_it_stops_or_is_silent() -> None:
    first, second = Lead(), Lead()
    assert (first.is_ours(), second.is_ours(), first.is_ours()) == (True, False, True)
    assert 0 < get_redis_connection("default").pttl(Lead.KEY) <= LEAD_SECONDS * 1000
    first.pass_on()
    assert (second.is_ours(), first.is_ours()) == (True, False)
    first.pass_on()  # of what it has not
    assert (first.is_ours(), second.is_ours()) == (False, True)
    get_redis_connection("default").delete(Lead.KEY)  # as if second had been silent for too long
    assert (first.is_ours(), second.is_ours()) == (True, False)


def test_without_redis_every_clock_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_name: str) -> None:
        raise RedisConnectionError

    monkeypatch.setattr("registrations.clock.get_redis_connection", away)
    assert Lead().is_ours()


@pytest.mark.django_db(transaction=True)
def test_a_clock_that_stands_by_does_nothing_and_follows_the_one_that_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    tournament, leader, standing_by, pauses = make_tournament(), Lead(), ShortLived(), list[int]()
    assert leader.is_ours()

    def sleep(_seconds: float) -> None:
        pauses.append(standing_by.ticks)
        if len(pauses) == 4:
            assert stored([tournament.pk]) == set()
            leader.pass_on()

    monkeypatch.setattr("registrations.clock.time.sleep", sleep)
    standing_by.run()
    assert pauses == [0, 0, 0, 0, 1, 2, 3]
    assert stored([tournament.pk]) == {tournament.pk}
    assert leader.is_ours()  # what it led is passed on as it stops
