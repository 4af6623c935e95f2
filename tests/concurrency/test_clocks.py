"""Two clocks: one works, the other stands by and takes over."""

from datetime import timedelta

from registrations import services
from registrations.clock import SERVE_LOCK, Clock, _while_leading
from registrations.models import Heartbeat, QueueEntry
from registrations.rules import State
from tests.builders import make_entry, make_tournament, now
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


def test_clocks_that_come_back_at_once_give_the_lost_time_once() -> None:
    entry, outage = make_entry(make_tournament(), state=State.OFFERED), timedelta(minutes=20)
    Heartbeat.objects.create(beat_at=now() - outage)
    silences = all_at_once(*[services.beat] * 4)
    assert sum(1 for silent in silences if silent) == 1
    before = entry.offer_expires_at
    entry.refresh_from_db()
    assert before is not None
    assert entry.offer_expires_at is not None
    assert outage <= entry.offer_expires_at - before < outage + timedelta(minutes=1)
