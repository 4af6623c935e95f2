"""Who waits for somebody outside keeps no thread from others, and no more work at once than may."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from threading import Event, Lock, Thread
from time import sleep
from typing import Any

import pytest

from vgchub.threads import ASIDE, FairLock, Threads, aside

SECONDS = 20
Waiting = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def threads() -> Iterator[Threads]:
    with Threads(1) as threads:
        yield threads


class Outside:
    """Somebody who answers all who wait, once told to."""

    def __init__(self, waiting: Waiting = aside) -> None:
        self.waiting, self.answers = waiting, Event()
        self.there, self.lock = 0, Lock()

    def ask(self, _client: object) -> None:
        with self.waiting():
            with self.lock:
                self.there += 1
            assert self.answers.wait(SECONDS)


def is_answered(threads: Threads, *, within: float = SECONDS) -> bool:
    answer: Future[Any] = threads.submit(str, "look")
    try:
        return bool(answer.result(within) == "look")
    except TimeoutError:
        return False


def test_who_stands_aside_leaves_the_only_thread_to_others(threads: Threads) -> None:
    outside = Outside()
    asking = threads.submit(outside.ask, "")
    assert is_answered(threads)
    outside.answers.set()
    assert asking.result(SECONDS) is None


def test_control_who_does_not_keeps_it(threads: Threads) -> None:
    outside = Outside(nullcontext)
    asking = threads.submit(outside.ask, "")
    assert not is_answered(threads, within=0.3)
    outside.answers.set()
    assert asking.result(SECONDS) is None


def test_as_many_as_may_stand_aside_and_others_are_still_served(threads: Threads) -> None:
    outside = Outside()
    asking = [threads.submit(outside.ask, "") for _number in range(ASIDE)]
    while outside.there < ASIDE:
        sleep(0.01)
    assert is_answered(threads)
    outside.answers.set()
    assert [one.result(SECONDS) for one in asking] == [None] * ASIDE


def test_when_all_have_come_back_no_more_work_at_once_than_before(threads: Threads) -> None:
    outside, working, most = Outside(), 0, 0
    lock = Lock()

    def work(_client: object) -> None:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        sleep(0.005)
        with lock:
            working -= 1

    asking = [threads.submit(outside.ask, "") for _number in range(20)]
    while outside.there < len(asking):
        sleep(0.01)
    outside.answers.set()
    assert [one.result(SECONDS) for one in asking] == [None] * len(asking)
    for one in [threads.submit(work, "") for _number in range(50)]:
        one.result(SECONDS)
    assert most == 1


def test_an_error_goes_to_whoever_waits_for_the_answer_and_the_thread_goes_on(threads: Threads) -> None:
    failed = threads.submit(int, "no number")
    with pytest.raises(ValueError, match="no number"):
        failed.result(SECONDS)
    assert is_answered(threads)


# --- Each in turn ----------------------------------------------------------------------------------------------------


def comes_before_one_who_waits(lock: Any) -> bool:
    """Whether a thread that lets the lock go, and asks for it at once again, has it before another that waited all the time."""
    order: list[str] = []
    assert lock.acquire(timeout=SECONDS)

    is_there = Event()

    def wait() -> None:
        is_there.set()
        assert lock.acquire(timeout=SECONDS)
        order.append("waited")
        lock.release()

    waiting = Thread(target=wait)
    waiting.start()
    assert is_there.wait(SECONDS)
    sleep(0.02)  # it waits by now
    lock.release()
    assert lock.acquire(timeout=SECONDS)
    order.append("asked again")
    lock.release()
    waiting.join()
    return order[0] == "asked again"


def test_a_fair_lock_is_had_in_the_order_in_which_threads_came() -> None:
    lock, order, threads = FairLock(), list[int](), list[Thread]()
    assert lock.acquire(timeout=SECONDS)

    def take(number: int) -> None:
        assert lock.acquire(timeout=SECONDS)
        order.append(number)
        lock.release()

    for number in range(20):
        threads.append(Thread(target=take, args=[number]))
        threads[-1].start()
        while len(lock._line) < number + 2:
            sleep(0.001)
    lock.release()
    for thread in threads:
        thread.join()
    assert order == list(range(20))


def test_control_a_lock_is_had_by_whoever_asks_as_it_is_let_go() -> None:
    assert any(comes_before_one_who_waits(Lock()) for _ in range(50))


def test_a_fair_lock_whose_turn_did_not_come_is_left_without_a_trace() -> None:
    lock = FairLock()
    assert lock.acquire(timeout=0)
    assert not lock.acquire(timeout=0.01)
    lock.release()
    assert lock.acquire(timeout=0)
