"""A worker's connection to the database outlives its tasks, but not the database."""

import psycopg
import pytest
from celery.signals import task_prerun
from django.conf import settings
from django.db import OperationalError, connection

from reports.tasks import seal_history

pytestmark = pytest.mark.django_db(transaction=True)


def cut_the_connection() -> None:
    """As a restart of the database does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    database = settings.DATABASES["default"]
    with psycopg.connect(
        host=database["HOST"],
        port=database["PORT"],
        user=database["USER"],
        password=database["PASSWORD"],
        dbname=database["NAME"],
        autocommit=True,
    ) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])


def ask() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_a_kept_connection_is_dead_after_a_restart_of_the_database() -> None:
    """The negative control: without the signal a worker would stay with it."""
    cut_the_connection()
    for _ in range(2):
        with pytest.raises(OperationalError):
            ask()


def test_a_task_begins_with_a_connection_that_works() -> None:
    cut_the_connection()
    with pytest.raises(OperationalError):
        ask()
    task_prerun.send(sender=seal_history, task_id="1", task=seal_history)
    ask()
