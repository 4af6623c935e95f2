"""The emptying of a database between tests, while the site on the stage still works in it."""

import os
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from accounts.models import User
from tests.builders import make_organization, make_user
from tests.databases import Emptier
from tournaments.models import Organization

FIRST, LAST = "UPDATE accounts_user SET is_staff = is_staff", "UPDATE tournaments_organization SET name = name"
WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE%' AND datname = current_database()"


@pytest.fixture
def other(transactional_db: None) -> Iterator[psycopg.Connection]:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        yield connection


def test_emptying_goes_on_after_a_deadlock(other: psycopg.Connection) -> None:
    # Only the emptier looks whether two wait for each other, and late enough for us to wait by then: its round is broken off.
    emptier = Emptier(os.environ["DATABASE_URL"] + "?options=-c%20deadlock_timeout%3D4s")
    other.execute("SET deadlock_timeout = '60s'")
    make_user()
    make_organization()
    other.execute(LAST)
    emptying = threading.Thread(target=emptier.empty)
    emptying.start()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as watcher:
        while not watcher.execute(WAITS).fetchone():
            time.sleep(0.01)
    other.execute(FIRST)  # waits for the emptier, which waits for us
    other.commit()
    emptying.join(20)
    assert not emptying.is_alive()
    assert not User.objects.exists()
    assert not Organization.objects.exists()
