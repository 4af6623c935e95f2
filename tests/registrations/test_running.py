"""What organizers and the end of registration do to a whole queue."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db.models import F

from accounts.models import Player
from registrations import services
from registrations.models import QueueEntry
from registrations.rules import ENDED, State
from registrations.services.running import SealedError, close_due_registrations
from tests.builders import Mode, make_entry, make_group, make_player, make_staff, make_tournament, now
from tournaments.models import Division, PriorityGroup, Seat, Tournament
from tournaments.services import TournamentCancelledError
from vgchub import health

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def again(entry: QueueEntry) -> QueueEntry:
    entry.refresh_from_db()
    return entry


def states(tournament: Tournament) -> dict[str, int]:
    found = QueueEntry.objects.filter(tournament=tournament).values_list("state", flat=True)
    return {state: list(found).count(state) for state in set(found)}


# --- Pausing -------------------------------------------------------------------------------------------------


def test_pause_stops_offers_and_lapses() -> None:
    tournament = make_tournament()
    make_entry(tournament)
    make_entry(tournament, state=State.OFFERED, offer_expires_at=now() - MINUTE, hold_until=now() - MINUTE)
    services.pause_tournament(tournament_id=tournament.pk, by=make_staff(), reason="Fire alarm.")
    assert services.offer_seats(tournament_id=tournament.pk) == 0
    assert services.lapse_offers(tournament_id=tournament.pk) == 0
    assert not services.lapse_offer(entry_id=QueueEntry.objects.get(state=State.OFFERED).pk)
    assert states(tournament) == {"WAITING": 1, "OFFERED": 1}


def test_pause_again_keeps_when_it_began() -> None:
    tournament = make_tournament(paused_at=now() - HOUR)
    services.pause_tournament(tournament_id=tournament.pk, by=make_staff())
    tournament.refresh_from_db()
    assert tournament.paused_at is not None
    assert now() - tournament.paused_at >= HOUR


def test_pause_of_a_cancelled_tournament_is_refused() -> None:
    tournament = make_tournament(cancelled_at=now())
    with pytest.raises(TournamentCancelledError):
        services.pause_tournament(tournament_id=tournament.pk, by=make_staff())


def test_resume_gives_every_open_offer_the_paused_time_back() -> None:
    tournament = make_tournament(paused_at=now() - HOUR)
    expires_at, hold_until = now() - HOUR / 2, now()
    running_out = make_entry(tournament, state=State.OFFERED, offer_expires_at=expires_at, hold_until=hold_until)
    confirmed = make_entry(tournament, state=State.CONFIRMED)
    services.resume_tournament(tournament_id=tournament.pk, by=make_staff())
    again(running_out)
    assert running_out.offer_expires_at is not None
    assert running_out.hold_until is not None
    assert HOUR <= running_out.offer_expires_at - expires_at < HOUR + MINUTE
    assert running_out.hold_until - hold_until == running_out.offer_expires_at - expires_at
    assert again(confirmed).offer_expires_at is None
    tournament.refresh_from_db()
    assert tournament.paused_at is None
    assert services.lapse_offers(tournament_id=tournament.pk) == 0


@pytest.mark.parametrize(
    ("hours_of_rush", "fields", "moves"),
    [
        (2, {}, True),
        (2, {"checkout_at": now()}, False),  # who is paying has minutes, by day or night
        (90, {}, False),  # minutes of the rush are minutes, at any time
    ],
)
def test_resume_moves_the_end_of_a_late_offer_out_of_the_night(
    hours_of_rush: int, fields: dict[str, Any], *, moves: bool
) -> None:
    """The pause would let it end at 23:30 at the venue; it ends at 08:00 then."""
    venue = ZoneInfo("Europe/Berlin")
    evening = datetime.now(venue).replace(hour=23, minute=30, second=0, microsecond=0) + 2 * DAY
    tournament = make_tournament(
        opens_in=-DAY, lasts=5 * DAY, paused_at=now() - 3 * HOUR, rush_minutes=60 * hours_of_rush
    )
    entry = make_entry(
        tournament,
        state=State.OFFERED,
        offer_expires_at=evening - 3 * HOUR,
        hold_until=evening - 2 * HOUR,
        **fields,
    )
    services.resume_tournament(tournament_id=tournament.pk, by=make_staff())
    again(entry)
    assert entry.offer_expires_at is not None
    assert entry.hold_until == entry.offer_expires_at + HOUR
    if moves:
        morning = (evening + DAY).replace(hour=8, minute=0)
        assert entry.offer_expires_at == morning
    else:
        assert timedelta(0) <= entry.offer_expires_at - evening < MINUTE


def test_resume_again_adds_nothing() -> None:
    tournament = make_tournament()
    entry = make_entry(tournament, state=State.OFFERED)
    services.resume_tournament(tournament_id=tournament.pk, by=make_staff())
    assert entry.offer_expires_at == again(entry).offer_expires_at


def test_nothing_lapses_while_checkouts_fail() -> None:
    for index in range(20):
        health.record_call("checkout", ok=index > 10)
    entry = make_entry(make_tournament(), state=State.OFFERED, offer_expires_at=now() - MINUTE)
    assert services.lapse_offers(tournament_id=entry.tournament_id) == 0
    entry = again(entry)
    assert entry.state == State.OFFERED
    # Once they work again there is time to pay: the minutes of a new offer.
    assert entry.offer_expires_at is not None
    assert entry.offer_expires_at > now() + (entry.tournament.offer_minutes - 2) * MINUTE


# --- Seats ---------------------------------------------------------------------------------------------------


def set_seats(division: Division, seats: int, group: PriorityGroup | None = None) -> int:
    return services.set_seats(
        division_id=division.pk,
        seats=seats,
        by=make_staff(),
        reason="A bigger hall.",
        group_id=group.pk if group else None,
    )


@pytest.mark.parametrize(("before", "wanted"), [(0, 3), (3, 5), (3, 3), (3, 1), (3, 0)])
def test_set_seats_makes_it_so_and_again_changes_nothing(before: int, wanted: int) -> None:
    division = make_tournament(seats=before).divisions.get()
    assert set_seats(division, wanted) == wanted - before
    assert list(division.seats.values_list("number", flat=True)) == list(range(1, wanted + 1))
    assert set_seats(division, wanted) == 0


def test_set_seats_numbers_new_ones_after_the_last() -> None:
    division = make_tournament(seats=3).divisions.get()
    Seat.objects.get(number=2).delete()
    set_seats(division, 4)
    assert list(division.seats.values_list("number", flat=True)) == [1, 3, 4, 5]


def test_set_seats_takes_only_free_ones() -> None:
    tournament = make_tournament(seats=3)
    held = tournament.divisions.get().seats.get(number=3)
    make_entry(tournament, state=State.CONFIRMED, seat=held)
    set_seats(tournament.divisions.get(), 1)
    assert list(Seat.objects.all()) == [held]


def test_set_seats_refuses_to_take_a_seat_that_is_held_and_changes_nothing() -> None:
    tournament = make_tournament(seats=3)
    make_entry(tournament, state=State.OFFERED)
    make_entry(tournament, state=State.CONFIRMED)
    with pytest.raises(services.SeatsTakenError) as refused:
        set_seats(tournament.divisions.get(), 1)
    assert refused.value.data == {"free": 1}
    assert Seat.objects.count() == 3


def test_set_seats_counts_each_kind_apart() -> None:
    tournament = make_tournament(seats=2)
    division, group = tournament.divisions.get(), make_group(tournament, reserved={"masters": 1})
    assert set_seats(division, 3, group) == 2
    assert set_seats(division, 1) == -1
    assert (division.seats.filter(reserved_for=group).count(), division.seats.filter(reserved_for=None).count()) == (
        3,
        1,
    )


def test_set_seats_that_are_new_are_offered_at_once() -> None:
    tournament = make_tournament(seats=0)
    make_entry(tournament)
    assert services.offer_seats(tournament_id=tournament.pk) == 0
    set_seats(tournament.divisions.get(), 1)
    assert services.offer_seats(tournament_id=tournament.pk) == 1


@pytest.mark.parametrize("wanted", [1, 9])
def test_set_seats_refuses_between_seal_and_draw(wanted: int) -> None:
    tournament = make_tournament(mode=Mode.LOTTERY, entries_sealed_at=now())
    with pytest.raises(SealedError):
        set_seats(tournament.divisions.get(), wanted)
    Tournament.objects.update(drawn_at=now())
    assert set_seats(tournament.divisions.get(), wanted) == wanted - 4


# --- Groups --------------------------------------------------------------------------------------------------


def list_in(group: PriorityGroup, player: Player) -> None:
    """As an import of members does."""
    group.members.create(player_id=player.player_id)


def test_regroup_entries_moves_who_was_listed_later_into_the_lane() -> None:
    tournament = make_tournament()
    general, veteran = make_entry(tournament), make_entry(tournament)
    group = make_group(tournament, priority=2)
    list_in(group, veteran.player)
    assert services.regroup_entries(tournament_id=tournament.pk) == 1
    assert (again(veteran).group, veteran.priority) == (group, 2)
    assert list(QueueEntry.objects.in_line()) == [veteran, general]
    assert services.regroup_entries(tournament_id=tournament.pk) == 0


def test_regroup_entries_takes_who_is_listed_no_more_back_to_the_general_line() -> None:
    tournament = make_tournament()
    entry = make_entry(tournament, group=make_group(tournament, priority=2), priority=2)
    assert services.regroup_entries(tournament_id=tournament.pk) == 1
    assert (again(entry).group, entry.priority) == (None, 0)


def test_regroup_entries_follows_a_group_into_another_lane() -> None:
    tournament = make_tournament()
    entry = make_entry(tournament)
    group = make_group(tournament, members=(entry.player,))
    services.regroup_entries(tournament_id=tournament.pk)
    PriorityGroup.objects.filter(pk=group.pk).update(priority=3)
    assert services.regroup_entries(tournament_id=tournament.pk) == 1
    assert again(entry).priority == 3


def test_regroup_entries_knows_no_lanes_where_the_order_is_drawn() -> None:
    tournament = make_tournament(mode=Mode.LOTTERY)
    entry = make_entry(tournament)
    group = make_group(tournament, members=(entry.player,), priority=2)
    assert services.regroup_entries(tournament_id=tournament.pk) == 1
    assert (again(entry).group, entry.priority) == (group, 0)
    assert services.regroup_entries(tournament_id=tournament.pk) == 0


@pytest.mark.parametrize("state", [state for state in State if state != State.WAITING])
def test_regroup_entries_leaves_what_was_offered_as_it_was_offered(state: State) -> None:
    tournament = make_tournament()
    entry = make_entry(tournament, state=state)
    make_group(tournament, members=(entry.player,))
    assert services.regroup_entries(tournament_id=tournament.pk) == 0
    assert again(entry).group is None


def test_regroup_entries_leaves_what_is_sealed() -> None:
    tournament = make_tournament(mode=Mode.LOTTERY, entries_sealed_at=now())
    make_group(tournament, members=(make_entry(tournament).player,))
    assert services.regroup_entries(tournament_id=tournament.pk) == 0


def test_regroup_entries_puts_nobody_in_by_a_disputed_player_id() -> None:
    tournament = make_tournament()
    claimant = make_player(player_id_state=Player.IdState.DISPUTED)
    make_entry(tournament, claimant)
    make_group(tournament, members=(claimant,))
    assert services.regroup_entries(tournament_id=tournament.pk) == 0


# --- The end -------------------------------------------------------------------------------------------------


def one_of_each(tournament: Tournament) -> None:
    for state in State:
        make_entry(tournament, state=state)


EACH_ONCE = dict.fromkeys(State, 1)
LEFT_OVER = {**dict.fromkeys((State.OFFERED, State.CONFIRMED, *ENDED), 1), State.CLOSED: 3}


def test_close_registration_ends_waiting_and_leaves_open_offers_to_run_out() -> None:
    tournament = make_tournament(opens_in=-5 * DAY)
    one_of_each(tournament)
    assert services.close_registration(tournament_id=tournament.pk) == 2
    assert states(tournament) == LEFT_OVER
    tournament.refresh_from_db()
    assert tournament.closed_at is not None
    assert services.close_registration(tournament_id=tournament.pk) == 0


def test_close_registration_before_the_last_offers_does_nothing() -> None:
    tournament = make_tournament(opens_in=-3 * DAY)
    one_of_each(tournament)
    assert services.close_registration(tournament_id=tournament.pk) == 0
    assert states(tournament) == EACH_ONCE
    tournament.refresh_from_db()
    assert tournament.closed_at is None


def test_close_due_registrations_finds_those_that_are_over() -> None:
    over, open_ = make_tournament(opens_in=-5 * DAY), make_tournament()
    one_of_each(over)
    one_of_each(open_)
    assert close_due_registrations() == 2
    assert (states(over), states(open_)) == (LEFT_OVER, EACH_ONCE)
    assert close_due_registrations() == 0


def test_close_due_registrations_ends_also_an_offer_that_was_missed_after_the_end() -> None:
    tournament = make_tournament(opens_in=-5 * DAY)
    entry = make_entry(tournament, state=State.OFFERED)
    close_due_registrations()
    QueueEntry.objects.update(offer_expires_at=F("offered_at"))
    assert services.lapse_offers(tournament_id=tournament.pk) == 1
    assert close_due_registrations() == 1
    assert again(entry).state == State.CLOSED


def test_close_entries_of_cancelled_leaves_only_confirmed_ones() -> None:
    tournament = make_tournament(cancelled_at=now())
    one_of_each(tournament)
    assert services.close_entries_of_cancelled(tournament_id=tournament.pk) == 3
    assert states(tournament) == {State.CONFIRMED: 1, **dict.fromkeys(ENDED, 1), State.CLOSED: 4}
    assert Seat.objects.free().count() == 3
    assert services.close_entries_of_cancelled(tournament_id=tournament.pk) == 0


def test_close_of_more_than_one_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registrations.services.running.CHUNK", 2)
    tournament = make_tournament(opens_in=-5 * DAY)
    for _ in range(5):
        make_entry(tournament)
    assert services.close_registration(tournament_id=tournament.pk) == 5


@pytest.mark.parametrize(
    "settings", [{"opens_in": -3 * DAY, "offers_end_at": now() - MINUTE}, {"opens_in": -5 * DAY, "paused_at": now()}]
)
def test_nothing_is_offered_at_or_after_the_last_offers(settings: dict[str, Any]) -> None:
    tournament = make_tournament(**settings)
    make_entry(tournament)
    assert services.offer_seats(tournament_id=tournament.pk) == 0
