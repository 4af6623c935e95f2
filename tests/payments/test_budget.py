"""The budget of calls to Stripe: shared by all processes, with a reserve for who waits at a page."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from threading import BoundedSemaphore, Event, Semaphore
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection, connections, transaction
from django_redis import get_redis_connection
from pytest_django import Settings

from payments import services
from payments.gateway import Gateway, GatewayAwayError, budget, calling, urgently
from payments.models import Payment
from payments.services import sweeping
from tests.payments.test_gateway import calls, order
from tests.payments.till import Till, account_of, check_money, make_offer, run_due
from tests.processes import processes_at_once
from tests.vgchub.test_full_pool import pooled
from vgchub import limits
from vgchub.postgresql.base import DatabaseWrapper
from vgchub.threads import Threads

__all__ = ["calls"]

SESSIONS = "http://127.0.0.1:1/v1/checkout/sessions"
CALL = ("POST", SESSIONS, None)
ENDPOINT = "POST /v1/checkout/sessions"
AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def _eight_a_second(settings: LazySettings) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 8


@pytest.fixture
def a_second_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is full stays full, however slow the test is, until `a_second_later`."""
    limits_of = budget._limits
    monkeypatch.setattr(budget, "_limits", lambda endpoint: [replace(one, seconds=30) for one in limits_of(endpoint)])


def a_second_later() -> None:
    redis = get_redis_connection("default")
    redis.delete(*redis.keys("vgchub:limit:*"))


def has_turn(method: str = "POST", url: str = SESSIONS, account: str = "", *, urgent: bool = False) -> bool:
    """Whether a call that doesn't wait at all is let through."""
    with pytest.MonkeyPatch.context() as patch, urgently() if urgent else nullcontext():
        patch.setattr(budget, "PATIENCE", {True: 0.0, False: 0.0})
        try:
            budget.wait_for_turn(method, url, {"Stripe-Account": account})
        except GatewayAwayError:
            return False
    return True


def turn(*, urgent: bool = False) -> float:
    """How long one call waits for its turn."""
    began = time.monotonic()
    if urgent:
        with urgently():
            budget.wait_for_turn(*CALL)
    else:
        budget.wait_for_turn(*CALL)
    return time.monotonic() - began


# --- Together --------------------------------------------------------------------------------------------------


def take_turns(number: int, *, urgent: bool) -> list[tuple[float, float]]:
    """Between which two moments each was given."""
    given: list[tuple[float, float]] = []

    def noting(scope: str, asked: list[limits.Limit]) -> None:
        before = time.time()
        limits.take(scope, asked)
        given.append((before, time.time()))

    vars(budget)["take"] = noting  # in a process of its own
    for _ in range(number):
        turn(urgent=urgent)
    return given


def most_in_a_second(given: list[tuple[float, float]]) -> int:
    """How many turns were surely given within one second: whatever the exact moment of each was."""
    return max(sum(before >= begin and after < begin + 1 for before, after in given) for begin, _after in given)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("urgent", [False, True], ids=["background", "urgent"])
def test_processes_together_stay_within_it(urgent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "PATIENCE", {True: 30.0, False: 30.0})
    whole = 8 if urgent else 6
    given = all_of(processes_at_once(*[partial(take_turns, whole, urgent=urgent)] * 3))
    assert len(given) == whole * 3
    assert most_in_a_second(given) == whole  # it is used, too


@pytest.mark.django_db(transaction=True)
def test_control_processes_that_count_for_themselves_exceed_it(settings: Settings) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": AWAY}}
    limits.forget()
    given = all_of(processes_at_once(*[partial(take_turns, 16, urgent=True)] * 3))
    assert most_in_a_second(given) > 8
    assert len(given) == 16 * 3


def all_of(outcomes: list[object]) -> list[tuple[float, float]]:
    return sorted(one for outcome in outcomes if isinstance(outcome, list) for one in outcome)


def test_who_waits_at_a_page_is_let_in_while_the_background_is_full(a_second_that_lasts: None) -> None:
    assert [has_turn() for _ in range(7)] == [True] * 6 + [False]
    assert [has_turn(urgent=True) for _ in range(3)] == [True, True, False]  # eight in all


def test_control_without_the_reserve_a_page_waits(a_second_that_lasts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "BACKGROUND_SHARE", 1.0)
    assert [has_turn() for _ in range(8)] == [True] * 8
    assert not has_turn(urgent=True)


def looks_of_many(monkeypatch: pytest.MonkeyPatch, threads: ThreadPoolExecutor) -> int:
    """How often Redis is asked until 24 threads have had their turns, eight a second."""
    looks: list[str] = []

    def looking(scope: str, asked: list[limits.Limit]) -> None:
        looks.append(scope)
        limits.take(scope, asked)

    monkeypatch.setattr(budget, "take", looking)
    waits = [one.result() for one in [threads.submit(turn, urgent=True) for _ in range(24)]]
    assert max(waits) < budget.PATIENCE[True] / 2
    return len(looks)


def test_those_who_wait_for_a_turn_ask_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch, threads: ThreadPoolExecutor
) -> None:
    assert looks_of_many(monkeypatch, threads) < 24 * 2


def test_control_without_a_queue_all_ask_all_the_time(
    monkeypatch: pytest.MonkeyPatch, threads: ThreadPoolExecutor
) -> None:
    monkeypatch.setattr(budget, "FairLock", lambda: Semaphore(24))
    monkeypatch.setattr(budget, "_queues", {})
    assert looks_of_many(monkeypatch, threads) > 24 * 2


def test_who_waits_at_one_account_holds_up_nobody_at_another(
    a_second_that_lasts: None, monkeypatch: pytest.MonkeyPatch, threads: ThreadPoolExecutor
) -> None:
    monkeypatch.setattr(budget, "PATIENCE", {True: 60.0, False: 60.0})
    assert all(has_turn(urgent=True) for _ in range(8))
    wait_for, waits = budget._wait_for, Event()

    def looking(scope: str, asked: list[limits.Limit]) -> float | None:
        if (wait := wait_for(scope, asked)) is not None:
            waits.set()
        return wait

    monkeypatch.setattr(budget, "_wait_for", looking)
    waiting = threads.submit(turn, urgent=True)
    assert waits.wait(20)
    assert has_turn(account="acct_1", urgent=True)
    assert not waiting.done()
    a_second_later()
    waiting.result(20)


def test_endpoints_and_accounts_have_budgets_of_their_own(a_second_that_lasts: None) -> None:
    assert [has_turn() for _ in range(7)] == [True] * 6 + [False]
    assert has_turn("GET")
    assert has_turn(url="http://127.0.0.1:1/v1/refunds")
    assert has_turn(account="acct_1")
    keys = {key.decode() for key in get_redis_connection("default").keys("vgchub:limit:*")}
    assert f"vgchub:limit:{{stripe:acct_1}}:background:{ENDPOINT}" in keys


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        ("post", "/v1/checkout/sessions", "POST /v1/checkout/sessions"),
        ("get", "/v1/checkout/sessions/cs_test_a1B2", "GET /v1/checkout/sessions/*"),
        ("post", "/v1/payment_intents/pi_3MtwBw/capture", "POST /v1/payment_intents/*/capture"),
        ("get", "/v1/balance_transactions?limit=100&starting_after=txn_1", "GET /v1/balance_transactions"),
        ("delete", "/v1/webhook_endpoints/we_1", "DELETE /v1/webhook_endpoints/*"),
    ],
)
def test_endpoints_are_told_apart_by_method_and_path(method: str, path: str, endpoint: str) -> None:
    assert budget.endpoint_of(method, f"https://api.stripe.com{path}") == endpoint


# --- When no turn comes ----------------------------------------------------------------------------------------


@pytest.fixture
def impatient(a_second_that_lasts: None, monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1
    monkeypatch.setattr(budget, "PATIENCE", {True: 0.1, False: 0.1})


def test_no_turn_is_away_and_says_nothing_of_stripes_health(
    till: Till, impatient: None, calls: list[tuple[str, bool]]
) -> None:
    Gateway().create_session(order(), key="k1")
    for urgent in (False, True):
        with pytest.raises(GatewayAwayError) as away:
            _create("k2", urgent=urgent)
        assert (away.value.code, away.value.answered) == ("budget", False)
    assert calls == [("checkout", True)]
    assert len(till.shop.v1.checkout.sessions.list().data) == 1


def _create_some(number: int) -> None:
    for one in range(number):
        _create(f"k{one}", urgent=False)


def _create(key: str, *, urgent: bool) -> None:
    if urgent:
        with urgently():
            Gateway().create_session(order(), key=key)
    else:
        Gateway().create_session(order(), key=key)


@pytest.mark.django_db(transaction=True)
def test_a_row_without_a_turn_is_due_again_soon(till: Till, impatient: None) -> None:
    payment = till.authorised(make_offer())
    for _ in range(2):
        budget_is_spent("POST", "/v1/payment_intents/*/capture")
        services.capture_payment(payment_id=payment.pk)
    payment.refresh_from_db()
    assert payment.state == Payment.State.AUTHORISED
    assert (payment.refusals, payment.failure_code) == (0, "")
    a_second_later()
    run_due()
    payment.refresh_from_db()
    assert payment.state == Payment.State.CAPTURED


def budget_is_spent(method: str, path: str) -> None:
    """As if others had just called."""
    asked = budget._limits(f"{method} {path}")
    try:
        while True:
            limits.take("stripe:", asked)
    except limits.TooManyRequestsError:
        return


def test_without_redis_calls_go_on_within_limits_of_the_process(settings: Settings) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": AWAY}}
    limits.forget()
    began = time.monotonic()
    assert all(has_turn() for _ in range(6))
    turn()
    assert 1 <= time.monotonic() - began < 10


# --- Stripe's own limit, and its silence -----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_stripes_own_limit_is_waited_for(till: Till, settings: LazySettings) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1000
    payments = [till.authorised(make_offer()) for _ in range(3)]
    till.shop.control("rates", per_second=1, path="/v1/payment_intents/*/capture")
    for payment in payments:
        services.capture_payment(payment_id=payment.pk)
    states = sorted(Payment.objects.values_list("state", "refusals"))
    assert ("AUTHORISED", 0) in states  # put off, and no refusal
    assert not sweeping.take_due_payments()  # with a pause
    till.shop.control("rates", verb="DELETE")
    run_due()
    assert set(Payment.objects.values_list("state", flat=True)) == {"CAPTURED"}
    check_money()


def test_too_many_calls_is_away_with_an_answer(till: Till) -> None:
    till.shop.control("rates", per_second=1)
    with pytest.raises(GatewayAwayError) as away:
        _create_some(4)
    assert away.value.answered
    till.shop.control("rates", verb="DELETE")


@pytest.fixture
def repeating(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(calling, "RETRIES", 1)
    calling.client_for.cache_clear()
    yield
    calling.client_for.cache_clear()


def timed(call: Callable[[], Any]) -> float:
    began = time.monotonic()
    with pytest.raises(GatewayAwayError):
        call()
    return time.monotonic() - began


def test_a_silent_stripe_is_asked_once_while_somebody_waits(
    till: Till, repeating: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "URGENT_TIMEOUT", (20.0, 0.4))
    till.shop.control("faults", path="/v1/checkout/sessions", silence="hang")
    assert 0.4 <= timed(partial(_create, "k1", urgent=True)) < 10  # asked again, it would have been answered
    monkeypatch.setattr(calling, "TIMEOUT", (20.0, 4.0))
    till.heal()
    till.shop.control("faults", path="/v1/checkout/sessions", silence="hang")
    _create("k2", urgent=False)  # asked a second time at once
    till.heal()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_stripe_broke_off_costs_whoever_waits_nothing(till: Till, repeating: None, when: str) -> None:
    """One that was idle is closed the moment it is used again. What was done before is not done twice."""
    till.shop.control("faults", path="/v1/checkout/sessions", silence="close", when=when)
    _create("k1", urgent=True)
    assert len(till.shop.v1.checkout.sessions.list().data) == 1


def test_a_call_that_is_under_way_elsewhere_is_repeated_for_a_second_tab(till: Till, repeating: None) -> None:
    till.fail("/v1/checkout/sessions", status=409)
    _create("k1", urgent=True)
    till.fail("/v1/checkout/sessions", status=500)
    with pytest.raises(GatewayAwayError):
        _create("k2", urgent=True)


# --- Threads ---------------------------------------------------------------------------------------------------


@dataclass
class Slow:
    """A Stripe that answers nobody until it is told to."""

    there: Semaphore = field(default_factory=lambda: Semaphore(0))
    answers: Event = field(default_factory=Event)

    def wait(self, *_call: object) -> None:
        self.there.release()
        assert self.answers.wait(20)


@pytest.fixture
def slow(till: Till, monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow()
    monkeypatch.setattr(calling, "wait_for_turn", slow.wait)
    return slow


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(30) as threads:
        yield threads


def test_so_many_are_at_stripe_and_no_more(
    slow: Slow, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes when all places are taken is told so at once, and comes again."""
    monkeypatch.setattr(budget, "_places", BoundedSemaphore(3))
    asking = [threads.submit(_create, f"k{number}", urgent=True) for number in range(3)]
    assert all(slow.there.acquire(timeout=20) for _ in asking)
    with pytest.raises(GatewayAwayError) as away:
        _create("late", urgent=True)
    assert away.value.code == "budget"
    slow.answers.set()
    assert [one.result() for one in asking] == [None] * 3
    _create("late", urgent=True)


def test_who_waits_for_stripe_leaves_the_thread_to_others(slow: Slow) -> None:
    """One at work, and it asks Stripe: the next request is answered meanwhile."""
    with Threads(1) as one:
        asking = one.submit(lambda key: _create(key, urgent=True), "k")
        assert slow.there.acquire(timeout=20)
        assert one.submit(str.upper, "joined").result(20) == "JOINED"
        assert not asking.done()
        slow.answers.set()
        assert asking.result(20) is None


def ask(pool: DatabaseWrapper, *, in_transaction: bool) -> None:
    """As a view does: it has asked the database before it asks Stripe."""
    before, connections["default"] = connections["default"], pool
    pool.inc_thread_sharing()  # made by another thread
    try:
        connection.ensure_connection()
        with transaction.atomic() if in_transaction else nullcontext():
            _create("k", urgent=True)
    finally:
        connections["default"] = before
        pool.close()


def is_free(pool: DatabaseWrapper) -> bool:
    try:
        pool.ensure_connection()
    except OperationalError:
        return False
    pool.close()
    return True


@pytest.fixture
def pools() -> Iterator[tuple[DatabaseWrapper, DatabaseWrapper]]:
    """Two threads' ways to a pool of one connection."""
    both = pooled(), pooled()
    yield both
    both[0].close_pool()


@pytest.mark.django_db(transaction=True)
def test_who_is_at_stripe_holds_no_connection(
    slow: Slow, threads: ThreadPoolExecutor, pools: tuple[DatabaseWrapper, DatabaseWrapper]
) -> None:
    asking = threads.submit(ask, pools[0], in_transaction=False)
    assert slow.there.acquire(timeout=20)
    assert is_free(pools[1])
    slow.answers.set()
    asking.result()


@pytest.mark.django_db(transaction=True)
def test_control_who_is_in_a_transaction_keeps_it(
    slow: Slow, threads: ThreadPoolExecutor, pools: tuple[DatabaseWrapper, DatabaseWrapper]
) -> None:
    """It could not be given to anybody else, and nobody has to wait for it: no service asks Stripe in a transaction."""
    asking = threads.submit(ask, pools[0], in_transaction=True)
    assert slow.there.acquire(timeout=20)
    assert not is_free(pools[1])
    slow.answers.set()
    asking.result()


def test_a_place_is_free_again_after_a_call_that_failed(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_places", BoundedSemaphore(3))
    for number in range(4):
        till.fail("/v1/checkout/sessions", status=500)
        with pytest.raises(GatewayAwayError) as away:
            _create(f"k{number}", urgent=True)
        assert away.value.code != "budget"


# --- Who is urgent ---------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The endpoints that were asked, and whether somebody waited."""
    noted: list[tuple[str, bool]] = []

    def note(method: str, url: str, _headers: Any) -> None:
        noted.append((budget.endpoint_of(method, url), budget.is_urgent()))

    monkeypatch.setattr(calling, "wait_for_turn", note)
    return noted


@pytest.mark.django_db(transaction=True)
def test_pages_are_urgent_and_sweeps_are_not(till: Till, client: Any, asked: list[tuple[str, bool]]) -> None:
    entry = make_offer()
    client.force_login(account_of(entry))
    payment = till.start(entry)
    client.get(f"/e/{entry.public_id}/return/")
    assert asked == [("POST /v1/checkout/sessions", True), ("GET /v1/checkout/sessions/*", True)]
    asked.clear()
    sweeping.advance(payment_id=payment.pk)
    assert asked == [("GET /v1/checkout/sessions/*", False)]
    assert not budget.is_urgent()
