"""Sliding windows and turns: the script and its stand-in against a plain model, and what a refusal says."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import pytest
from django_redis import get_redis_connection
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from vgchub import limits
from vgchub.limits import SECOND, TAKE, Limit, LocalWindows, NotYourTurnError, TooManyRequestsError, Turns, take
from vgchub.outage import Outage

AWAY = "redis://127.0.0.1:1/0"
BEGIN = 1_800_000_000 * SECOND
MINUTE = 60 * SECOND  # so long that nothing expires in Redis while a test turns the clock


@dataclass(frozen=True)
class Request:
    """One request, `after` microseconds later than the one before: between two of them Redis' clock goes on."""

    after: int
    limits: list[Limit]
    turns: Turns | None


@dataclass
class Model:
    """The rules as they are said: it remembers everything and counts."""

    let_in: dict[tuple[str, object], list[int]] = field(default_factory=lambda: defaultdict(list))
    turns: list[int] = field(default_factory=list)
    kept: dict[object, int] = field(default_factory=dict)

    def ask(self, request: Request, now: int) -> list[int]:
        no_waits = [0 for _limit in request.limits]
        if request.turns:
            turn = self.kept.get(request.turns.whose, 0)
            if turn > now - request.turns.seconds * SECOND:
                if turn <= now:
                    del self.kept[request.turns.whose]
                return [*no_waits, max(turn - now, 0)]
        waits = [
            first_free(self.let_in[at.name, at.of], at.count, at.seconds * SECOND, now) - now for at in request.limits
        ]
        if any(waits):
            return [*waits, 0] if request.turns else waits
        for at in request.limits:
            self.let_in[at.name, at.of].append(now)
        return [*waits, self.new_turn(request.turns, now) - now] if request.turns else waits

    def new_turn(self, turns: Turns, now: int) -> int:
        period = turns.seconds * SECOND
        earliest = max([now, *(turn for turn in self.turns if turn > now - period)])
        turn = first_free(self.turns, turns.count, period, earliest)
        self.turns.append(turn)
        if turn > now:
            self.kept[turns.whose] = turn
        return turn


def first_free(times: list[int], count: int, period: int, earliest: int) -> int:
    """The first moment from `earliest` on before which less than `count` of `times` lie within one `period`."""
    moments = sorted({earliest, *(time + period for time in times if time + period > earliest)})
    return next(at for at in moments if sum(at - period < time <= at for time in times) < count)


counts = st.integers(1, 4)
requests = st.builds(
    lambda after, player, address, numbers, whose: Request(
        after,
        [Limit("player", player, numbers[0], 5 * 60), Limit("address", address, numbers[1], 3 * 60)],
        Turns("all", whose, numbers[2], 4 * 60) if whose else None,
    ),
    after=st.one_of(st.integers(1, 2 * MINUTE), st.sampled_from([1, MINUTE, 3 * MINUTE, 4 * MINUTE, 5 * MINUTE])),
    player=st.integers(1, 2),
    address=st.sampled_from(["2001:db8::/64", "203.0.113.9"]),
    numbers=st.tuples(counts, counts, counts),
    whose=st.sampled_from([None, 7, 8, 9]),
)
WINDOW = [Request(0, [Limit("player", 1, 2, 5 * 60)], None)] * 3


@pytest.fixture(scope="module")
def script() -> Callable[[Request, int], list[int]]:
    """The script with a clock that the test turns."""
    take_at = get_redis_connection("default").register_script("local now = tonumber(table.remove(ARGV))" + TAKE)

    def ask(request: Request, now: int) -> list[int]:
        keys, arguments = limits._call("test", request.limits, request.turns)
        return take_at(keys, [*arguments, now])  # type: ignore[no-any-return]

    return ask


@given(st.lists(requests, max_size=40))
@example([*WINDOW, Request(5 * MINUTE, WINDOW[0].limits, None)])
@settings(
    max_examples=150, deadline=None, phases=set(Phase) - {Phase.shrink, Phase.explain}
)  # a failure has to come soon
def test_script_and_stand_in_let_in_whom_the_model_lets_in(
    script: Callable[[Request, int], list[int]], asked: list[Request]
) -> None:
    get_redis_connection("default").flushdb()
    model, stand_in, now = Model(), LocalWindows(), BEGIN
    for request in asked:
        now += request.after
        expected = model.ask(request, now)
        assert script(request, now) == expected
        assert stand_in.take("test", request.limits, request.turns, now) == expected


# --- What is said to whoever comes too often -------------------------------------------------------------------


@pytest.fixture
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Redis' clock, for the script: what is said to the second doesn't hold a second later."""
    monkeypatch.setattr(limits, "CLOCK", f"local now = {BEGIN}\n")
    limits._script.cache_clear()
    yield
    limits._script.cache_clear()


def test_refusal_says_which_limit_and_when(time_stands_still: None) -> None:
    asked = [Limit("player", 1, 1, 60), Limit("player", 2, 1, 60), Limit("address", "203.0.113.9", 9, 10)]
    take("test", asked[:1])
    with pytest.raises(TooManyRequestsError) as refusal:
        take("test", asked)
    assert refusal.value.headers == {
        "Retry-After": "60",
        "RateLimit-Policy": '"player";q=1;w=60, "address";q=9;w=10',
        "RateLimit": '"player";r=0;t=60',
    }
    take("test", asked[1:])  # nothing had been consumed


def test_whoever_comes_when_the_ceiling_is_reached_is_told_when_the_turn_is(time_stands_still: None) -> None:
    take("test", [Limit("player", 1, 5, 60)], Turns("turns", "anna", 1, 20))
    for _attempt in range(9):  # more often than the other limit allows
        with pytest.raises(NotYourTurnError) as refusal:
            take("test", [Limit("player", 2, 5, 60)], Turns("turns", "zoe", 1, 20))
    assert refusal.value.headers == {
        "Retry-After": "20",
        "RateLimit-Policy": '"player";q=5;w=60, "turns";q=1;w=20',
        "RateLimit": '"turns";r=0;t=20',
    }
    with pytest.raises(NotYourTurnError) as refusal:
        take("test", [Limit("player", 3, 5, 60)], Turns("turns", "bob", 1, 20))
    assert refusal.value.data == {"retry_after": 40}


def test_the_same_names_in_another_scope_are_other_limits() -> None:
    for scope in ("one", "two"):
        take(scope, [Limit("player", 1, 1, 60)])


# --- Many processes, one limit ---------------------------------------------------------------------------------

PROCESSES, ATTEMPTS, LIMIT = 16, 20, 100


def _try(number: int, go: Barrier) -> None:
    """One process of many: its exit code is how often it was let in."""
    go.wait(20)
    let_in = 0
    for attempt in range(ATTEMPTS):
        try:
            take("crowd", [Limit("player", (number, attempt), 5, 600), Limit("address", "203.0.113.9", LIMIT, 600)])
        except TooManyRequestsError:
            continue
        let_in += 1
    raise SystemExit(let_in)


def let_in_by_all() -> int:
    context = get_context("fork")
    go = context.Barrier(PROCESSES)
    processes = [context.Process(target=_try, args=(number, go)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    codes = [process.exitcode for process in processes]
    assert all(code is not None and code >= 0 for code in codes), codes
    return sum(code or 0 for code in codes)


def test_sixteen_processes_let_in_exactly_the_limit() -> None:
    assert let_in_by_all() == LIMIT


def raise_away() -> None:
    raise RedisConnectionError


def test_sixteen_processes_that_count_for_themselves_let_in_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_script", raise_away)
    assert let_in_by_all() == PROCESSES * ATTEMPTS


# --- Without Redis ---------------------------------------------------------------------------------------------


@pytest.fixture
def without_redis(settings: Settings) -> Iterator[None]:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": AWAY}}
    limits.forget()
    yield
    limits.forget()


@pytest.mark.usefixtures("without_redis")
def test_without_redis_each_process_counts_and_one_alarm_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    for _request in range(5):
        take("test", [Limit("player", 1, 5, 60)])
    with pytest.raises(TooManyRequestsError) as refusal:
        take("test", [Limit("player", 1, 5, 60)])
    assert refusal.value.headers["RateLimit"] in {f'"player";r=0;t={seconds}' for seconds in range(50, 61)}
    [alarm] = [record for record in caplog.records if record.name == "vgchub.outage"]
    assert (alarm.levelno, alarm.getMessage().startswith("Redis is away")) == (logging.ERROR, True)


def test_redis_that_is_back_is_noticed_and_said(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outage, "IN_VAIN_SECONDS", 60)  # a machine may be so busy that even a refusal takes its time
    there = settings.CACHES
    settings.CACHES = {"default": {**there["default"], "LOCATION": AWAY}}
    limits._script.cache_clear()
    take("test", [Limit("player", 1, 1, 60)])
    settings.CACHES = there
    limits._script.cache_clear()

    take("test", [Limit("player", 1, 1, 60)])

    assert [record.levelname for record in caplog.records if record.name == "vgchub.outage"] == ["ERROR", "WARNING"]
    assert get_redis_connection("default").keys("vgchub:limit:*") == [b"vgchub:limit:{test}:player:1"]


def test_stand_in_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalWindows, "MAX_KEYS", 10)
    windows = LocalWindows()
    for player in range(100):
        windows.take("test", [Limit("player", player, 1, 60)], Turns("turns", player, 1, 60), BEGIN)
    assert len(windows._taken) <= 11
    assert len(windows._waiting) <= 11
