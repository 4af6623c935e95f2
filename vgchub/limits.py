"""Exact sliding windows: all limits of a request in one atomic call, on Redis' clock, nothing consumed on refusal."""

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from django.utils.translation import gettext_lazy as _
from django_redis import get_redis_connection
from redis.commands.core import Script
from redis.exceptions import RedisError

from vgchub.errors import RefusedError

logger = logging.getLogger(__name__)


class TooManyRequestsError(RefusedError):
    code = "too_many_requests"
    status = 429
    message = _("That was faster than a person can click. Nothing is lost: a place that you have, you keep.")
    remedy = _("Try again in a few seconds.")

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after=retry_after)


@dataclass(frozen=True)
class Limit:
    """At most `count` within any `seconds` for `key`, such as "join:player:17"."""

    key: str
    count: int
    seconds: int


# KEYS: one sorted set a limit, members are the taken requests scored by their time in microseconds.
# ARGV: a unique name for this request, then count and seconds of each limit. Returns 0, or the microseconds to wait.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local wait = 0
for i, key in ipairs(KEYS) do
  local count, period = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1]) * 1000000
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - period)
  if redis.call('ZCARD', key) >= count then
    local oldest = redis.call('ZRANGE', key, -count, -count, 'WITHSCORES')
    wait = math.max(wait, tonumber(oldest[2]) + period - now, 1)
  end
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, now, now .. ':' .. ARGV[1])
  redis.call('EXPIRE', key, ARGV[2 * i + 1])
end
return 0
"""


def take(limits: Sequence[Limit]) -> None:
    """Count one request against all limits at once, or against none.

    Without Redis a small limit of this process stands in, so that joining goes on.

    Raises:
        TooManyRequestsError: with the whole seconds after which it would be let through
    """
    arguments: list[str | int] = [f"{threading.get_ident()}:{time.monotonic_ns()}"]
    for limit in limits:
        arguments += [limit.count, limit.seconds]
    try:
        wait = int(_script()(keys=[f"vgchub:limit:{limit.key}" for limit in limits], args=arguments))
    except RedisError:
        logger.warning("Redis is away; limits are counted in this process alone")
        wait = _local.take(limits)
    if wait:
        raise TooManyRequestsError(retry_after=-(-wait // 1_000_000))


@cache
def _script() -> Script:
    script: Script = get_redis_connection("default").register_script(TAKE)
    return script


class LocalWindows:
    """The same windows in one process's memory, for while Redis is away."""

    MAX_KEYS = 10_000

    def __init__(self) -> None:
        self.taken: dict[str, deque[int]] = defaultdict(deque)
        self.lock = threading.Lock()

    def take(self, limits: Sequence[Limit]) -> int:
        """Microseconds to wait; 0 if the request was counted."""
        now = time.monotonic_ns() // 1000
        with self.lock:
            if len(self.taken) > self.MAX_KEYS:
                self.taken.clear()
            wait = max((self._wait(limit, now) for limit in limits), default=0)
            if not wait:
                for limit in limits:
                    self.taken[limit.key].append(now)
        return wait

    def _wait(self, limit: Limit, now: int) -> int:
        taken, period = self.taken[limit.key], limit.seconds * 1_000_000
        while taken and taken[0] <= now - period:
            taken.popleft()
        return max(taken[-limit.count] + period - now, 1) if len(taken) >= limit.count else 0


_local = LocalWindows()
