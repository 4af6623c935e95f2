"""What a sweep does to many rows: each in a transaction of its own, and one that breaks holds up no other."""

import logging
from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)


def one_by_one(ids: Iterable[int], act: Callable[[int], bool]) -> int:
    """Do it for each; returns for how many it was so. One that breaks is logged, and left to the next sweep."""
    return sum(_whether(act, pk) for pk in ids)


def _whether(act: Callable[[int], bool], pk: int) -> bool:
    try:
        return act(pk)
    except Exception:
        logger.exception("%s breaks for row %s; the sweep goes on with the others", act.__name__, pk)
        return False
