"""Signed deliveries, retries, and holding them back."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from tests.simulator.shop import Shop


class Inbox:
    """A webhook endpoint of our own: keeps what came, answers what it is told to."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, str]] = []
        self.answers: list[int] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.received.append((body, self.headers["Stripe-Signature"]))
                self.send_response(inbox.answers.pop(0) if inbox.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                """Quietly."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/stripe/webhook/?source=test"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self, secret: str) -> list[stripe.Event]:
        """What came, each with its signature verified by Stripe's own code."""
        return [stripe.Webhook.construct_event(body, signature, secret) for body, signature in self.received]


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    box = Inbox()
    yield box
    box.server.shutdown()
    box.server.server_close()


@pytest.fixture
def endpoint(shop: Shop, inbox: Inbox) -> Any:
    return shop.v1.webhook_endpoints.create({"url": inbox.url, "enabled_events": ["*"]})


def test_events_arrive_signed(shop: Shop, inbox: Inbox, endpoint: Any) -> None:
    shop.paid_intent()
    wait_for(lambda: len(inbox.received) == 4)
    arrived = inbox.events(endpoint.secret)
    assert sorted(event.type for event in arrived) == sorted(shop.events())
    assert {event.api_version for event in arrived} == {"2026-08-26.dahlia"}
    wait_for(lambda: shop.v1.events.list().data[0].pending_webhooks == 0)


def test_a_wrong_secret_does_not_verify(shop: Shop, inbox: Inbox, endpoint: Any) -> None:
    shop.paid_intent()
    wait_for(lambda: inbox.received)
    with pytest.raises(stripe.SignatureVerificationError):
        inbox.events("whsec_" + "0" * 32)


def test_the_secret_is_shown_once(shop: Shop, endpoint: Any) -> None:
    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in shop.v1.webhook_endpoints.retrieve(endpoint.id)
    assert "secret" not in shop.v1.webhook_endpoints.list().data[0]


def test_endpoints_get_what_they_asked_for(shop: Shop, inbox: Inbox) -> None:
    given = {"url": inbox.url, "enabled_events": ["checkout.session.completed"], "metadata": {"djstripe_uuid": "1"}}
    endpoint = shop.v1.webhook_endpoints.create(given)
    shop.paid_intent()
    wait_for(lambda: inbox.received)
    assert [event.type for event in inbox.events(endpoint.secret)] == ["checkout.session.completed"]


def test_a_failed_delivery_is_tried_again(shop: Shop, inbox: Inbox, endpoint: Any) -> None:
    inbox.answers = [500, 302, 404]
    shop.v1.customers.create({"email": "alice@example.com"})
    wait_for(lambda: len(inbox.received) == 4)
    assert len({event.id for event in inbox.events(endpoint.secret)}) == 1
    wait_for(lambda: shop.v1.events.list().data[0].pending_webhooks == 0)
    assert shop.control("state", "GET")["deliveries"][0]["attempts"] == 4


def test_an_endpoint_that_is_away_gets_its_events_later(shop: Shop, inbox: Inbox) -> None:
    inbox.server.shutdown()
    inbox.server.server_close()
    shop.v1.webhook_endpoints.create({"url": inbox.url, "enabled_events": ["*"]})
    shop.v1.customers.create({"email": "alice@example.com"})
    wait_for(lambda: shop.control("state", "GET")["deliveries"][0]["attempts"] >= 1)
    assert shop.control("state", "GET")["webhooks"]["waiting"] == 1
    assert "Connection" in shop.control("state", "GET")["deliveries"][0]["last_answer"]


def test_held_deliveries_wait_until_released(shop: Shop, inbox: Inbox, endpoint: Any) -> None:
    shop.control("webhooks", held=True)
    shop.paid_intent()
    time.sleep(0.7)
    assert inbox.received == []
    assert shop.v1.events.list().data[0].pending_webhooks == 1
    shop.control("webhooks", held=False)
    wait_for(lambda: len(inbox.received) == 4)


def test_deliveries_can_come_twice_and_backwards(shop: Shop, inbox: Inbox, endpoint: Any) -> None:
    shop.control("webhooks", held=True, copies=2, reversed=True)
    shop.paid_intent()
    shop.control("webhooks", held=False)
    wait_for(lambda: len(inbox.received) == 8)
    assert len({event.id for event in inbox.events(endpoint.secret)}) == 4


def test_disabled_and_deleted_endpoints_get_nothing(shop: Shop, inbox: Inbox, endpoint: Any) -> None:
    assert shop.v1.webhook_endpoints.update(endpoint.id, {"disabled": True}).status == "disabled"
    shop.v1.customers.create({"email": "alice@example.com"})
    shop.v1.webhook_endpoints.update(endpoint.id, {"disabled": False, "description": "ours"})
    assert shop.v1.webhook_endpoints.delete(endpoint.id).deleted
    shop.v1.customers.create({"email": "bob@example.com"})
    time.sleep(0.7)
    assert inbox.received == []


def test_events_of_connected_accounts_go_to_connect_endpoints(shop: Shop, inbox: Inbox, endpoint: Any) -> None:
    theirs = {"stripe_account": "acct_1ConnectedOrganiser"}
    connect = shop.v1.webhook_endpoints.create({"url": inbox.url, "enabled_events": ["*"], "connect": True})
    shop.v1.customers.create({"email": "alice@example.com"}, theirs)
    wait_for(lambda: inbox.received)
    assert [event.account for event in inbox.events(connect.secret)] == ["acct_1ConnectedOrganiser"]
