"""Who comes while entries are sealed or drawn, or a draw is declared void: each either before it or after, and nobody between."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, IntegrityError

from lottery import services
from lottery.models import Draw
from lottery.services import sealing
from payments.services import cancel_tournament
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import join_queue, leave_queue, offer_seats
from tests.builders import Mode, make_entry, make_player, make_staff, make_tournament
from tests.concurrency.actors import Actor, all_at_once, done_but_not_committed, sleep_until
from tests.lottery.draws import drawn, open_for, opened, run, sealed
from tournaments.models import Tournament

SOON = timedelta(seconds=3)  # time enough to join
BOTH = pytest.mark.parametrize("mode", [Mode.LOTTERY, Mode.FAIR_START])


def joins(tournament: Tournament) -> Callable[[], list[QueueEntry]]:
    player = make_player()
    return lambda: join_queue(account=player.account, tournament=tournament, player_ids=[player.pk])


def leaves(entry: QueueEntry) -> Callable[[], QueueEntry]:
    return lambda: leave_queue(account=entry.player.account, public_id=entry.public_id)


def offers(draw: Draw) -> Callable[[], int]:
    return lambda: offer_seats(tournament_id=draw.tournament_id)


def cancels(draw: Draw) -> Callable[[], None]:
    staff = make_staff()
    return lambda: cancel_tournament(tournament_id=draw.tournament_id, by=staff, reason="The hall burnt down.")


def seals(draw: Draw) -> Callable[[], bool]:
    return lambda: services.seal_draw(draw_id=draw.pk)


def draws(draw: Draw) -> Callable[[], bool]:
    return lambda: services.run_draw(draw_id=draw.pk)


def closes_the_door(draw: Draw) -> Callable[[], int | None]:
    """The first half of sealing, for milliseconds."""
    return lambda: sealing._close_the_door(draw.pk, by_hand=False)


def writes_the_manifest(draw: Draw) -> Callable[[], bool]:
    """The second half, as long as there are entries."""
    return lambda: sealing._write_manifest(draw.pk, draw.tournament_id)


def state_of(draw: Draw) -> str:
    return Draw.objects.values_list("state", flat=True).get(pk=draw.pk)


# --- Entering while entries are sealed -----------------------------------------------------------------------


def about_to_be_sealed(mode: Mode) -> Draw:
    """Somebody waits already; in a moment entries are due to be sealed."""
    tournament = make_tournament(
        mode=mode, entropy="COMMIT_REVEAL", opens_in=timedelta(hours=1 if mode == Mode.FAIR_START else -1)
    )
    due = datetime.now(UTC) + SOON
    times = {"opens_at": due, "prequeue_opens_at": due - timedelta(hours=1)}
    if mode == Mode.LOTTERY:
        times = {"closes_at": due, "seals_at": due}
    Tournament.objects.filter(pk=tournament.pk).update(**times)
    tournament.refresh_from_db()
    make_entry(tournament)
    return open_for(tournament)


def sealed_with_who_is_entering(mode: Mode) -> bool:
    """Alice pressed the button in time and is not committed when the sealer comes. Is she in the draw?"""
    draw = about_to_be_sealed(mode)
    due = draw.tournament.seals_at or draw.tournament.opens_at
    with done_but_not_committed(joins(draw.tournament)) as [alice]:
        sleep_until(due)
        sealer = Actor(seals(draw))
        sealer.waits()
    assert sealer.result()
    assert run(draw).state == "DRAWN"
    alice.refresh_from_db()
    assert (alice.place is not None) == draw.entries.filter(entry=alice).exists()
    return alice.place is not None


@BOTH
def test_seal_draw_waits_for_who_is_entering(mode: Mode) -> None:
    assert sealed_with_who_is_entering(mode)


@BOTH
def test_seal_draw_without_its_lock_leaves_out_who_is_entering(mode: Mode, without_row_lock: None) -> None:
    assert not sealed_with_who_is_entering(mode)


@BOTH
def test_join_queue_without_its_lock_is_left_out_of_the_draw(mode: Mode, without_shared_lock: None) -> None:
    assert not sealed_with_who_is_entering(mode)


def test_join_queue_that_waited_for_the_door_to_close_stands_behind_the_draw() -> None:
    draw = opened(Mode.FAIR_START)
    with done_but_not_committed(closes_the_door(draw)):
        late = Actor(joins(draw.tournament))
        assert late.waits()
    [entry] = late.result()
    assert entry.place == entry.number
    assert services.seal_draw(draw_id=draw.pk)
    assert run(draw).entrants == 3


def manifest_or_draw_holds_up_a_join(long_work: str) -> bool:
    """Whether somebody who joins a fair start has to wait for what takes as long as there are entries."""
    if long_work == "manifest":
        draw = opened(Mode.FAIR_START)
        closes_the_door(draw)()
        work = writes_the_manifest(draw)
    else:
        draw = sealed(Mode.FAIR_START)
        work = draws(draw)
    with done_but_not_committed(work) as done:
        assert done
        late = Actor(joins(draw.tournament))
        waited = late.waits()
    [entry] = late.result()
    assert entry.place == entry.number
    return waited


@pytest.mark.parametrize("long_work", ["manifest", "draw"])
def test_join_queue_waits_neither_for_the_manifest_nor_for_the_draw(long_work: str) -> None:
    assert not manifest_or_draw_holds_up_a_join(long_work)


@pytest.mark.parametrize("long_work", ["manifest", "draw"])
def test_join_queue_would_wait_if_they_held_the_row_alone(long_work: str, holding_joins_too: None) -> None:
    assert manifest_or_draw_holds_up_a_join(long_work)


# --- Two at the same work ------------------------------------------------------------------------------------


def test_many_sealers_at_once_seal_once() -> None:
    draw = opened(entries=6)
    outcomes = all_at_once(*[seals(draw)] * 4)
    assert sorted(outcomes) == [False, False, False, True]  # type: ignore[type-var]
    assert (draw.entries.count(), draw.files.count()) == (6, 1)


def test_second_sealer_finds_nothing_to_do() -> None:
    draw = opened()
    closes_the_door(draw)()
    with done_but_not_committed(writes_the_manifest(draw)) as first:
        second = Actor(writes_the_manifest(draw))
        assert not second.waits()
        assert (first, second.result()) == (True, False)
    assert seals(draw)() is False


def test_second_sealer_without_locks_seals_again_as_far_as_the_database_lets(without_locks_of_the_draw: None) -> None:
    draw = opened()
    closes_the_door(draw)()
    with done_but_not_committed(writes_the_manifest(draw)):
        second = Actor(writes_the_manifest(draw))
        assert second.waits()
    with pytest.raises(IntegrityError, match="drawentry_once_per_draw"):
        second.result()


def test_many_drawers_at_once_draw_once() -> None:
    draw = sealed(entries=6)
    outcomes = all_at_once(*[draws(draw)] * 4)
    assert sorted(outcomes) == [False, False, False, True]  # type: ignore[type-var]
    bundles = all_at_once(*[lambda: services.write_bundle(draw_id=draw.pk)] * 4)
    assert sorted(bundles) == [False, False, False, True]  # type: ignore[type-var]


def test_second_drawer_finds_nothing_to_do() -> None:
    draw = sealed()
    with done_but_not_committed(draws(draw)) as first:
        second = Actor(draws(draw))
        assert not second.waits()
        assert (first, second.result()) == (True, False)


def test_second_drawer_without_locks_draws_again_as_far_as_the_database_lets(without_locks_of_the_draw: None) -> None:
    draw = sealed()
    with done_but_not_committed(draws(draw)):
        second = Actor(draws(draw))
        assert second.waits()
    with pytest.raises(RuntimeError, match="sealed 3 entries and ranked 0"):
        second.result()


# --- Declaring void against the first offer ------------------------------------------------------------------


def proposed() -> tuple[Draw, Callable[[], Draw]]:
    """A draw that somebody proposed to declare void, and another member of staff about to confirm it."""
    draw, other = drawn(), make_staff()
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason="Somebody was left out.")
    return draw, lambda: services.void_draw(draw_id=draw.pk, by=other)


def test_void_draw_that_waited_for_the_first_offer_is_refused() -> None:
    draw, voids = proposed()
    with done_but_not_committed(offers(draw)) as offered:
        staff = Actor(voids)
        assert staff.waits()
    assert offered == 3
    with pytest.raises(services.AlreadyOfferedError):
        staff.result()
    assert state_of(draw) == "DRAWN"


def test_offer_seats_that_waited_for_a_draw_to_be_void_offers_nothing() -> None:
    draw, voids = proposed()
    with done_but_not_committed(voids):
        admitter = Actor(offers(draw))
        assert admitter.waits()
    assert admitter.result() == 0
    assert state_of(draw) == "VOID"


def test_void_draw_without_its_lock_would_take_back_what_is_offered(without_row_lock: None) -> None:
    draw, voids = proposed()
    with done_but_not_committed(offers(draw)):
        staff = Actor(voids)
        assert staff.waits()
    with pytest.raises(DatabaseError, match="a place stays"):
        staff.result()


def test_offer_seats_without_its_lock_would_offer_by_a_void_draw(without_row_lock: None) -> None:
    draw, voids = proposed()
    with done_but_not_committed(voids):
        admitter = Actor(offers(draw))
        assert admitter.waits()
    with pytest.raises(IntegrityError, match="queueentry_no_offer_without_a_place"):
        admitter.result()


def test_draw_is_declared_void_once_by_many() -> None:
    draw, voids = proposed()
    outcomes = all_at_once(*[voids] * 3)
    assert [type(outcome).__name__ for outcome in outcomes].count("Draw") == 1
    assert Draw.objects.filter(tournament=draw.tournament_id).count() == 2


# --- Leaving and cancelling during the draw ------------------------------------------------------------------


def place_of_who_leaves_before_the_draw() -> int | None:
    draw = sealed()
    entry = draw.entries.all()[0].entry
    with done_but_not_committed(leaves(entry)):
        drawer = Actor(draws(draw))
        assert drawer.waits()
    assert drawer.result()
    entry.refresh_from_db()
    assert entry.state == State.LEFT
    assert draw.entries.get(entry=entry).rank is not None
    return entry.place


def test_run_draw_gives_no_place_to_who_is_leaving() -> None:
    assert place_of_who_leaves_before_the_draw() is None


def test_run_draw_that_does_not_look_again_gives_a_place_to_who_has_left(placing_whoever_was_sealed: None) -> None:
    assert place_of_who_leaves_before_the_draw() is not None


def test_leave_queue_waits_for_the_draw_and_leaves_a_place() -> None:
    draw = sealed()
    entry = draw.entries.all()[0].entry
    with done_but_not_committed(draws(draw)):
        leaver = Actor(leaves(entry))
        assert leaver.waits()
    left = leaver.result()
    assert (left.state, left.place) == (State.LEFT, (draw.entries.get(entry=entry).rank or 0) - 4)


def state_after_a_cancellation_in_flight() -> str:
    draw = sealed()
    with done_but_not_committed(cancels(draw)):
        drawer = Actor(draws(draw))
        drawer.waits()
    drawer.result()
    return state_of(draw)


def test_run_draw_that_waited_for_a_cancellation_does_not_draw() -> None:
    assert state_after_a_cancellation_in_flight() == "SEALED"
    assert set(QueueEntry.objects.values_list("state", "place")) == {("CLOSED", None)}


def test_run_draw_without_its_locks_draws_what_is_cancelled(without_locks_of_the_draw: None) -> None:
    assert state_after_a_cancellation_in_flight() == "DRAWN"


def test_cancellation_waits_for_the_draw_and_closes_everybody() -> None:
    draw = sealed()
    with done_but_not_committed(draws(draw)):
        canceller = Actor(cancels(draw))
        assert canceller.waits()
    canceller.result()
    assert set(QueueEntry.objects.values_list("state", "place")) == {("CLOSED", -1), ("CLOSED", -2), ("CLOSED", -3)}


def test_seal_draw_that_waited_for_a_cancellation_is_refused() -> None:
    draw = opened()
    with done_but_not_committed(cancels(draw)):
        sealer = Actor(seals(draw))
        assert sealer.waits()
    with pytest.raises(services.NotDueError):
        sealer.result()
    assert state_of(draw) == "OPEN"
