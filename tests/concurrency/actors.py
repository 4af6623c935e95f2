"""Several people at once, each in a thread with a connection of its own; who is where is arranged, not hoped for."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any, Generic, TypeVar

from django.db import connection, connections, transaction

T = TypeVar("T")
PATIENCE = 20  # seconds after which a test gives up; nothing here takes one

BLOCKED = "SELECT cardinality(pg_blocking_pids(%s)) > 0"


class Actor(Generic[T]):
    """Somebody who does one thing, begun at once, and may have to wait for a lock that another holds."""

    def __init__(self, act: Callable[[], T]) -> None:
        self._act = act
        self._pid = 0
        self._at_work, self._result, self._error = Event(), None, None  # type: tuple[Event, T | None, BaseException | None]
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._at_work.wait(PATIENCE)

    def _run(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self._pid = cursor.fetchone()[0]
            self._at_work.set()
            self._result = self._act()
        except BaseException as error:  # noqa: BLE001  handed to whoever asks for the result
            self._error = error
        finally:
            self._at_work.set()
            connections.close_all()

    def waits(self) -> bool:
        """Whether this actor has to wait for a lock: seen as soon as it does, or False once it is done."""
        deadline = time.monotonic() + PATIENCE
        with connection.cursor() as cursor:
            while self._thread.is_alive():
                cursor.execute(BLOCKED, [self._pid])
                if cursor.fetchone() == (True,):
                    return True
                assert time.monotonic() < deadline, "neither waiting nor done"
                time.sleep(0.005)
        return False

    def result(self) -> T:
        """What it came to; raises what it raised."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "still waiting"
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


@contextmanager
def done_but_not_committed(act: Callable[[], T]) -> Iterator[T]:
    """`act` is done in another connection whose transaction stays open while the block runs, and is committed at its end."""
    acted, go_on = Event(), Event()
    results: list[T] = []

    def act_and_hold() -> None:
        try:
            with transaction.atomic():
                results.append(act())
                acted.set()
                assert go_on.wait(PATIENCE)
        finally:
            acted.set()

    holder = Actor(act_and_hold)
    try:
        assert acted.wait(PATIENCE)
        if not results:
            holder.result()
        yield results[0]
    finally:
        go_on.set()
    holder.result()


def all_at_once(*acts: Callable[[], object]) -> list[object]:
    """Do all of it at the same moment; returns what each came to, in order, errors included."""
    go = Event()

    def after_the_bell(act: Callable[[], object]) -> Callable[[], object]:
        def begin() -> object:
            assert go.wait(PATIENCE)
            return act()

        return begin

    actors = [Actor(after_the_bell(act)) for act in acts]
    go.set()
    return [outcome_of(actor) for actor in actors]


def sleep_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def outcome_of(actor: Actor[Any]) -> object:
    """What an actor came to, an error included."""
    try:
        return actor.result()
    except Exception as error:  # noqa: BLE001  an outcome like any other
        return error
