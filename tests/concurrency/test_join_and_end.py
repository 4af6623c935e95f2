"""A join that waited for somebody who ended registration is judged anew, by what the tournament's row says then."""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from registrations import services
from registrations.models import QueueEntry
from registrations.rules import State
from tests.builders import Mode, make_entry, make_player, make_tournament
from tests.concurrency.actors import Actor, done_but_not_committed
from tournaments.models import Tournament
from tournaments.services import TournamentCancelledError
from vgchub.errors import RefusedError

SECOND = timedelta(seconds=1)


def joins(tournament: Tournament) -> Callable[[], list[QueueEntry]]:
    player = make_player()
    return lambda: services.join_queue(account=player.account, tournament=tournament, player_ids=[player.pk])


def cancel(tournament: Tournament) -> Callable[[], int]:
    """As payments does it: under the row's lock, on the row, and then all who have no seat."""

    @transaction.atomic
    def act() -> int:
        Tournament.objects.locked().get(pk=tournament.pk)
        Tournament.objects.filter(pk=tournament.pk).update(cancelled_at=Now())
        return services.close_entries_of_cancelled(tournament_id=tournament.pk)

    return act


def seal(tournament: Tournament) -> Callable[[], int]:
    """As a draw does it: under the row's lock, on the row; the entries that it saw are the draw's."""

    def act() -> int:
        Tournament.objects.locked().get(pk=tournament.pk)
        Tournament.objects.filter(pk=tournament.pk).update(entries_sealed_at=Now())
        return QueueEntry.objects.waiting().filter(tournament=tournament).count()

    return act


def test_join_queue_that_waited_for_a_cancellation_is_refused() -> None:
    tournament = make_tournament()
    with done_but_not_committed(cancel(tournament)):
        late = Actor(joins(tournament))
        assert late.waits()
    with pytest.raises(TournamentCancelledError):
        late.result()
    assert not QueueEntry.objects.exists()


def test_cancellation_waits_for_a_join_in_flight_and_closes_it() -> None:
    tournament = make_tournament()
    with done_but_not_committed(joins(tournament)):
        canceller = Actor(cancel(tournament))
        assert canceller.waits()
    assert canceller.result() == 1
    assert QueueEntry.objects.get().state == State.CLOSED


def test_join_queue_without_its_lock_waits_in_a_cancelled_tournament(without_shared_lock: None) -> None:
    tournament = make_tournament()
    with done_but_not_committed(cancel(tournament)):
        late = Actor(joins(tournament))
        late.waits()
    [entry] = late.result()
    assert entry.state == State.WAITING


def test_join_queue_that_waited_for_the_seal_of_a_lottery_is_refused() -> None:
    tournament = make_tournament(mode=Mode.LOTTERY)
    with done_but_not_committed(seal(tournament)):
        late = Actor(joins(tournament))
        assert late.waits()
    with pytest.raises(services.ClosedError):
        late.result()


def test_join_queue_without_its_lock_slips_past_the_seal_of_a_lottery(without_shared_lock: None) -> None:
    tournament = make_tournament(mode=Mode.LOTTERY)
    with done_but_not_committed(seal(tournament)) as sealed:
        late = Actor(joins(tournament))
        late.waits()
    assert (sealed, len(late.result())) == (0, 1)


def test_join_queue_that_waited_for_the_seal_of_a_fair_start_comes_after_the_draw() -> None:
    tournament = make_tournament(mode=Mode.FAIR_START, opens_in=timedelta(minutes=30))
    with done_but_not_committed(seal(tournament)):
        late = Actor(joins(tournament))
        assert late.waits()
    [entry] = late.result()
    assert entry.place == entry.number


def test_join_queue_without_its_lock_waits_for_a_draw_that_does_not_know_it(without_shared_lock: None) -> None:
    tournament = make_tournament(mode=Mode.FAIR_START, opens_in=timedelta(minutes=30))
    with done_but_not_committed(seal(tournament)):
        late = Actor(joins(tournament))
        late.waits()
    [entry] = late.result()
    assert entry.place is None


# --- Registration is over ------------------------------------------------------------------------------------


def about_to_end() -> Tournament:
    """Joining and offers end in a second."""
    tournament = make_tournament()
    end = datetime.now(UTC) + SECOND
    Tournament.objects.filter(pk=tournament.pk).update(closes_at=end, offers_end_at=end)
    return tournament


def somebody_waits_after_the_end(tournament: Tournament, act: Callable[[], object]) -> bool:
    """`act` begins in time and waits for a lock, until registration is over and closed by whoever held it."""
    acting: list[Actor[object]] = []

    def close() -> int:
        Tournament.objects.locked().get(pk=tournament.pk)
        acting.append(Actor(act))
        acting[0].waits()
        time.sleep(SECOND.total_seconds())
        return services.close_registration(tournament_id=tournament.pk)

    with done_but_not_committed(close):
        pass
    with contextlib.suppress(RefusedError):
        acting[0].result()
    return QueueEntry.objects.waiting().exists()


def step_back(entry: QueueEntry) -> Callable[[], QueueEntry]:
    return lambda: services.step_back_in(account=entry.player.account, public_id=entry.public_id)


def test_join_queue_that_waited_until_registration_was_closed_is_refused() -> None:
    tournament = about_to_end()
    assert not somebody_waits_after_the_end(tournament, joins(tournament))
    assert not QueueEntry.objects.exists()


def test_step_back_in_that_waited_until_registration_was_closed_is_refused() -> None:
    tournament = about_to_end()
    passed = make_entry(tournament, state=State.PASSED)
    assert not somebody_waits_after_the_end(tournament, step_back(passed))
    passed.refresh_from_db()
    assert passed.state == State.CLOSED
