"""Two clocks: one works, the other stands by and takes over."""

from datetime import timedelta

import pytest

from registrations import services
from registrations.clock import Clock, _while_leading
from registrations.models import Heartbeat, QueueEntry
from registrations.rules import State
from tests.builders import make_entry, make_group, make_player, make_tournament, make_user, now
from tests.concurrency.actors import Actor, all_at_once, done_but_not_committed
from vgchub.postgresql.locks import Work


def test_a_clock_stands_by_while_another_serves() -> None:
    tournament, other = make_tournament(seats=1), make_tournament(seats=1)
    entry, elsewhere = make_entry(tournament), make_entry(other)
    with done_but_not_committed(lambda: _while_leading(Work.SERVE_TOURNAMENT, tournament.pk, lambda: None)):
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


@pytest.mark.parametrize("offerable", [False, True])
def test_a_tick_waits_for_joins_only_where_somebody_can_be_offered_a_seat(*, offerable: bool) -> None:
    tournament = make_tournament(seats=1)
    make_group(tournament, reserved={"masters": 1})
    waiting, bob = make_entry(tournament, make_player(make_user(verified=offerable))), make_player()

    def joins() -> list[QueueEntry]:
        return services.join_queue(account=bob.account, tournament=tournament, player_ids=[bob.pk])

    with done_but_not_committed(joins):
        ticks = Actor(Clock().tick)
        assert ticks.waits() == offerable
    ticks.result()
    waiting.refresh_from_db()
    assert waiting.state == (State.OFFERED if offerable else State.WAITING)


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
