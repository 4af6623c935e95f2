"""Exact sliding windows: all limits of a request in one atomic call, on Redis' clock, nothing consumed on refusal."""

import threading
import time
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from operator import itemgetter

from django.utils.translation import gettext_lazy as _
from django_redis import get_redis_connection
from redis.commands.core import Script
from redis.exceptions import RedisError

from vgchub.errors import RefusedError, Sentence
from vgchub.outage import outage
from vgchub.words import duration

SECOND = 1_000_000  # times are whole microseconds
UNKNOWN_WAIT = 5 * SECOND


@dataclass(frozen=True)
class Limit:
    """At most `count` within any `seconds` for one `of`, such as Limit("player", 17, 5, 60)."""

    name: str
    of: object
    count: int
    seconds: int


@dataclass(frozen=True)
class Turns:
    """A ceiling that sends nobody away: at most `count` turns within any `seconds`, given out in the order of asking.

    Whoever comes when it is full is given the next turn, which is kept until `seconds` after it has come. Asking again before
    it changes nothing; coming back in one's turn counts against no limit.
    """

    name: str
    whose: object
    count: int
    seconds: int


class TooManyRequestsError(RefusedError):
    """A limit was reached: `waits` says for each limit how many microseconds until it would let this request through.

    It is empty where another library counts and does not say what.
    """

    code = "too_many_requests"
    status = 429
    message = _("That was faster than a person can click. Nothing is lost: a place that you have, you keep.")
    remedy: Sentence = _("Try again in a moment.")
    repeats = True

    def __init__(self, waits: "Sequence[tuple[Limit | Turns, int]]") -> None:
        super().__init__(retry_after=_seconds(max((wait for _at, wait in waits), default=UNKNOWN_WAIT)))
        self.waits = waits

    @property
    def reached(self) -> set[str]:
        """The names of the limits that were reached."""
        return {at.name for at, wait in self.waits if wait}

    @property
    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers has it: q requests in w seconds; r of them are left, more in t seconds."""
        if not self.waits:
            return super().headers
        policies = {f'"{at.name}";q={at.count};w={at.seconds}': None for at, _wait in self.waits}
        longest = {at.name: wait for at, wait in sorted(self.waits, key=itemgetter(1)) if wait}
        return {
            **super().headers,
            "RateLimit-Policy": ", ".join(policies),
            "RateLimit": ", ".join(f'"{name}";r=0;t={_seconds(wait)}' for name, wait in longest.items()),
        }


class NotYourTurnError(TooManyRequestsError):
    """More come than the ceiling lets through: a turn is kept."""

    code = "not_your_turn"
    message = _("So many come at this moment that they take turns. Yours is kept for you.")
    remedy = _("It is let in when it has come. Coming earlier or more often changes nothing.")


class TriedTooOftenError(TooManyRequestsError):
    """A form was sent too often. The page doesn't repeat it: a password may stand in it."""

    message = _("That was tried too often.")
    repeats = False

    def __init__(self, waits: "Sequence[tuple[Limit | Turns, int]]") -> None:
        super().__init__(waits)
        when = duration(timedelta(seconds=self.data["retry_after"]))
        self.remedy = _("Try again in %(time)s. Your place in line is not touched by this.") % {"time": when}


# KEYS: a list for each limit, the times of what it let through, the newest first, never longer than its count; then, if somebody
# takes turns, a sorted set of turns by their times: "in:..." was let through, any other member waits for it.
# ARGV: who takes turns ("" is nobody), then count and seconds for each key. Returns the microseconds to wait for each key: all 0 if
# the request was let through.
CLOCK = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
"""
TAKE = """
local whose = ARGV[1]
local windows = whose == '' and #KEYS or #KEYS - 1
local turns = KEYS[windows + 1]
local waits, full = {}, false
local function count(i) return tonumber(ARGV[2 * i]) end
local function period(i) return ARGV[2 * i + 1] * 1000000 end
local function let_in(turn) redis.call('ZADD', turns, turn, 'in:' .. whose .. string.format(':%.0f', now)) end
for i = 1, #KEYS do waits[i] = 0 end

if turns then
  redis.call('ZREMRANGEBYSCORE', turns, '-inf', now - period(#KEYS))
  local mine = redis.call('ZSCORE', turns, whose)
  if mine then
    waits[#KEYS] = math.max(mine - now, 0)
    if waits[#KEYS] == 0 then
      redis.call('ZREM', turns, whose)
      let_in(mine)
    end
    return waits
  end
end

for i = 1, windows do
  local oldest = redis.call('LINDEX', KEYS[i], count(i) - 1)
  if oldest then waits[i] = math.max(oldest + period(i) - now, 0) end
  full = full or waits[i] > 0
end
if full then return waits end

for i = 1, windows do
  redis.call('LPUSH', KEYS[i], now)
  redis.call('LTRIM', KEYS[i], 0, count(i) - 1)
  redis.call('EXPIRE', KEYS[i], ARGV[2 * i + 1] + 1)
end
if turns then
  local most, last = count(#KEYS), redis.call('ZRANGE', turns, -1, -1, 'WITHSCORES')[2]
  local turn = math.max(now, tonumber(last or 0))
  if redis.call('ZCARD', turns) >= most then
    turn = math.max(turn, redis.call('ZRANGE', turns, -most, -most, 'WITHSCORES')[2] + period(#KEYS))
  end
  if turn > now then redis.call('ZADD', turns, turn, whose) else let_in(now) end
  waits[#KEYS] = turn - now
  redis.call('PEXPIRE', turns, math.ceil((turn - now + period(#KEYS)) / 1000) + 1)
end
return waits
"""


def take(scope: str, limits: Sequence[Limit], turns: Turns | None = None) -> None:
    """Count one request against all limits at once, or against none.

    `scope` is what the limits are about, such as "join:17": the same names in another scope are other limits. Without Redis
    small limits of this process stand in, so that joining goes on.

    Raises:
        TooManyRequestsError: with the whole seconds after which it would be let through
        NotYourTurnError: with the whole seconds until the turn that is kept
    """
    asked: list[Limit | Turns] = [*limits, *([turns] if turns else [])]
    waits = list(zip(asked, _ask(scope, limits, turns), strict=True))
    if any(wait for _at, wait in waits):
        raise (NotYourTurnError if turns and waits[-1][1] else TooManyRequestsError)(waits)


def _seconds(microseconds: int) -> int:
    return -(-microseconds // SECOND)


def _ask(scope: str, limits: Sequence[Limit], turns: Turns | None) -> list[int]:
    """The microseconds to wait for each limit, then for the turn if there is one."""
    try:
        waits: list[int] = _script()(*_call(scope, limits, turns))
    except RedisError:  # its client raised the alarm
        return _local.take(scope, limits, turns, time.monotonic_ns() // 1000)
    return waits


def _call(scope: str, limits: Sequence[Limit], turns: Turns | None) -> tuple[list[str], list[str | int]]:
    """Keys and arguments of the script. The braces keep the keys of a call on one node of a Redis Cluster."""
    keys = [f"vgchub:limit:{{{scope}}}:{limit.name}:{limit.of}" for limit in limits]
    arguments: list[str | int] = [str(turns.whose) if turns else ""]
    for limit in limits:
        arguments += [limit.count, limit.seconds]
    if turns:
        keys.append(f"vgchub:limit:{{{scope}}}:{turns.name}")
        arguments += [turns.count, turns.seconds]
    return keys, arguments


@cache
def _script() -> Script:
    script: Script = get_redis_connection("default").register_script(CLOCK + TAKE)
    return script


class LocalWindows:
    """The same in one process's memory, for while Redis is away."""

    MAX_KEYS = 10_000

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str, object], deque[int]] = defaultdict(deque)
        self._turns: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._waiting: dict[tuple[str, str, object], int] = {}
        self._lock = threading.Lock()

    def take(self, scope: str, limits: Sequence[Limit], turns: Turns | None, now: int) -> list[int]:
        """What the script returns. `now` is in microseconds of any clock that only goes forward."""
        with self._lock:
            if max(len(self._taken), len(self._waiting)) > self.MAX_KEYS:
                self.clear()
            if turns and (kept := self._kept_turn(scope, turns, now)) is not None:
                return [*(0 for _limit in limits), kept]
            windows = [self._taken[scope, limit.name, limit.of] for limit in limits]
            waits = [_wait(window, limit, now) for window, limit in zip(windows, limits, strict=True)]
            if any(waits):
                return [*waits, 0] if turns else waits
            for window, limit in zip(windows, limits, strict=True):
                window.appendleft(now)
                while len(window) > limit.count:
                    window.pop()
            return [*waits, self._new_turn(scope, turns, now)] if turns else waits

    def clear(self) -> None:
        self._taken.clear()
        self._turns.clear()
        self._waiting.clear()

    def _kept_turn(self, scope: str, turns: Turns, now: int) -> int | None:
        """The wait for the turn that somebody was given; 0 uses it up, None is no turn."""
        whose = (scope, turns.name, turns.whose)
        turn = self._waiting.get(whose)
        if turn is None or turn > now:
            return None if turn is None else turn - now
        del self._waiting[whose]
        return None if turn <= now - turns.seconds * SECOND else 0

    def _new_turn(self, scope: str, turns: Turns, now: int) -> int:
        """The wait for a turn that comes after all that were given."""
        given, period = self._turns[scope, turns.name], turns.seconds * SECOND
        del given[: bisect_right(given, now - period)]
        turn = max([now, *given[-1:]])
        if len(given) >= turns.count:
            turn = max(turn, given[-turns.count] + period)
        given.append(turn)
        if turn > now:
            self._waiting[scope, turns.name, turns.whose] = turn
        return turn - now


def _wait(window: deque[int], limit: Limit, now: int) -> int:
    if len(window) < limit.count:
        return 0
    return max(window[limit.count - 1] + limit.seconds * SECOND - now, 0)


_local = LocalWindows()


def forget() -> None:
    """Begin anew in this process: whether Redis is there, and what was counted without it."""
    _script.cache_clear()
    _local.clear()
    outage.forget()
