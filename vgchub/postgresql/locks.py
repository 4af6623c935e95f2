"""Work that one transaction at a time does. Whoever comes second leaves it alone, and spares itself the same again.

That nothing is done twice is the rows' matter, not these locks'.
"""

from enum import IntEnum

from django.db import connection


class Work(IntEnum):
    """The first number of an advisory lock; the second is the row that the work is for, 0 where there is one for all."""

    PUBLISH_LINES = 1
    SERVE_TOURNAMENT = 2
    DRAW = 3
    MAIL_CROWDS = 4


def only_one(work: Work, key: int = 0) -> bool:
    """Whether this transaction is the one at it; until it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [work, key])
        got: bool = cursor.fetchone()[0]
    return got
