"""What is committed late is published as soon as it is; and who is late publishes nothing that is old by then."""

import time
from contextlib import AbstractContextManager, ExitStack
from threading import Event

import pytest

from registrations.clock import Clock
from registrations.models import QueueEntry
from registrations.publisher import Events
from registrations.services import leave_queue
from tests.builders import make_entry, make_tournament
from tests.concurrency.actors import PATIENCE, Actor, done_but_not_committed
from tests.registrations.test_publisher import Listener, waits
from tests.sealing import PATIENCE_SECONDS


@pytest.fixture
def _no_time_passes_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in flight when the publisher looks is so for longer than it waits for what it can't know of."""
    monkeypatch.setattr("registrations.publisher.IN_FLIGHT_SECONDS", 0)


def make_clock() -> Clock:
    clock = Clock()
    clock.publisher.pause = 0
    return clock


def leaves_without_commit(entry: QueueEntry) -> AbstractContextManager[QueueEntry]:
    return done_but_not_committed(lambda: leave_queue(account=entry.player.account, public_id=entry.public_id))


def leave_late() -> tuple[list[int], Clock]:
    """Somebody in another block leaves in a transaction that stays open while three join; returns how many waited, as was heard."""
    tournament, clock = make_tournament(seats=0), make_clock()
    leaving, listener = make_entry(tournament, place=5 * 1024), Listener(tournament)
    clock.tick()
    with leaves_without_commit(leaving):
        for place in (1, 2, 3):
            make_entry(tournament, place=place)
            clock.tick()
    clock.tick()
    heard = [waits(text) for text in listener.texts()]
    listener.pubsub.close()
    return heard, clock


@pytest.mark.usefixtures("_no_time_passes_in_flight")
def test_what_is_committed_long_after_others_is_published_in_the_next_tick() -> None:
    heard, _clock = leave_late()
    assert heard == [1, 2, 3, 4, 3]


@pytest.mark.usefixtures("_no_time_passes_in_flight")
def test_without_waiting_for_open_transactions_it_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Events, "_none_in_flight", lambda _events: True)
    heard, _clock = leave_late()
    assert heard == [1, 2, 3, 4]


@pytest.mark.usefixtures("_no_time_passes_in_flight")
def test_what_is_committed_while_the_publisher_looks_is_seen_by_that_look(monkeypatch: pytest.MonkeyPatch) -> None:
    tournament, clock, asks = make_tournament(seats=0), make_clock(), Events._none_in_flight
    leaving, listener = make_entry(tournament, place=5 * 1024), Listener(tournament)
    clock.tick()
    with ExitStack() as late:
        late.enter_context(leaves_without_commit(leaving))
        make_entry(tournament, place=1)
        clock.tick()

        def commit_and_ask(events: Events) -> bool:
            late.close()
            return asks(events)

        monkeypatch.setattr(Events, "_none_in_flight", commit_and_ask)
        clock.tick()
    assert [waits(text) for text in listener.texts()] == [1, 2, 1]
    listener.pubsub.close()


@pytest.mark.usefixtures("_no_time_passes_in_flight")
def test_what_nothing_can_be_added_to_any_more_is_not_looked_at_again() -> None:
    """Transactions of other tests' databases are waited for as well, since their ids are one count."""
    _heard, clock = leave_late()
    (events, _of_seats), until = clock.publisher.events, time.monotonic() + PATIENCE_SECONDS
    while events.counts and time.monotonic() < until:
        clock.tick()
    assert events.counts == {}


def publish_late(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of two clocks that follow one line, one reads it, and publishes it after somebody else joined and the other clock ticked.

    Returns how many waited, as was heard.
    """
    tournament, late, other = make_tournament(seats=0), make_clock(), make_clock()
    listener = Listener(tournament)
    make_entry(tournament)
    for clock in (late, other):
        clock.tick()
    write, has_read, go_on = late.publisher._write, Event(), Event()

    def write_late(*what: object) -> bool:
        has_read.set()
        assert go_on.wait(PATIENCE)
        return write(*what)  # type: ignore[arg-type]

    monkeypatch.setattr(late.publisher, "_write", write_late)
    make_entry(tournament)
    publishing = Actor(late.tick)
    assert has_read.wait(PATIENCE)
    make_entry(tournament)
    other.tick()
    go_on.set()
    publishing.result()
    other.tick()
    heard = [waits(text) for text in listener.texts()]
    listener.pubsub.close()
    return heard


def test_a_clock_that_publishes_late_has_the_other_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert publish_late(monkeypatch) == [1, 2, 3]


@pytest.mark.usefixtures("publishing_without_leading")
def test_without_leading_a_clock_that_publishes_late_takes_the_line_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert publish_late(monkeypatch) == [1, 3, 2]
