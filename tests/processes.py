"""Real processes for tests: forks of the test's own, each with connections of its own, that may be killed.

What a test has patched, its forks have too: so can a lock be taken away from all of them.
"""

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import patch

from django.core.cache import caches
from django.db import connection, connections
from redis.client import Pipeline

from payments.gateway import calling
from vgchub.errors import RefusedError

FORK = multiprocessing.get_context("fork")
PATIENCE = 30  # seconds after which a test gives up; nothing here takes three
HESITATION, HOW_OFTEN = 0.02, 0.1  # seconds, and before or after which share of the statements and messages

# Transactions that clients still have open. A process that was killed leaves its own until the database notices.
AT_WORK = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start IS NOT NULL
"""


@dataclass(frozen=True)
class Raised:
    """What an exception in another process was: the name of its class, and its words; `refused` for a RefusedError."""

    kind: str
    words: str
    refused: bool


class Child:
    """A process that does one thing, begun at once. What `act` returns has to be picklable."""

    def __init__(self, act: Callable[[], object]) -> None:
        # Nothing is open while the process is forked: two at the ends of one connection would talk into each other's words.
        connections.close_all()
        postgres: Any = connections["default"]
        postgres.close_pool()
        caches.close_all()
        calling.client_for.cache_clear()
        self._answer, told = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=_tell, args=(act, told), daemon=True)
        self._process.start()
        told.close()

    def outcome(self) -> object:
        """What `act` returned, or what it raised; None from one that was killed."""
        if not self._answer.poll(PATIENCE):
            self._process.kill()
            raise TimeoutError("the other process is still at it")
        try:
            return self._answer.recv()
        except EOFError:
            return None
        finally:
            self._process.join(PATIENCE)

    def was_killed(self) -> bool:
        """Whether it died of a signal; waits for its end."""
        self._process.join(PATIENCE)
        return (self._process.exitcode or 0) < 0


def _tell(act: Callable[[], object], told: "Connection[Any, Any]") -> None:
    connection.settings_dict["OPTIONS"].pop("pool", None)  # its threads would be more than the work
    outcome: object
    try:
        outcome = act()
    except Exception as error:  # noqa: BLE001  an outcome like any other
        outcome = Raised(type(error).__name__, str(error), isinstance(error, RefusedError))
    finally:
        connections.close_all()
    told.send(outcome)


def processes_at_once(*acts: Callable[[], object]) -> list[object]:
    """Each in a process of its own, all connected and then begun at the same moment; what came of each, in order.

    They hesitate now and then, so that who comes first is another one each time.
    """
    bell = FORK.Barrier(len(acts))
    return [child.outcome() for child in [Child(partial(_hesitantly, act, bell.wait)) for act in acts]]


def _hesitantly(act: Callable[[], object], wait: Callable[[float], object]) -> object:
    random.seed()
    connection.ensure_connection()
    wait(PATIENCE)
    with hesitating():
        return act()


@contextmanager
def hesitating() -> Iterator[None]:
    """Now and then this process waits before or after a statement, or what it sends to Redis, long enough for others to act."""
    send = Pipeline.execute

    def hesitate(execute: Callable[..., Any], *statement: Any) -> Any:
        _perhaps_wait()
        result = execute(*statement)
        _perhaps_wait()
        return result

    def hesitate_to_send(pipeline: Any, *how: Any) -> Any:
        return hesitate(send, pipeline, *how)

    with connection.execute_wrapper(hesitate), patch.object(Pipeline, "execute", hesitate_to_send):
        yield


def _perhaps_wait() -> None:
    if random.random() < HOW_OFTEN:  # noqa: S311
        time.sleep(HESITATION)


def transactions_at_work() -> int:
    with connection.cursor() as cursor:
        cursor.execute(AT_WORK)
        count: int = cursor.fetchone()[0]
    return count


def wait_for_the_database_to_notice() -> None:
    """Until it has rolled back what a killed process left open."""
    ends = time.monotonic() + PATIENCE
    while transactions_at_work():
        assert time.monotonic() < ends, "the database still holds what was killed"
        time.sleep(0.005)
