"""A web process' threads: whoever waits for somebody outside stands aside, and another works in its place.

So a Stripe that takes seconds keeps those waiting who pay, and nobody who joins; and no more work at once than is good for a
process, each with a connection to the database.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Lock, local
from typing import Any, cast

from django.db import connection

from vgchub.postgresql.base import DatabaseWrapper

ASIDE = 256  # threads that may wait for somebody outside, beside those at work

_here = local()


@dataclass(frozen=True)
class Job:
    """A request that waits for a thread."""

    handle: Callable[[Any], Any]
    client: Any
    done: "Future[Any]"

    def do(self) -> None:
        try:
            self.done.set_result(self.handle(self.client))
        except BaseException as error:  # noqa: BLE001  handed to whoever waits for it, as from any pool
            self.done.set_exception(error)


class Threads(Executor):
    """So many at work, in the order in which requests came, and up to ASIDE more that wait."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads + ASIDE)
        self._lock = Lock()
        self._jobs = deque[Job]()
        self._may_work, self._at_work = threads, 0

    def submit(self, handle: Callable[[Any], Any], client: Any) -> "Future[Any]":  # type: ignore[override]
        job = Job(handle, client, Future())
        with self._lock:
            self._jobs.append(job)
            self._set_one_to_work()
        return job.done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def step_aside(self) -> None:
        with self._lock:
            self._at_work -= 1
            self._set_one_to_work()

    def step_back(self) -> None:
        """At once, though all are at work: the next of them that is done leaves it."""
        with self._lock:
            self._at_work += 1

    def _set_one_to_work(self) -> None:
        if self._at_work < self._may_work and self._jobs:
            with suppress(RuntimeError):  # the process ends: those at work do what is left
                self._pool.submit(self._work)
                self._at_work += 1

    def _work(self) -> None:
        _here.threads = self
        while job := self._next():
            job.do()

    def _next(self) -> Job | None:
        """What to do now; None where there is nothing, or more are at work than may be."""
        with self._lock:
            if self._at_work <= self._may_work and self._jobs:
                return self._jobs.popleft()
            self._at_work -= 1
            return None


@contextmanager
def aside() -> Iterator[None]:
    """Around a wait for somebody outside; a connection that is in a transaction is kept."""
    if cast("DatabaseWrapper", connection).pool and not connection.in_atomic_block:
        connection.close()  # back to the pool; this thread gets one when it asks the database again
    threads: Threads | None = getattr(_here, "threads", None)
    if threads is None:  # a process whose threads nobody waits for
        yield
        return
    threads.step_aside()
    try:
        yield
    finally:
        threads.step_back()


class FairLock:
    """Held by one thread at a time, in the order in which they came.

    A `threading.Lock` is had by whoever asks in the moment in which it is let go, before those who wait for it: one of hundreds
    may wait for as long as others come.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._line = deque[Event]()  # the first one holds it

    def acquire(self, timeout: float) -> bool:
        """False if its turn did not come within so many seconds."""
        mine = Event()
        with self._lock:
            self._line.append(mine)
            self._call_the_first()
        if mine.wait(timeout):
            return True
        with self._lock:
            if not mine.is_set():  # nor in this very moment
                self._line.remove(mine)
        return mine.is_set()

    def release(self) -> None:
        with self._lock:
            self._line.popleft()
            self._call_the_first()

    def _call_the_first(self) -> None:
        if self._line:
            self._line[0].set()
