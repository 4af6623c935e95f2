"""Idempotency keys as Stripe documents them."""

import threading
from typing import Any

import pytest
import requests
import stripe

from tests.simulator.shop import Shop
from tests.simulator.test_webhooks import wait_for

REFUNDS = "/v1/refunds"


def refund(shop: Shop, intent: Any, key: str, **given: Any) -> Any:
    return shop.v1.refunds.create({"payment_intent": intent.id, **given}, {"idempotency_key": key})


@pytest.fixture
def captured(shop: Shop) -> Any:
    intent = shop.paid_intent()
    return shop.v1.payment_intents.capture(intent.id)


def test_same_key_gives_the_same_answer_and_does_nothing(shop: Shop, captured: Any) -> None:
    first = refund(shop, captured, "k1", amount=100)
    second = refund(shop, captured, "k1", amount=100)
    assert first.last_response.data == second.last_response.data
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert second.last_response.headers["Original-Request"] == first.last_response.headers["Request-Id"]
    assert len(shop.v1.refunds.list().data) == 1


def test_refusals_are_replayed_with_their_status(shop: Shop, captured: Any) -> None:
    for replayed in (None, "true"):
        with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded") as refusal:
            refund(shop, captured, "k1", amount=99999)
        assert refusal.value.headers is not None
        assert (refusal.value.http_status, refusal.value.headers.get("Idempotent-Replayed")) == (400, replayed)


def test_other_parameters_under_the_same_key_are_refused(shop: Shop, captured: Any) -> None:
    refund(shop, captured, "k1", amount=100)
    with pytest.raises(stripe.IdempotencyError, match="same parameters they were first used with") as refusal:
        refund(shop, captured, "k1", amount=200)
    assert refusal.value.http_status == 400
    assert refund(shop, captured, "k1", amount=100).amount == 100


def test_other_address_under_the_same_key_is_refused(shop: Shop, captured: Any) -> None:
    refund(shop, captured, "k1", amount=100)
    with pytest.raises(stripe.IdempotencyError, match="same endpoint they were first used for"):
        shop.v1.customers.create({"email": "alice@example.com"}, {"idempotency_key": "k1"})


def test_second_request_while_the_first_is_under_way_conflicts(shop: Shop, captured: Any) -> None:
    shop.control("faults", path=REFUNDS, delay_ms=3000)
    first = threading.Thread(target=refund, args=(shop, captured, "k1"), kwargs={"amount": 100})
    first.start()
    wait_for(lambda: not shop.control("state", "GET")["faults"])
    with pytest.raises(stripe.APIError) as conflict:
        refund(shop, captured, "k1", amount=100)
    first.join()
    assert conflict.value.error is not None
    assert (conflict.value.http_status, conflict.value.error.code) == (409, "idempotency_key_in_use")
    assert refund(shop, captured, "k1", amount=100).amount == 100
    assert len(shop.v1.refunds.list().data) == 1


def test_wrong_parameters_do_not_use_the_key_up(shop: Shop, captured: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Invalid integer"):
        refund(shop, captured, "k1", amount="much")
    assert refund(shop, captured, "k1", amount=100).amount == 100


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_500_is_replayed(shop: Shop, captured: Any, when: str) -> None:
    shop.control("faults", path=REFUNDS, status=500, when=when)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failure:
            refund(shop, captured, "k1", amount=100)
        assert failure.value.http_status == 500
    done = shop.v1.refunds.list().data
    assert len(done) == (1 if when == "after" else 0)
    assert refund(shop, captured, "k2", amount=100).amount == 100


@pytest.mark.parametrize("status", [429, 502, 503])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_fails_on_the_way_is_done_once_by_a_retry(shop: Shop, captured: Any, status: int, when: str) -> None:
    shop.control("faults", path=REFUNDS, status=status, when=when)
    with pytest.raises(stripe.StripeError) as failure:
        refund(shop, captured, "k1", amount=100)
    assert failure.value.http_status == status
    assert refund(shop, captured, "k1", amount=100).amount == 100
    assert len(shop.v1.refunds.list().data) == 1


def test_reading_ignores_keys(shop: Shop) -> None:
    headers = {"Authorization": "Bearer sk_test_" + "a" * 24, "Idempotency-Key": "k1"}
    for path in ("/v1/account", "/v1/refunds"):
        answer = requests.get(shop.address + path, headers=headers, timeout=20)
        assert answer.status_code == 200
        assert "Idempotent-Replayed" not in answer.headers


def test_keys_are_forgotten_after_a_day(shop: Shop, captured: Any) -> None:
    refund(shop, captured, "k1", amount=100)
    shop.control("clock", advance=24 * 60 * 60 + 1)
    assert refund(shop, captured, "k1", amount=200).amount == 200


def test_events_say_which_request_made_them(shop: Shop, captured: Any) -> None:
    made = refund(shop, captured, "k1", amount=100)
    event = shop.v1.events.list({"type": "refund.created"}).data[0]
    assert event["request"]["id"] == made.last_response.headers["Request-Id"]
    assert event["request"]["idempotency_key"] == "k1"
