"""Changing a webhook's secret: the old and the new one are valid together, until somebody ends it."""

import json
import time
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import requests
import stripe
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils.timezone import now
from djstripe.models import WebhookEndpoint
from pytest_django.live_server_helper import LiveServer

from payments.models import StripeEvent
from payments.services import endpoints
from tests.builders import make_organization
from tests.payments.till import Till, make_offer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(till: Till, live_server: LiveServer, settings: LazySettings) -> LiveServer:
    settings.SITE_URL = live_server.url
    register()
    return live_server


def register(*options: str) -> list[str]:
    said = StringIO()
    call_command("register_webhook", *options, stdout=said)
    return [line.split(":")[0] for line in said.getvalue().splitlines()]


def deliver(row: WebhookEndpoint, secret: str, event_id: str = "evt_1") -> int:
    body = json.dumps({"id": event_id, "livemode": False, "type": "refund.updated", "data": {"object": {"id": "re_1"}}})
    when = int(time.time())
    signature = stripe.WebhookSignature._compute_signature(f"{when}.{body}", secret)
    headers = {"Stripe-Signature": f"t={when},v1={signature}", "Content-Type": "application/json"}
    return requests.post(row.url, body, headers=headers, timeout=10).status_code


def a_day_later() -> None:
    for row in WebhookEndpoint.objects.all():
        if "replaced_at" in (row.metadata or {}):
            row.metadata["replaced_at"] = (now() - timedelta(hours=25)).isoformat()
            row.save(update_fields=["metadata"])


def rows() -> list[WebhookEndpoint]:
    return list(WebhookEndpoint.objects.order_by("djstripe_id"))


def at_stripe(till: Till) -> set[str]:
    return {endpoint.id for endpoint in till.shop.v1.webhook_endpoints.list().data}


def test_both_secrets_are_valid_until_the_old_one_is_ended(till: Till, site: LiveServer) -> None:
    assert register("--rotate") == ["made"]
    old, new = rows()
    assert old.secret != new.secret
    assert [deliver(old, old.secret, "evt_1"), deliver(new, new.secret, "evt_2")] == [200, 200]
    assert [deliver(old, "whsec_wrong", "evt_3"), deliver(new, "whsec_wrong", "evt_4")] == [400, 400]
    assert deliver(new, old.secret, "evt_5") == 400

    assert register("--finish") == ["deleted"]
    assert deliver(old, old.secret, "evt_6") == 404
    assert deliver(new, old.secret, "evt_7") == 400
    assert deliver(new, new.secret, "evt_8") == 200
    assert set(StripeEvent.objects.values_list("stripe_id", flat=True)) == {"evt_1", "evt_2", "evt_8"}
    assert at_stripe(till) == {new.id}
    assert register("--finish") == []


def test_what_both_endpoints_deliver_is_one_event(till: Till, site: LiveServer) -> None:
    register("--rotate")
    till.pay(till.start(make_offer()))
    deadline = time.monotonic() + 10
    while till.shop.control("state", verb="GET")["webhooks"]["waiting"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(row.webhookeventtrigger_set.filter(valid=True).count() == 1 for row in rows())
    assert StripeEvent.objects.count() == 1


def test_registering_again_disturbs_no_rotation(till: Till, site: LiveServer, settings: LazySettings) -> None:
    register("--rotate")
    before = {row.id: row.secret for row in rows()}
    assert register() == ["kept"]
    settings.SITE_URL = "http://127.0.0.1:2"
    assert register() == ["updated"]
    assert {row.id: row.secret for row in rows()} == before
    assert at_stripe(till) == set(before)
    assert all(row.url.startswith("http://127.0.0.1:2/") for row in rows())


def test_a_second_rotation_waits_for_a_day_and_then_ends_the_first(till: Till, site: LiveServer) -> None:
    register("--rotate")
    first, second = rows()
    with pytest.raises(CommandError, match="--finish"):
        register("--rotate")
    assert rows() == [first, second]
    a_day_later()
    assert register("--rotate") == ["deleted", "made"]
    assert len(rows()) == 2
    assert rows()[0] == second
    assert at_stripe(till) == {row.id for row in rows()}


def test_the_endpoint_of_connected_accounts_is_rotated_with_it(till: Till, site: LiveServer) -> None:
    make_organization(stripe_account="acct_1")
    register()
    assert register("--rotate") == ["made", "made"]
    assert [row.metadata["connect"] for row in rows()] == ["no", "yes", "no", "yes"]
    assert register() == ["kept", "kept"]
    assert register("--finish") == ["deleted", "deleted"]


def test_killed_between_stripe_and_the_database_it_can_be_ended(
    till: Till, site: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("--rotate")

    def killed(_row: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(WebhookEndpoint, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            endpoints.finish_rotation()
    assert len(at_stripe(till)) == 1
    assert register("--finish") == ["deleted"]
    assert [row.id for row in rows()] == list(at_stripe(till))


def test_without_a_first_registration_rotating_makes_one(till: Till, settings: LazySettings) -> None:
    settings.SITE_URL = "http://127.0.0.1:1"
    assert register("--rotate") == ["made"]
    assert register() == ["kept"]


def test_stripe_away_in_the_middle_leaves_what_was_valid(till: Till, site: LiveServer) -> None:
    till.fail("/v1/webhook_endpoints", method="POST")
    with pytest.raises(CommandError, match="did not take"):
        register("--rotate")
    (row,) = rows()
    assert deliver(row, row.secret) == 200
