"""The shelf of things that everybody shares: how few make them, and what is given when making or Redis fails."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import redis
from pytest_django import Settings

from vgchub.shelf import CommonShelf, Shelf

LONG, AT_ONCE = 3600.0, 1e-9


class Maker:
    """Makes "1", "2", ...; it can be told to fail, or to take until it is let go."""

    def __init__(self) -> None:
        self.made = 0
        self.fails = False
        self.go = Event()
        self.go.set()

    def __call__(self) -> bytes:
        assert self.go.wait(10)
        if self.fails:
            raise OSError("the database is away")
        self.made += 1
        return str(self.made).encode()


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def lasts(settings: Settings) -> Callable[[float], None]:
    """How long a thing counts as fresh."""

    def set_seconds(seconds: float) -> None:
        settings.SHELF_SECONDS = seconds

    set_seconds(LONG)
    return set_seconds


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a thing may be slow."""
    monkeypatch.setattr("vgchub.shelf.PATIENCE_SECONDS", 30)


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    away = redis.Redis.from_url("redis://127.0.0.1:1")  # as django-redis connects: `Redis()` tries again and again
    monkeypatch.setattr("vgchub.shelf.get_redis_connection", lambda _alias: away)


def test_what_is_fresh_is_made_once_for_all_processes(make: Maker, lasts: Callable[[float], None]) -> None:
    one, other = Shelf(), Shelf()
    assert [shelf.take("key", make) for shelf in (one, one, other, other)] == [b"1"] * 4
    assert other.take("another", make) == b"2"


def test_what_is_no_longer_fresh_is_made_anew(make: Maker, lasts: Callable[[float], None]) -> None:
    shelf = Shelf()
    lasts(AT_ONCE)
    assert [shelf.take("key", make) for _time in range(3)] == [b"1", b"2", b"3"]


def test_switched_off_everybody_makes_their_own(make: Maker, lasts: Callable[[float], None]) -> None:
    shelf = Shelf()
    lasts(0)
    assert [shelf.take("key", make) for _time in range(2)] == [b"1", b"2"]


def test_all_threads_of_all_processes_wait_for_the_one_that_makes_the_first(
    make: Maker, lasts: Callable[[float], None], patient: None
) -> None:
    make.go.clear()
    shelves = [Shelf() for _process in range(4)]
    with ThreadPoolExecutor(32) as threads:
        taken = [threads.submit(shelf.take, "key", make) for shelf in shelves for _thread in range(8)]
        time.sleep(0.1)
        assert not any(one.done() for one in taken)
        make.go.set()
        assert {one.result(10) for one in taken} == {b"1"}
    assert make.made == 1


def test_while_one_makes_a_new_one_the_others_go_on_with_the_old(
    make: Maker, lasts: Callable[[float], None], patient: None
) -> None:
    one, other = Shelf(), Shelf()
    assert (one.take("key", make), other.take("key", make)) == (b"1", b"1")
    lasts(AT_ONCE)
    make.go.clear()
    with ThreadPoolExecutor(1) as thread:
        new = thread.submit(one.take, "key", make)
        until = time.monotonic() + 20
        while not CommonShelf("key").redis.exists("vgchub:shelf:key:making"):
            assert time.monotonic() < until, "nobody makes it"
            time.sleep(0.001)
        assert one.take("key", make) == b"1"
        assert other.take("key", make) == b"1"
        make.go.set()
        assert new.result(10) == b"2"


def test_emptied_redis_makes_nobody_make_what_is_fresh_here(make: Maker, lasts: Callable[[float], None]) -> None:
    shelves = [Shelf() for _process in range(4)]
    assert {shelf.take("key", make) for shelf in shelves} == {b"1"}
    CommonShelf("key").redis.flushdb()
    assert {shelf.take("key", make) for shelf in shelves} == {b"1"}
    assert Shelf().take("key", make) == b"2"


def test_maker_that_was_never_heard_of_again_holds_up_nobody_for_ever(
    make: Maker, lasts: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vgchub.shelf.PATIENCE_SECONDS", 0.2)
    assert CommonShelf("key").is_mine_to_make()
    assert Shelf().take("key", make) == b"1"


@pytest.mark.usefixtures("redis_away")
def test_without_redis_each_process_makes_its_own(make: Maker, lasts: Callable[[float], None]) -> None:
    one, other = Shelf(), Shelf()
    assert [shelf.take("key", make) for shelf in (one, one, other)] == [b"1", b"1", b"2"]


def test_when_making_fails_the_old_one_serves_until_it_is_too_old(
    make: Maker, lasts: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    assert shelf.take("key", make) == b"1"
    lasts(AT_ONCE)
    make.fails = True
    assert shelf.take("key", make) == b"1"
    monkeypatch.setattr("vgchub.shelf.KEPT_SECONDS", 0)
    CommonShelf("key").redis.flushdb()
    with pytest.raises(OSError, match="away"):
        shelf.take("key", make)


def test_when_the_first_cannot_be_made_those_who_waited_do_not_wait_for_each_other(
    make: Maker, lasts: Callable[[float], None]
) -> None:
    shelf = Shelf()
    make.fails = True
    with pytest.raises(OSError, match="away"):
        shelf.take("key", make)
    make.fails = False
    make.go.clear()
    with ThreadPoolExecutor(2) as threads:
        taken = [threads.submit(shelf.take, "key", make) for _thread in range(2)]
        time.sleep(0.05)
        assert not shelf._places["key"].making.locked()
        make.go.set()
        assert {one.result(10) for one in taken} == {b"1", b"2"}


def test_nothing_is_given_to_nobody(lasts: Callable[[float], None]) -> None:
    calls = []

    def make() -> bytes:
        calls.append(1)
        return b""

    shelf, other = Shelf(), Shelf()
    for one in (shelf, shelf, other):
        assert one.take("key", make) == b""
    assert len(calls) == 3


def test_shelf_forgets_what_was_not_asked_for_longest(
    make: Maker, lasts: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vgchub.shelf.MOST_THINGS", 2)
    shelf = Shelf()
    for key in ("first", "second", "first", "third"):
        shelf.take(key, make)
    assert list(shelf._places) == ["first", "third"]
