"""What runs beside the web: the queue of jobs, whoever works on it, and a process that dies in the middle of something."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Task
from django.conf import settings
from django.db import connection

from vgchub.celery import app

LONGEST_QUEUE = 500
# Handing mails to a mail server is another program's; the rows that say which are due are ours.
NOT_OURS = {"vgchub.tasks.send_mail"}
# What the beat starts at least once a minute, and the look for fraud: the sweeps. Comparing with Stripe is a rule of its own.
SWEEPS = sorted(
    str(job["task"])
    for name, job in settings.CELERY_BEAT_SCHEDULE.items()
    if name == "look_for_fraud" or (isinstance(job["schedule"], int) and job["schedule"] <= 60)
)
COMPARING = "payments.tasks.reconcile_recent"


class Died(BaseException):
    """The process was killed: no `except Exception` of the site sees it."""


class Jobs:
    """The broker's queue. It can be lost at any moment."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[str, tuple[Any, ...]]] = deque()

    @contextmanager
    def instead_of_the_broker(self) -> Iterator[None]:
        def apply_async(task: "Task[Any, Any]", args: tuple[Any, ...] = (), *_args: Any, **_options: Any) -> None:
            if task.name not in NOT_OURS:
                self.waiting.append((task.name, tuple(args or ())))

        app.loader.import_default_modules()  # as a worker does
        # One that has a method of its own, also what another test put back, would send its jobs to a broker that nobody serves.
        own = [name for name, task in app.tasks.items() if "apply_async" in vars(task)]
        assert not own, f"a test left these tasks changed; vars(task) can be patched without a trace: {own}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Task, "apply_async", apply_async)
            yield

    def beat(self) -> None:
        """Every sweep is due once."""
        self.start(*SWEEPS)

    def start(self, *names: str) -> None:
        self.waiting.extend((name, ()) for name in names)

    def work(self, do: Callable[[Callable[[], None]], None]) -> None:
        """A worker takes job after job, and hands each to `do`, until none is left."""
        for _ in range(LONGEST_QUEUE):
            if not self.waiting:
                return
            name, args = self.waiting.popleft()
            do(lambda name=name, args=args: app.tasks[name].run(*args))  # type: ignore[misc]
        raise AssertionError(f"Jobs make jobs without end: {list(self.waiting)[:5]}")


@contextmanager
def killed_at(statement: int, *, noted_in: set[str]) -> Iterator[None]:
    """The process dies before its n-th statement to the database, counted from 1; it never gets that far if there are fewer."""
    left = statement

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Died  # and again, for whatever still wants to write on the way out
        return run(sql, params, many, context)

    try:
        with connection.execute_wrapper(execute):
            yield
    except Died:
        noted_in.add("a process died")
        connection.close()  # which rolls back what was open
