"""Redis that is away: it is said once that it went and once that it is back, and one person waits for it in vain, not each."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

logger = logging.getLogger(__name__)


class Outage:
    """Whether Redis is away, as this process knows it.

    While it refuses at once, it is asked as ever. Once somebody has waited for it in vain it is left alone for REST_SECONDS; then
    one asks, and all others go on without it until that one knows.
    """

    REST_SECONDS = 2.0  # more than anybody waits for it (CACHES in the settings)
    IN_VAIN_SECONDS = 0.1

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Begin anew in this process: Redis is there."""
        self.since: float | None = None
        self._rests_until = 0.0

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around each question to Redis.

        Raises:
            RedisConnectionError: it is left alone, and nothing was asked
        """
        if self.since is not None and not self._may_ask():
            message = "Redis is away, and left alone for a moment"
            raise RedisConnectionError(message)
        begun = time.monotonic()
        try:
            yield
        except NoScriptError:  # an answer, which redis-py expects
            raise
        except RedisError as error:
            self._begins(error, in_vain=time.monotonic() - begun > self.IN_VAIN_SECONDS)
            raise
        if self.since is not None:
            self._ends()

    def _may_ask(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._rests_until:
                return False
            if self._rests_until:
                self._rests_until = now + self.REST_SECONDS  # the others go on while we find out
            return True

    def _begins(self, error: RedisError, *, in_vain: bool) -> None:
        with self._lock:
            now = time.monotonic()
            self._rests_until = now + self.REST_SECONDS if in_vain else 0.0
            if self.since is None:
                self.since = now
                logger.error(
                    "Redis is away (%s): the site goes on, and each process counts its limits for itself", error
                )

    def _ends(self) -> None:
        with self._lock:
            if self.since is not None:
                logger.warning("Redis is back after %.0f s: limits are shared again", time.monotonic() - self.since)
            self.forget()


outage = Outage()


class WatchedRedis(Redis):
    """The client of everything but the sockets and workers, which wait for Redis anyway."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with outage.asking():
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> "WatchedPipeline":
        return WatchedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class WatchedPipeline(Pipeline):
    def execute(self, raise_on_error: bool = True) -> list[Any]:
        if not self.command_stack:  # nothing is asked
            return []
        with outage.asking():
            return super().execute(raise_on_error)
