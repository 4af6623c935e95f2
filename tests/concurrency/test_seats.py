"""Two who decide about the same seat."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError, IntegrityError

from registrations import services
from registrations.models import QueueEntry
from registrations.rules import State
from tests.builders import make_entry, make_staff, make_tournament
from tests.concurrency.actors import Actor, all_at_once, done_but_not_committed
from tournaments.models import Division, Seat, Tournament


def admits(tournament: Tournament) -> Callable[[], int]:
    return lambda: services.offer_seats(tournament_id=tournament.pk)


def leaves(entry: QueueEntry) -> Callable[[], QueueEntry]:
    return lambda: services.leave_queue(account=entry.player.account, public_id=entry.public_id)


def steps_back_in(entry: QueueEntry) -> Callable[[], QueueEntry]:
    return lambda: services.step_back_in(account=entry.player.account, public_id=entry.public_id)


def grants(entry: QueueEntry) -> Callable[[], QueueEntry]:
    staff = make_staff()
    return lambda: services.grant_seat(public_id=entry.public_id, by=staff, reason="A volunteer.")


def sets_seats(division: Division, seats: int) -> Callable[[], int]:
    return lambda: services.set_seats(division_id=division.pk, seats=seats, by=None, reason="The hall is smaller.")


# --- The last seat -------------------------------------------------------------------------------------------


def test_last_seat_is_offered_once_by_two_admitters() -> None:
    tournament = make_tournament(seats=1)
    first, second = make_entry(tournament), make_entry(tournament)
    with done_but_not_committed(admits(tournament)) as offered:
        other = Actor(admits(tournament))
        assert other.waits()
    assert (offered, other.result()) == (1, 0)
    assert list(QueueEntry.objects.order_by("number").values_list("pk", "state")) == [
        (first.pk, State.OFFERED),
        (second.pk, State.WAITING),
    ]


def test_last_seat_that_is_being_offered_is_not_offered_to_who_steps_back_in_before() -> None:
    tournament = make_tournament(seats=1)
    earlier, later = make_entry(tournament, state=State.PASSED), make_entry(tournament)
    with done_but_not_committed(admits(tournament)):
        returning = Actor(steps_back_in(earlier))
        assert returning.waits()
        other = Actor(admits(tournament))
        assert other.waits()
    assert (returning.result().state, other.result()) == (State.WAITING, 0)
    assert QueueEntry.objects.get(state=State.OFFERED) == later


def test_last_seat_without_the_lock_is_given_twice_as_far_as_the_database_lets(without_row_lock: None) -> None:
    tournament = make_tournament(seats=1)
    earlier, _later = make_entry(tournament, state=State.PASSED), make_entry(tournament)
    with done_but_not_committed(admits(tournament)):
        steps_back_in(earlier)()
        other = Actor(admits(tournament))
        assert other.waits()
    with pytest.raises(IntegrityError, match="seat_id_key"):
        other.result()


def test_last_seat_is_granted_or_offered_but_not_both() -> None:
    tournament = make_tournament(seats=1)
    make_entry(tournament)
    favoured = make_entry(tournament)
    with done_but_not_committed(grants(favoured)):
        admitter = Actor(admits(tournament))
        assert admitter.waits()
    assert admitter.result() == 0
    assert QueueEntry.objects.get(state=State.OFFERED) == favoured


def test_grant_seat_that_waited_for_the_admitter_finds_no_seat() -> None:
    tournament = make_tournament(seats=1)
    make_entry(tournament)
    favoured = make_entry(tournament)
    with done_but_not_committed(admits(tournament)):
        staff = Actor(grants(favoured))
        assert staff.waits()
    with pytest.raises(services.NoFreeSeatError):
        staff.result()


def test_grant_seat_to_somebody_who_is_leaving_is_refused() -> None:
    entry = make_entry(make_tournament(seats=1))
    with done_but_not_committed(leaves(entry)):
        staff = Actor(grants(entry))
        assert staff.waits()
    with pytest.raises(services.NotInQueueError):
        staff.result()
    assert QueueEntry.objects.get().state == State.LEFT


def test_many_admitters_at_once_offer_each_seat_once() -> None:
    tournament = make_tournament(seats=9, offer_batch=10)
    entries = [make_entry(tournament) for _ in range(12)]
    outcomes = all_at_once(*[admits(tournament)] * 5)
    assert sorted(outcomes) == [0, 0, 0, 0, 9]  # type: ignore[type-var]
    assert set(QueueEntry.objects.filter(state=State.OFFERED)) == set(entries[:9])


# --- Leaving -------------------------------------------------------------------------------------------------


def test_seat_of_who_leaves_meanwhile_goes_to_the_next() -> None:
    tournament = make_tournament(seats=1)
    first, second = make_entry(tournament), make_entry(tournament)
    with done_but_not_committed(leaves(first)):
        admitter = Actor(admits(tournament))
        assert admitter.waits()
    assert admitter.result() == 0
    assert admits(tournament)() == 1
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (State.LEFT, State.OFFERED)


def test_offer_that_does_not_look_at_the_state_again_hits_the_state_machine(
    offering_to_who_was_read_before: None,
) -> None:
    tournament = make_tournament(seats=1)
    entry = make_entry(tournament)
    with done_but_not_committed(leaves(entry)):
        admitter = Actor(admits(tournament))
        assert admitter.waits()
    with pytest.raises(DatabaseError):
        admitter.result()


def test_leave_queue_while_being_offered_declines_the_offer() -> None:
    tournament = make_tournament(seats=1)
    entry = make_entry(tournament)
    with done_but_not_committed(admits(tournament)):
        leaver = Actor(leaves(entry))
        assert leaver.waits()
    assert leaver.result().state == State.LEFT
    assert Seat.objects.free().count() == 1


# --- Capacity ------------------------------------------------------------------------------------------------


def test_seats_that_are_being_taken_away_are_not_offered() -> None:
    tournament = make_tournament(seats=2)
    entry = make_entry(tournament)
    with done_but_not_committed(sets_seats(tournament.divisions.get(), 0)) as change:
        admitter = Actor(admits(tournament))
        assert admitter.waits()
    assert (change, admitter.result()) == (-2, 0)
    entry.refresh_from_db()
    assert entry.state == State.WAITING


def test_seats_that_are_being_offered_are_not_taken_away() -> None:
    tournament = make_tournament(seats=1)
    make_entry(tournament)
    with done_but_not_committed(admits(tournament)):
        organizer = Actor(sets_seats(tournament.divisions.get(), 0))
        assert organizer.waits()
    with pytest.raises(services.SeatsTakenError):
        organizer.result()
    assert Seat.objects.count() == 1


def test_seat_taken_away_under_an_offer_without_the_lock_is_an_error(without_row_lock: None) -> None:
    tournament = make_tournament(seats=1)
    make_entry(tournament)

    def offer_while_the_seat_goes() -> None:
        with done_but_not_committed(admits(tournament)):
            assert Actor(sets_seats(tournament.divisions.get(), 0)).result() == -1

    with pytest.raises(IntegrityError, match="tournaments_seat"):
        offer_while_the_seat_goes()


def test_set_seats_by_two_organizers_at_once_counts_once() -> None:
    division = make_tournament(seats=0).divisions.get()
    outcomes = all_at_once(*[sets_seats(division, 30)] * 4)
    assert sorted(outcomes) == [0, 0, 0, 30]  # type: ignore[type-var]
    assert list(division.seats.values_list("number", flat=True)) == list(range(1, 31))
