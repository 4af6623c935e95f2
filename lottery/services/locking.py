"""Spares two workers the same long work. That it is done once is the rows' matter, not this lock's."""

from django.db import connection

DRAW_LOCK = 3  # the advisory locks of the clock are 1 and 2


def only_one(draw_id: int) -> bool:
    """Whether this transaction is the one at work on the draw; held until it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [DRAW_LOCK, draw_id])
        got: bool = cursor.fetchone()[0]
    return got
