"""The time as the database tells it, in the hands of a test.

The database's clock decides everything that concerns a seat, so time passes for the site by moving that clock: the services, the
triggers and the invariants ask `now()` and `statement_timestamp()`, and find, in this process's connections, functions of these
names that answer what the test says. No row is touched for it, so that sealed draws and sealed history stay as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.backends.signals import connection_created

SCHEMA = """
CREATE SCHEMA moved;
CREATE FUNCTION moved.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    RETURN current_setting('moved.now')::timestamptz;
CREATE FUNCTION moved.now() RETURNS timestamptz LANGUAGE sql STABLE RETURN current_setting('moved.now')::timestamptz;
"""
# The catalogue comes first, unless it is listed: then where it stands.
PATH = "SELECT set_config('search_path', 'public, moved, pg_catalog', false), set_config('moved.now', %s, false)"


class Clock:
    """What time it is for the database; it stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def set(self, now: datetime) -> None:
        """Move it, also back: for the next example."""
        self.now = now
        if connection.connection is not None:
            self._tell()

    def move(self, by: timedelta) -> None:
        self.set(self.now + by)

    def _tell(self, **_signal: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(PATH, [self.now.isoformat()])


@contextmanager
def clock_in_hand(now: datetime) -> Iterator[Clock]:
    """From here on the database's clock shows `now`, in every connection of this thread."""
    clock = Clock(now)
    with connection.cursor() as cursor:
        cursor.execute(SCHEMA)
    connection_created.connect(clock._tell)
    clock.set(now)
    try:
        yield clock
    finally:
        connection_created.disconnect(clock._tell)
        connection.close()  # the next one is as ever
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA moved CASCADE")
