"""Who is offered a seat, in which order, how fast; and who gets more time."""

from bisect import bisect
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from accounts.models import Player
from bench.people import make_waiting
from registrations import services
from registrations.models import QueueEntry
from registrations.rules import TICK, State
from registrations.services import offering
from tests.builders import (
    Mode,
    make_division,
    make_entry,
    make_group,
    make_player,
    make_staff,
    make_tournament,
    make_user,
    now,
)
from tournaments.models import Seat, Tournament
from vgchub import health

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def offer(tournament: Tournament) -> list[QueueEntry]:
    """Let the admitter come once; returns whom it offered, in the order of the offers."""
    before = set(QueueEntry.objects.filter(state=State.OFFERED).values_list("pk", flat=True))
    number = services.offer_seats(tournament_id=tournament.pk)
    offered = list(QueueEntry.objects.filter(state=State.OFFERED).exclude(pk__in=before).order_by("offer_number"))
    assert len(offered) == number
    return offered


def a_line(tournament: Tournament, length: int, **fields: Any) -> list[QueueEntry]:
    return [make_entry(tournament, **fields) for _ in range(length)]


def checkouts(*, failed: int, of: int) -> None:
    for index in range(of):
        health.record_call("checkout", ok=index >= failed)


def moved_back(tournament: Tournament, by: timedelta) -> None:
    """As if the offers had been made earlier."""
    QueueEntry.objects.filter(tournament=tournament).update(offered_at=F("offered_at") - by)


# --- Order ---------------------------------------------------------------------------------------------------


def test_offer_seats_goes_down_the_line() -> None:
    tournament = make_tournament(seats=2)
    line = a_line(tournament, 3)
    assert offer(tournament) == line[:2]
    assert offer(tournament) == []


def test_offer_seats_writes_seat_times_and_number() -> None:
    tournament = make_tournament(seats=1)
    make_entry(tournament)
    [entry] = offer(tournament)
    assert entry.seat == Seat.objects.get()
    assert entry.offered_at is not None
    assert entry.offer_expires_at == entry.offered_at + 10 * MINUTE
    assert entry.hold_until == entry.offered_at + 30 * MINUTE
    assert (entry.checkout_at, entry.confirmed_at) == (None, None)
    assert entry.offer_number


def test_offer_seats_keeps_divisions_apart() -> None:
    tournament = make_tournament(seats={"senior": 1, "masters": 1}, divisions=("senior", "masters"))
    masters = a_line(tournament, 2)
    senior = make_entry(tournament, division=tournament.divisions.get(code="senior"))
    assert set(offer(tournament)) == {masters[0], senior}


def test_offer_seats_serves_higher_lanes_first() -> None:
    tournament = make_tournament(seats=3)
    general, second, first = (make_entry(tournament, priority=lane) for lane in (0, 1, 2))
    assert offer(tournament) == [first, second, general]


def test_offer_seats_serves_the_drawn_before_all_who_came_later() -> None:
    tournament = make_tournament(mode=Mode.FAIR_START, seats=3, drawn_at=now())
    late = make_entry(tournament)
    drawn = [make_entry(tournament, place=place) for place in (-1, -2)]
    assert offer(tournament) == [drawn[1], drawn[0], late]


def test_offer_seats_takes_the_seat_of_the_next_when_somebody_steps_back_in() -> None:
    tournament = make_tournament(seats=1)
    passed, later = make_entry(tournament, state=State.PASSED), make_entry(tournament)
    services.step_back_in(account=passed.player.account, public_id=passed.public_id)
    assert offer(tournament) == [passed]
    later.refresh_from_db()
    assert later.state == State.WAITING


@pytest.mark.parametrize(
    "why", [{"account": {"verified": False}}, {"player": {"player_id_state": Player.IdState.DISPUTED}}]
)
def test_offer_seats_passes_over_who_has_to_prove_something_and_keeps_the_place(why: dict[str, Any]) -> None:
    tournament = make_tournament(seats=1)
    account = make_user(**why.get("account", {}))
    player = make_player(account, **why.get("player", {}))
    first, second = make_entry(tournament, player), make_entry(tournament)
    assert offer(tournament) == [second]
    place = first.place

    account.email_verified_at = now()
    account.save()
    Player.objects.filter(pk=player.pk).update(player_id_state=Player.IdState.CLAIMED)
    make_entry(tournament)
    services.leave_queue(account=second.player.account, public_id=second.public_id)
    assert offer(tournament) == [first]
    first.refresh_from_db()
    assert first.place == place


# --- Reserved seats ------------------------------------------------------------------------------------------


def test_offer_seats_gives_a_reserved_seat_to_its_group_however_far_back() -> None:
    tournament = make_tournament(seats=1)
    group = make_group(tournament, reserved={"masters": 1})
    general = a_line(tournament, 3)
    member = make_entry(tournament, group=group)
    assert offer(tournament) == [general[0], member]
    assert member.pk == Seat.objects.get(reserved_for=group).entry.pk


def test_offer_seats_lets_a_member_take_the_reserved_seat_and_leave_the_open_one() -> None:
    tournament = make_tournament(seats=1)
    group = make_group(tournament, reserved={"masters": 1})
    member, second = make_entry(tournament, group=group), make_entry(tournament)
    assert offer(tournament) == [member, second]


def test_offer_seats_lets_members_take_open_seats_once_theirs_are_gone() -> None:
    tournament = make_tournament(seats=1)
    group = make_group(tournament, reserved={"masters": 1})
    members = a_line(tournament, 3, group=group)
    assert offer(tournament) == members[:2]


def test_offer_seats_keeps_a_reserved_seat_while_nobody_of_its_group_waits() -> None:
    tournament = make_tournament(seats=0)
    make_group(tournament, reserved={"masters": 1})
    make_entry(tournament, group=make_group(tournament, "Others"))
    make_entry(tournament)
    assert offer(tournament) == []


# --- When ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"published": False},
        {"cancelled_at": now()},
        {"paused_at": now()},
        {"opens_in": -5 * DAY},  # the last offers are over
        {"mode": Mode.FAIR_START, "opens_in": HOUR / 2},
        {"mode": Mode.FAIR_START},  # open, and not drawn yet
        {"mode": Mode.LOTTERY},
    ],
)
def test_offer_seats_offers_nothing(settings: dict[str, Any]) -> None:
    tournament = make_tournament(**settings)
    make_entry(tournament, place=1)
    assert offer(tournament) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"opens_in": -3 * DAY},  # joining is over, offers are not
        {"opens_in": HOUR / 2},  # an early lane stands in line already
        {"mode": Mode.FAIR_START, "drawn_at": now()},
        {"mode": Mode.LOTTERY, "opens_in": -3 * DAY, "drawn_at": now()},
    ],
)
def test_offer_seats_offers(settings: dict[str, Any]) -> None:
    tournament = make_tournament(**settings)
    entry = make_entry(tournament, place=1)
    assert offer(tournament) == [entry]


def test_offer_seats_gives_hours_after_the_rush_and_to_the_winners_of_a_lottery() -> None:
    late = make_tournament(opens_in=-3 * HOUR)
    drawn = make_tournament(mode=Mode.LOTTERY, drawn_at=now())
    for tournament in (late, drawn):
        make_entry(tournament)
        [entry] = offer(tournament)
        assert entry.offer_expires_at is not None
        assert entry.offered_at is not None
        assert 48 * HOUR <= entry.offer_expires_at - entry.offered_at <= 58 * HOUR


def test_offer_seats_counts_the_rush_of_a_fair_start_from_its_draw() -> None:
    tournament = make_tournament(mode=Mode.FAIR_START, opens_in=-3 * HOUR, drawn_at=now())
    make_entry(tournament)
    [entry] = offer(tournament)
    assert entry.offer_expires_at == entry.offered_at + 10 * MINUTE  # type: ignore[operator]


# --- Pace ----------------------------------------------------------------------------------------------------


@pytest.fixture
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `moved_back` makes offers older, however long the test takes."""
    moment = now()
    monkeypatch.setattr(offering, "database_now", lambda: moment)


def test_offer_seats_offers_a_batch_and_waits_for_the_rest_of_its_time(time_stands_still: None) -> None:
    """100 a minute in batches of 10: one batch every 6 seconds."""
    tournament = make_tournament(seats=25, offers_per_minute=100, offer_batch=10)
    line = a_line(tournament, 25)
    assert offer(tournament) == line[:10]
    assert offer(tournament) == []
    moved_back(tournament, timedelta(seconds=5))
    assert offer(tournament) == []
    moved_back(tournament, timedelta(seconds=1))
    assert offer(tournament) == line[10:20]


def test_offer_seats_fills_a_batch_that_was_not_full() -> None:
    tournament = make_tournament(seats=25, offers_per_minute=100, offer_batch=10)
    first = a_line(tournament, 4)
    assert offer(tournament) == first
    line = a_line(tournament, 10)
    assert offer(tournament) == line[:6]


def test_offer_seats_keeps_the_pace_to_the_minute_though_each_tick_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch every 2.5 s, which a clock that looks four times a second, 5 to 9 ms late each time, would find late each time."""
    tournament = make_tournament(seats=500, offers_per_minute=240, offer_batch=10)
    make_waiting(tournament, 500)
    begin, made = now(), []
    for tick in range(2 * MINUTE // TICK):
        moment = begin + tick * TICK + timedelta(milliseconds=5 + tick % 5)
        monkeypatch.setattr(offering, "database_now", lambda moment=moment: moment)
        if offering._offers_allowed(tournament, moment, 1.0):
            made += [moment] * services.offer_seats(tournament_id=tournament.pk)
    assert len(made) >= 470
    assert max(bisect(made, moment + MINUTE - TICK / 100) - made.index(moment) for moment in set(made)) == 240
    assert max(bisect(made, moment + 2 * TICK) - made.index(moment) for moment in set(made)) == 10


def test_offer_seats_offers_no_more_in_a_minute_than_is_allowed_though_a_batch_is_more(time_stands_still: None) -> None:
    tournament = make_tournament(seats=25, offers_per_minute=3, offer_batch=10)
    line = a_line(tournament, 5)
    assert offer(tournament) == line[:3]
    moved_back(tournament, timedelta(seconds=59))
    assert offer(tournament) == []
    moved_back(tournament, timedelta(seconds=1))
    assert offer(tournament) == line[3:]


def test_offer_seats_counts_all_divisions_into_one_pace() -> None:
    tournament = make_tournament(seats=8, divisions=("senior", "masters"), offer_batch=10)
    a_line(tournament, 8)
    a_line(tournament, 8, division=tournament.divisions.get(code="senior"))
    assert len(offer(tournament)) == 10


@pytest.mark.parametrize(("failed", "pause_in_seconds"), [(0, 6), (5, 6), (6, 12), (20, 12)])
def test_offer_seats_goes_slower_while_checkouts_fail(
    failed: int, pause_in_seconds: int, time_stands_still: None
) -> None:
    checkouts(failed=failed, of=100)
    tournament = make_tournament(seats=25, offers_per_minute=100, offer_batch=10)
    a_line(tournament, 25)
    assert len(offer(tournament)) == 10
    moved_back(tournament, timedelta(seconds=pause_in_seconds - 1))
    assert offer(tournament) == []
    moved_back(tournament, timedelta(seconds=1))
    assert len(offer(tournament)) == 10


def test_offer_seats_stops_while_more_than_a_fifth_of_the_checkouts_fail() -> None:
    checkouts(failed=21, of=100)
    tournament = make_tournament()
    entry = make_entry(tournament)
    assert offer(tournament) == []
    checkouts(failed=0, of=100)
    assert offer(tournament) == [entry]


def test_offer_seats_takes_few_failures_for_no_outage() -> None:
    checkouts(failed=9, of=9)
    tournament = make_tournament()
    entry = make_entry(tournament)
    assert offer(tournament) == [entry]


def test_offer_seats_does_not_ask_for_each_entry() -> None:
    tournament = make_tournament(seats=40)
    a_line(tournament, 40)
    with CaptureQueriesContext(connection) as many:
        assert services.offer_seats(tournament_id=tournament.pk) == 40
    small = make_tournament(seats=1)
    make_entry(small)
    with CaptureQueriesContext(connection) as few:
        assert services.offer_seats(tournament_id=small.pk) == 1
    # A savepoint's two; the tournament, the time, the pace, the free seats, the heads of the line, the offers, their mails.
    assert len(many) == len(few) == 9


# --- A seat out of order -------------------------------------------------------------------------------------


def test_grant_seat_offers_it_out_of_order_and_says_who_and_why() -> None:
    tournament, staff = make_tournament(seats=1), make_staff()
    first, favoured = make_entry(tournament), make_entry(tournament)
    entry = services.grant_seat(public_id=favoured.public_id, by=staff, reason="Reigning champion.")
    assert (entry.pk, entry.state, entry.granted_by, entry.grant_reason) == (
        favoured.pk,
        State.OFFERED,
        staff,
        "Reigning champion.",
    )
    assert offer(tournament) == []
    first.refresh_from_db()
    assert first.state == State.WAITING


def test_grant_seat_prefers_the_reserved_one_of_the_players_own_group() -> None:
    tournament = make_tournament(seats=1)
    group = make_group(tournament, reserved={"masters": 1})
    member = make_entry(tournament, group=group)
    granted = services.grant_seat(public_id=member.public_id, by=make_staff(), reason="A volunteer.")
    assert granted.seat is not None
    assert granted.seat.reserved_for == group


def test_grant_seat_takes_none_that_is_reserved_for_others() -> None:
    tournament = make_tournament(seats=0)
    make_group(tournament, reserved={"masters": 1})
    entry = make_entry(tournament)
    with pytest.raises(services.NoFreeSeatError):
        services.grant_seat(public_id=entry.public_id, by=make_staff(), reason="A volunteer.")
    entry.refresh_from_db()
    assert (entry.state, entry.grant_reason) == (State.WAITING, "")


def test_grant_seat_takes_none_of_another_division() -> None:
    tournament = make_tournament(seats=0)
    make_division(tournament, "senior", seats=1)
    entry = make_entry(tournament)
    with pytest.raises(services.NoFreeSeatError):
        services.grant_seat(public_id=entry.public_id, by=make_staff(), reason="A volunteer.")


@pytest.mark.parametrize("settings", [{"cancelled_at": now()}, {"opens_in": -5 * DAY}, {"mode": Mode.LOTTERY}])
def test_grant_seat_refuses_where_nobody_can_be_offered_one(settings: dict[str, Any]) -> None:
    entry = make_entry(make_tournament(**settings))
    with pytest.raises(services.NotInQueueError):
        services.grant_seat(public_id=entry.public_id, by=make_staff(), reason="A volunteer.")


@pytest.mark.parametrize("unready", ["address", "dispute"])
def test_grant_seat_waits_for_a_proved_address_and_an_undisputed_id(unready: str) -> None:
    player = make_player(
        make_user(verified=unready != "address"),
        player_id_state=Player.IdState.DISPUTED if unready == "dispute" else Player.IdState.CLAIMED,
    )
    entry = make_entry(make_tournament(), player)
    with pytest.raises(services.NotOfferableError):
        services.grant_seat(public_id=entry.public_id, by=make_staff(), reason="A volunteer.")
    entry.refresh_from_db()
    assert (entry.state, entry.grant_reason) == (State.WAITING, "")


def test_grant_seat_goes_on_in_a_pause() -> None:
    entry = make_entry(make_tournament(paused_at=now()))
    granted = services.grant_seat(public_id=entry.public_id, by=make_staff(), reason="A volunteer.")
    assert granted.state == State.OFFERED


# --- More time -----------------------------------------------------------------------------------------------


def test_extend_offers_gives_all_open_offers_more_time() -> None:
    tournament = make_tournament()
    offered = a_line(tournament, 2, state=State.OFFERED)
    confirmed = make_entry(tournament, state=State.CONFIRMED)
    elsewhere = make_entry(make_tournament(), state=State.OFFERED)
    extended = services.extend_offers(
        tournament_id=tournament.pk, minutes=15, by=make_staff(), reason="The hall's network was down."
    )
    assert extended == 2
    for entry in offered:
        before = times_of(entry)
        entry.refresh_from_db()
        assert times_of(entry) == [time + 15 * MINUTE for time in before if time]
    for entry in (confirmed, elsewhere):
        before = times_of(entry)
        entry.refresh_from_db()
        assert times_of(entry) == before


def times_of(entry: QueueEntry) -> list[datetime | None]:
    return [entry.offer_expires_at, entry.hold_until]
