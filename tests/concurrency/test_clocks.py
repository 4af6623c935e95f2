"""Two clocks: one works, the other stands by and takes over."""

from registrations.clock import SERVE_LOCK, Clock, _while_leading
from registrations.models import QueueEntry
from registrations.rules import State
from tests.builders import make_entry, make_tournament
from tests.concurrency.actors import Actor, all_at_once, done_but_not_committed


def test_a_clock_stands_by_while_another_serves() -> None:
    tournament, other = make_tournament(seats=1), make_tournament(seats=1)
    entry, elsewhere = make_entry(tournament), make_entry(other)
    with done_but_not_committed(lambda: _while_leading(SERVE_LOCK, tournament.pk, lambda: None)):
        standing_by = Actor(Clock().tick)
        assert not standing_by.waits()
        standing_by.result()
        entry.refresh_from_db()
        elsewhere.refresh_from_db()
        assert (entry.state, elsewhere.state) == (State.WAITING, State.OFFERED)
    Clock().tick()
    entry.refresh_from_db()
    assert entry.state == State.OFFERED


def test_clocks_that_tick_at_once_offer_each_seat_once() -> None:
    tournament = make_tournament(seats=5)
    entries = [make_entry(tournament) for _ in range(8)]
    assert all_at_once(*[Clock().tick] * 4) == [None] * 4
    assert set(QueueEntry.objects.filter(state=State.OFFERED)) == set(entries[:5])
