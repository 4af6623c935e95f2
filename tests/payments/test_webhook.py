"""Stripe's deliveries, over HTTP, signed, to the site as it runs."""

import time
from io import StringIO

import pytest
import requests
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from djstripe.models import WebhookEndpoint
from pytest_django.live_server_helper import LiveServer

from payments.models import StripeEvent
from registrations.rules import State
from tests.payments.till import Till, check_money, handle_events, make_offer, run_due

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(till: Till, live_server: LiveServer, settings: LazySettings) -> LiveServer:
    """The site as the simulator reaches it, its endpoint registered."""
    settings.SITE_URL = live_server.url
    register()
    return live_server


def register() -> str:
    said = StringIO()
    call_command("register_webhook", stdout=said)
    return said.getvalue()


def wait_for_events(number: int) -> None:
    deadline = time.monotonic() + 10
    while StripeEvent.objects.count() < number and time.monotonic() < deadline:
        time.sleep(0.05)
    assert StripeEvent.objects.count() == number


def test_a_signed_event_is_noted_and_confirms_the_seat(till: Till, site: LiveServer) -> None:
    entry = make_offer()
    payment = till.start(entry)
    till.pay(payment)
    wait_for_events(1)
    event = StripeEvent.objects.get()
    assert (event.type, event.payment_id, event.handled_at) == ("checkout.session.completed", payment.pk, None)
    handle_events()
    entry.refresh_from_db()
    assert entry.state == State.CONFIRMED
    run_due()
    check_money()


def test_a_delivery_that_comes_three_times_is_one_event(till: Till, site: LiveServer) -> None:
    till.shop.control("webhooks", copies=3)
    till.pay(till.start(make_offer()))
    deadline = time.monotonic() + 10
    while till.shop.control("state", verb="GET")["webhooks"]["waiting"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert StripeEvent.objects.count() == 1


def test_an_event_without_our_signature_is_refused(till: Till, site: LiveServer) -> None:
    url = WebhookEndpoint.objects.get().url
    forged = requests.post(url, json={"id": "evt_1"}, headers={"Stripe-Signature": "t=1,v1=00"}, timeout=10)
    assert forged.status_code == 400
    assert not StripeEvent.objects.exists()


def test_register_webhook_can_be_repeated_and_follows_the_sites_address(till: Till, settings: LazySettings) -> None:
    settings.SITE_URL = "http://127.0.0.1:1"
    assert register().startswith("made: http://127.0.0.1:1/stripe/webhook/")
    secret = WebhookEndpoint.objects.get().secret
    assert secret
    assert register().startswith("kept: ")
    settings.SITE_URL = "http://127.0.0.1:2"
    assert register().startswith("updated: http://127.0.0.1:2/")
    assert WebhookEndpoint.objects.get().secret == secret
    assert len(till.shop.v1.webhook_endpoints.list().data) == 1


def test_register_webhook_starts_anew_when_either_side_forgot(till: Till, settings: LazySettings) -> None:
    settings.SITE_URL = "http://127.0.0.1:1"
    register()
    till.shop.control("reset")
    assert register().startswith("made: ")
    WebhookEndpoint.objects.all().delete()
    assert register().startswith("made: ")
    (endpoint,) = till.shop.v1.webhook_endpoints.list().data
    assert endpoint.id == WebhookEndpoint.objects.get().id


def test_register_webhook_says_when_stripe_is_away(till: Till) -> None:
    till.fail("/v1/webhook_endpoints")
    with pytest.raises(CommandError, match="did not take the endpoint"):
        register()
