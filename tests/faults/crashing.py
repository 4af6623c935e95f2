"""A process that dies at its n-th step, for every n there is; then the next process finds everything as it must be."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar
from unittest.mock import patch

from django.db import connection, connections

from payments.gateway import Gateway
from reports.invariants import violations
from tests.processes import Child, wait_for_the_database_to_notice
from tests.sealing import seal_all_history
from vgchub import celery, live

Scene = TypeVar("Scene")
MOST_STEPS = 300
SEAL_SECONDS = 10.0


class Steps:
    """Counts this process's steps: statements, commits, calls of Stripe, wake-ups of workers, messages to sockets.

    It kills the process right before the `last` one: that is also right after the one before, whose effect stands, be it in the
    database or at Stripe, and whose answer nobody has.
    """

    def __init__(self, last: int) -> None:
        self.last, self.taken = last, 0

    def take(self) -> None:
        self.taken += 1
        if self.taken == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any, **kwargs: Any) -> Any:
            self.take()
            return function(*args, **kwargs)

        return stepping

    def counted(self, act: Callable[[], object]) -> int:
        """Do it; returns how many steps it had, if it lives."""
        default = connections["default"]
        with ExitStack() as patched:
            for owner, name in ((default, "commit"), (Gateway, "_call"), (celery, "_wake"), (live, "_publish")):
                patched.enter_context(patch.object(owner, name, self.before(getattr(owner, name))))
            patched.enter_context(
                connection.execute_wrapper(lambda execute, *statement: self.before(execute)(*statement))
            )
            act()
        return self.taken


def crash_at_every_step(
    arrange: Callable[[], Scene],
    act: Callable[[Scene], object],
    recover: Callable[[Scene], object],
) -> int:
    """Let a process that acts on a new scene die at its first step, then one at its second, until one comes to its end.

    `recover` also looks whether all is as if nobody had died; then the invariants are asked. Returns how many steps there
    were to die at.

    Raises:
        AssertionError: naming the step, and what came of a death there
    """
    beat = Beat()
    for step in range(1, MOST_STEPS):
        scene = arrange()
        child = Child(partial(Steps(step).counted, partial(act, scene)))
        taken = child.outcome()
        if not child.was_killed():
            assert taken == step - 1, f"it did not come to its end: {taken}"
        wait_for_the_database_to_notice()
        try:
            recover(scene)
            beat.seals()
            _check_invariants()
        except Exception as error:
            raise AssertionError(f"after a death at step {step}: {error!r}") from error
        if taken is not None:
            return step - 1
    raise AssertionError(f"more than {MOST_STEPS} steps")


class Beat:
    """Seals history now and then, as beat does: however long the test takes, no event is old and unsealed."""

    def __init__(self) -> None:
        self._sealed_at = time.monotonic()

    def seals(self) -> None:
        if time.monotonic() - self._sealed_at > SEAL_SECONDS:
            seal_all_history()
            self._sealed_at = time.monotonic()


def _check_invariants() -> None:
    if found := violations():
        raise AssertionError(found)
