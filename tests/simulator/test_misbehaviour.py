"""A Stripe that is slow, silent, busy or forgetful: on order, or at random by a seed."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeVar

import pytest
import requests
import stripe

from simulator.rates import Rates
from tests.simulator.conftest import shop_at, start
from tests.simulator.shop import Shop
from tests.simulator.test_webhooks import Inbox, wait_for
from vgchub.local.ports import free_port

KINDS = ["error_before", "error_after", "rate_limit", "cut_before", "cut_after", "slow"]
T = TypeVar("T")
HEADERS = {"Authorization": "Bearer sk_test_" + "a" * 24}


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    box = Inbox()
    yield box
    box.server.shutdown()
    box.server.server_close()


@pytest.fixture
def endpoint(shop: Shop, inbox: Inbox) -> Any:
    return shop.v1.webhook_endpoints.create({"url": inbox.url, "enabled_events": ["*"]})


def customers(shop: Shop) -> int:
    return len(shop.v1.customers.list({"limit": 100}).data)


# Silence


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_connection_is_cut_before_or_after_the_deed(shop: Shop, when: str, made: int) -> None:
    shop.control("faults", path="/v1/customers", method="POST", silence="close", when=when)
    with pytest.raises(stripe.APIConnectionError):
        shop.v1.customers.create({"email": "alice@example.com"}, {"idempotency_key": "k1"})
    assert customers(shop) == made
    shop.v1.customers.create({"email": "alice@example.com"}, {"idempotency_key": "k1"})
    assert customers(shop) == 1


def test_client_is_left_waiting_though_it_was_done(shop: Shop) -> None:
    shop.control("faults", path="/v1/customers", method="POST", silence="hang", when="after")
    began = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{shop.address}/v1/customers", {"name": "Alice"}, headers=HEADERS, timeout=0.5)
    assert time.monotonic() - began >= 0.5
    assert customers(shop) == 1


@pytest.mark.parametrize(("wanted", "made"), [("done", 1), ("not_done", 0)])
def test_a_request_can_ask_for_silence_itself(shop: Shop, wanted: str, made: int) -> None:
    """Once for each key, so that a retry learns what happened."""
    given = {"email": "alice@example.com", "metadata": {"simulate_timeout": wanted}}
    with pytest.raises(stripe.APIConnectionError):
        shop.v1.customers.create(given, {"idempotency_key": "k1"})
    assert customers(shop) == made
    assert shop.v1.customers.create(given, {"idempotency_key": "k1"}).email == "alice@example.com"
    assert customers(shop) == 1


def test_stripes_own_client_gets_through_by_trying_again(shop: Shop) -> None:
    shop.control("faults", path="/v1/customers", method="POST", silence="close", when="after")
    patient = stripe.StripeClient(
        HEADERS["Authorization"][7:], base_addresses={"api": shop.address}, max_network_retries=2
    )
    assert patient.v1.customers.create({"email": "alice@example.com"}).email == "alice@example.com"
    assert customers(shop) == 1


def test_one_request_can_be_late(shop: Shop) -> None:
    shop.control("faults", path="/v1/account", delay_ms=400)
    began = time.monotonic()
    shop.v1.accounts.retrieve_current()
    late = time.monotonic() - began
    shop.v1.accounts.retrieve_current()
    assert late > 0.4


# Rate limits


def within_a_second(send: Callable[[int], T]) -> T:
    """What came of it in the first try that took less: after a second all is let through again."""
    for number in range(10):
        began = time.monotonic()
        done = send(number)
        if time.monotonic() - began < 1:
            return done
        time.sleep(1.05)
    raise TimeoutError("each try took longer")


def test_too_many_requests_are_refused_as_stripe_does(shop: Shop) -> None:
    def six(_number: int) -> list[requests.Response]:
        return [requests.get(f"{shop.address}/v1/account", headers=HEADERS, timeout=20) for _ in range(6)]

    shop.control("rates", per_second=3)
    answers = within_a_second(six)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 2
    assert refused[0].json()["error"]["code"] == "rate_limit"
    assert refused[0].headers["Stripe-Rate-Limited-Reason"] == "global-rate"
    assert refused[0].headers["Stripe-Should-Retry"] == "false"
    shop.control("rates", "DELETE")
    for _ in range(6):
        shop.v1.accounts.retrieve_current()


def test_an_endpoint_has_its_own_limit_and_a_refused_request_does_nothing(shop: Shop) -> None:
    def two(number: int) -> tuple[str, stripe.RateLimitError | None]:
        shop.v1.customers.create({"email": "alice@example.com"})
        try:
            shop.v1.customers.create({"email": "bob@example.com"}, {"idempotency_key": f"k{number}"})
        except stripe.RateLimitError as refusal:
            return f"k{number}", refusal
        return f"k{number}", None

    assert shop.control("rates", per_second=1, path="/v1/customers")["rates"] == {"/v1/customers": 1}
    key, refusal = within_a_second(two)
    assert refusal is not None
    assert refusal.headers is not None
    assert refusal.headers["Stripe-Rate-Limited-Reason"] == "endpoint-rate"
    shop.v1.accounts.retrieve_current()
    time.sleep(1.05)
    shop.v1.customers.create({"email": "bob@example.com"}, {"idempotency_key": key})


def test_a_second_holds_exactly_as_many_as_are_allowed() -> None:
    now = 0.0
    rates = Rates(clock=lambda: now)
    rates.set("*", 5)
    passed = []
    for tick in range(300):
        now = tick / 100
        try:
            rates.check("", "/v1/account")
        except Exception:  # noqa: BLE001, S112 (refused)
            continue
        passed.append(now)
    assert len(passed) == 15
    assert all(len([one for one in passed if start <= one < start + 1]) <= 5 for start in passed)
    rates.check("acct_other", "/v1/account")


# Deliveries


def test_lost_events_stay_lost_and_listed(shop: Shop, inbox: Inbox, endpoint: Any) -> None:
    shop.control("webhooks", lose="charge.*")
    shop.paid_intent()
    wait_for(lambda: len(inbox.received) == 3)
    shop.control("webhooks", lose="")
    time.sleep(0.7)
    assert "charge.succeeded" not in {event.type for event in inbox.events(endpoint.secret)}
    assert "charge.succeeded" in shop.events()
    shop.control("webhooks", held=False)
    shop.v1.customers.create({"email": "alice@example.com"})
    wait_for(lambda: len(inbox.received) == 4)


def test_events_can_be_late(shop: Shop, inbox: Inbox, endpoint: Any) -> None:
    shop.control("webhooks", delay_ms=3000)
    shop.v1.customers.create({"email": "alice@example.com"})
    time.sleep(0.4)
    assert inbox.received == []
    wait_for(lambda: inbox.received)


@pytest.mark.parametrize(("kind", "count"), [("lost", 0), ("twice", 4), ("shuffled", 2)])
def test_each_fate_of_a_delivery(shop: Shop, inbox: Inbox, endpoint: Any, kind: str, count: int) -> None:
    shop.control("misbehave", seed=7, share=1, kinds=[kind])
    for name in ("alice", "bob"):
        shop.v1.customers.create({"email": f"{name}@example.com"})
    wait_for(lambda: all(row["last_answer"] for row in shop.control("state", "GET")["deliveries"]))
    time.sleep(0.5)  # no more come
    assert len(inbox.received) == count
    waiting = [event.pending_webhooks for event in shop.v1.events.list().data]
    assert waiting == ([1, 1] if kind == "lost" else [0, 0])


# At random


def play(shop: Shop, rounds: int = 60) -> list[str]:
    """What becomes of a sequence of requests, as the client sees it."""
    seen = []
    for number in range(rounds):
        form = {"email": f"player{number}@example.com"}
        try:
            answer = requests.post(f"{shop.address}/v1/customers", form, headers=HEADERS, timeout=20)
        except requests.ConnectionError:
            seen.append("cut")
        else:
            seen.append(str(answer.status_code))
    return seen


def fates(shop: Shop) -> list[tuple[Any, ...]]:
    rows = shop.control("state", "GET")["deliveries"][::-1]
    return [
        (row["last_answer"] == "lost by the simulator", row["event"] == before["event"])
        for before, row in pairwise(rows)
    ]


def test_the_same_seed_misbehaves_the_same_way(shop: Shop) -> None:
    runs = []
    for seed in (7, 7, 8):
        shop.control("reset")
        shop.control("webhooks", held=True)
        shop.v1.webhook_endpoints.create({"url": "http://127.0.0.1:1/", "enabled_events": ["*"]})
        shop.control("misbehave", seed=seed, share=0.4, slow_ms=5)
        seen = play(shop)
        runs.append((seen, fates(shop), shop.control("misbehave", "DELETE")["objects"]["customer"]))
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0][0]) == {"200", "429", "500", "cut"}
    assert 60 > runs[0][2] > runs[0][0].count("200")  # some were done unseen


def test_other_kinds_of_requests_do_not_shift_what_is_drawn(shop: Shop) -> None:
    shop.control("misbehave", seed=7, share=0.4, kinds=["error_before", "lost"])
    first = play(shop, 30)
    shop.control("reset")
    shop.v1.webhook_endpoints.create({"url": "http://127.0.0.1:1/", "enabled_events": ["*"]})
    shop.control("misbehave", seed=7, share=0.4, kinds=["error_before", "lost"])
    assert play(shop, 30) == first


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_asked_for_alone(shop: Shop, kind: str) -> None:
    shop.control("misbehave", seed=1, share=1, kinds=[kind], slow_ms=5)
    (seen,) = play(shop, 1)
    shop.control("misbehave", "DELETE")
    assert seen == {"cut": "cut", "rate": "429", "error": "500", "slow": "200"}[kind.partition("_")[0]]
    assert customers(shop) == (1 if kind.endswith("after") or kind == "slow" else 0)


def test_flag_misbehaves_from_the_start_and_through_a_reset() -> None:
    port = free_port()
    process = start("--misbehave", "7", "--misbehave-share", "0.5", port=port)
    try:
        shop = shop_at(port)
        first = play(shop, 20)
        shop.control("reset")
        assert play(shop, 20) == first
        assert first.count("200") < 20
        assert play(shop, 5)
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("misbehave", {"share": 0.1}),
        ("misbehave", {"seed": 7, "share": 2}),
        ("misbehave", {"seed": 7, "kinds": ["rude"]}),
        ("misbehave", {"seed": 7, "colour": "blue"}),
        ("rates", {"per_second": 0}),
        ("rates", {}),
        ("faults", {"path": "*", "silence": "shout"}),
        ("faults", {"path": "*", "silence": "close", "status": 500}),
        ("webhooks", {"delay_ms": "long"}),
    ],
)
def test_wrong_orders_are_refused(shop: Shop, what: str, given: dict[str, object]) -> None:
    answer = requests.post(f"{shop.address}/_control/{what}", json=given, timeout=20)
    assert answer.status_code == 400
    assert answer.json()["error"]
