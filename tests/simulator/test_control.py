"""The control endpoint, and what a restart keeps."""

import socket
import time
from pathlib import Path

import pytest
import requests
import stripe

from tests.simulator.conftest import shop_at, start
from tests.simulator.shop import Shop
from vgchub.local.ports import free_port


def test_restart_keeps_everything(tmp_path: Path) -> None:
    """Also when it is killed: a key that was used stays used, an open session can still be paid."""
    port, data = free_port(), str(tmp_path / "simulator.sqlite3")
    process = start("--data", data, port=port)
    try:
        shop = shop_at(port)
        session = shop.session()
        paid = shop.paid_intent()
        first = shop.v1.customers.create({"email": "alice@example.com"}, {"idempotency_key": "k1"})
        endpoint = shop.v1.webhook_endpoints.create({"url": "http://127.0.0.1:1/", "enabled_events": ["*"]})
        shop.control("clock", advance=60)
        process.kill()
        process.wait(10)
        process = start("--data", data, port=port)
        assert shop.v1.customers.create({"email": "alice@example.com"}, {"idempotency_key": "k1"}).id == first.id
        assert shop.v1.webhook_endpoints.retrieve(endpoint.id).url == "http://127.0.0.1:1/"
        assert shop.v1.payment_intents.capture(paid.id).status == "succeeded"
        assert shop.control("state", "GET")["advanced"] == 60
        assert shop.pay(session).status_code == 303
    finally:
        process.terminate()
        process.wait(10)


def test_a_webhook_endpoint_that_never_answers_does_not_hold_up_the_stop() -> None:
    port = free_port()
    process = start(port=port)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shop = shop_at(port)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        shop.v1.webhook_endpoints.create({"url": url, "enabled_events": ["*"]})
        shop.v1.customers.create({"email": "alice@example.com"})
        silent.accept()
        began = time.monotonic()
        process.terminate()
        process.wait(10)
    assert time.monotonic() - began < 9


def test_faults_fail_as_often_as_asked_and_only_there(shop: Shop) -> None:
    intent = shop.paid_intent()
    shop.control("faults", path="/v1/payment_intents/*/capture", status=402, code="card_declined", times=2)
    for _ in range(2):
        with pytest.raises(stripe.CardError) as failure:
            shop.v1.payment_intents.capture(intent.id)
        assert failure.value.code == "card_declined"
    assert shop.v1.payment_intents.retrieve(intent.id).status == "requires_capture"
    assert shop.v1.payment_intents.capture(intent.id).status == "succeeded"


def test_rate_limit_is_said_as_stripe_says_it(shop: Shop) -> None:
    shop.control("faults", path="/v1/account", method="GET", status=429)
    with pytest.raises(stripe.RateLimitError):
        shop.v1.accounts.retrieve_current()


def test_faults_can_be_taken_back(shop: Shop) -> None:
    shop.control("faults", path="*", status=500, times=5)
    assert len(shop.control("state", "GET")["faults"]) == 1
    assert shop.control("faults", "DELETE")["faults"] == []
    assert shop.v1.accounts.retrieve_current().id


def test_delay_makes_answers_late(shop: Shop) -> None:
    shop.control("delay", ms=400, path="/v1/account")
    began = time.monotonic()
    shop.v1.accounts.retrieve_current()
    assert time.monotonic() - began > 0.4


@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("faults", {"path": "*", "status": 200}),
        ("faults", {"path": "*"}),
        ("faults", {"path": "*", "status": 500, "when": "never"}),
        ("webhooks", {"hold": True}),
        ("clock", {}),
        ("delay", {"ms": "long"}),
    ],
)
def test_wrong_orders_are_refused(shop: Shop, what: str, given: dict[str, object]) -> None:
    answer = requests.post(f"{shop.address}/_control/{what}", json=given, timeout=20)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_state_shows_what_is_there(shop: Shop) -> None:
    shop.paid_intent()
    state = requests.get(f"{shop.address}/_control/state", params={"kind": "charge"}, timeout=20).json()
    assert state["objects"]["charge"] == 1
    assert state["charge"][0]["amount"] == 2500
    assert "checkout.session.completed" in requests.get(shop.address, timeout=20).text
    assert shop.control("reset")["objects"] == {}
