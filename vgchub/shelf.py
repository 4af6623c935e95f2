"""What everybody gets alike is made once a second, however many ask for it, and lies on a shelf meanwhile.

Each process has a shelf of its own; behind them stands one in Redis. While somebody makes a thing anew, all others go on with
the old one; where there is none yet (the site has just started), they wait for it instead of making it too.
Without Redis each process makes its own, and when making fails, the old one serves until it is too old.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from threading import Lock

from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

KEPT_SECONDS = 10  # how old a thing may be that is given out while a new one is made, or can't be
PATIENCE_SECONDS = 2  # how long one waits for what another process makes
LOOKED_EVERY_SECONDS = 0.02
MOST_THINGS = 1000

Make = Callable[[], bytes]


@dataclass(frozen=True)
class Thing:
    """What was made, and when by this process' own clock. An empty value says that everybody has to make their own."""

    value: bytes = b""
    made_at: float = float("-inf")

    @property
    def is_fresh(self) -> bool:
        seconds: float = settings.SHELF_SECONDS
        return self._age() < seconds

    @property
    def is_good(self) -> bool:
        """Whether it may be given out while there is no fresh one."""
        return bool(self.value) and self._age() < KEPT_SECONDS

    def _age(self) -> float:
        return time.monotonic() - self.made_at


@dataclass
class Place:
    """Where a thing lies; whoever holds `making` brings a fresh one."""

    thing: Thing = field(default_factory=Thing)
    making: Lock = field(default_factory=Lock)


class Shelf:
    """One process' shelf, for all its threads."""

    def __init__(self) -> None:
        self._places: OrderedDict[str, Place] = OrderedDict()
        self._moving = Lock()

    def take(self, key: str, make: Make) -> bytes:
        """What lies under `key`; nobody gets an older one than KEPT_SECONDS, and `make` is called by as few as possible.

        What `make` returns is given to everybody, so it must not depend on who asks; b"" is given to nobody: it makes everybody
        call their own `make` for the next second. What `make` raises is raised here if there is no old thing to give instead.
        """
        if not settings.SHELF_SECONDS:
            return make()
        place = self._place(key)
        if place.thing.is_fresh:
            return place.thing.value or make()
        make = cache(make)  # nobody makes the same twice
        # With a good one at hand nobody waits for whoever is at it already.
        if place.making.acquire(blocking=not place.thing.is_good):
            try:
                self._renew(key, place, make)
            finally:
                place.making.release()
        return place.thing.value or make()

    def _place(self, key: str) -> Place:
        with self._moving:
            place = self._places.setdefault(key, Place())
            self._places.move_to_end(key)
            if len(self._places) > MOST_THINGS:
                self._places.popitem(last=False)
        return place

    def _renew(self, key: str, place: Place, make: Make) -> None:
        if place.thing.is_fresh:  # somebody brought it while we waited
            return
        common = CommonShelf(key)
        place.thing = max(place.thing, common.read(), key=lambda thing: thing.made_at)
        if place.thing.is_fresh:
            return
        if not common.is_mine_to_make() and (there := place.thing if place.thing.is_good else common.wait()):
            place.thing = there
            return
        try:
            place.thing = common.put(make())
        except Exception:
            if not place.thing.is_good:
                place.thing = Thing(b"", time.monotonic())  # those who waited for us don't wait for each other
                raise
            logger.exception("%s could not be made; the old one serves", key)


class CommonShelf:
    """A thing's place in Redis, behind the shelves of all processes. Without Redis it is empty, and each process' own to fill."""

    def __init__(self, key: str) -> None:
        self.key = f"vgchub:shelf:{key}"
        self.making = f"{self.key}:making"
        self.redis = get_redis_connection("default")

    def read(self) -> Thing:
        """Its age is told by the time that it is still kept for, so that machines need not agree on what time it is."""
        try:
            value, left_ms = self.redis.pipeline(transaction=True).get(self.key).pttl(self.key).execute()
        except RedisError:
            return Thing()
        if value is None or left_ms < 0:
            return Thing()
        return Thing(value, time.monotonic() - KEPT_SECONDS + left_ms / 1000)

    def is_mine_to_make(self) -> bool:
        """True for one process, until it has put the thing here or was not heard of for a while."""
        try:
            return bool(self.redis.set(self.making, 1, nx=True, px=PATIENCE_SECONDS * 1000))
        except RedisError:
            return True

    def put(self, value: bytes) -> Thing:
        """Lay down what was just made."""
        pipe = self.redis.pipeline(transaction=True)
        pipe.set(self.key, value, px=KEPT_SECONDS * 1000).delete(self.making)
        with suppress(RedisError):
            pipe.execute()
        return Thing(value, time.monotonic())

    def wait(self) -> Thing | None:
        """What another process makes; None if it takes too long."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            time.sleep(LOOKED_EVERY_SECONDS)
            thing = self.read()
            if thing.is_fresh:
                return thing
        return None


shelf = Shelf()
