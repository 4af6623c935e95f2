"""Celery: jobs are wake-ups. What is due stands in the database, and a periodic sweep finds what a lost wake-up left."""

import logging
import os
from typing import Any

from celery import Celery, Task
from celery.signals import after_setup_task_logger, task_prerun
from django.db import close_old_connections, transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from vgchub.masking import MaskingFormatter
from vgchub.outage import outage

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vgchub.settings")

logger = logging.getLogger(__name__)

app = Celery("vgchub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@task_prerun.connect
def _leave_dead_connections(**_kwargs: object) -> None:
    """After the database was restarted, a worker would otherwise fail task after task on the connection that it keeps."""
    close_old_connections()


@after_setup_task_logger.connect
def _mask_keys(logger: logging.Logger, **_kwargs: object) -> None:
    """Celery's own logger of tasks has a handler of its own; all others write through the site's."""
    for handler in logger.handlers:
        handler.setFormatter(MaskingFormatter("{asctime} {levelname} {name} {message}", style="{"))


def wake_on_commit(task: "Task[Any, Any]", *args: int | str) -> None:
    """Ask a worker to run `task` once the current transaction is committed.

    The broker may be gone: then nothing is lost but time, since the task's sweep finds the same rows.
    """
    transaction.on_commit(lambda: _wake(task, *args))


def _wake(task: "Task[Any, Any]", *args: int | str) -> None:
    try:
        with outage.asking():  # nobody waits for a Redis that is known to hang
            task.apply_async(args=args, retry=False, ignore_result=True)
    except (OperationalError, RedisError, OSError):
        logger.warning("The broker is away; the sweep will run %s%s", task.name, args)
