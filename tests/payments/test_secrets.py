"""Keys are in the environment and nowhere else: not in logs, errors, rows or pages. And no card ever comes by here."""

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django import forms
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import get_resolver, reverse
from djstripe.models import APIKey, WebhookEndpoint
from pytest_django.live_server_helper import LiveServer

from payments import services
from payments.gateway import Gateway, GatewayError, calling
from payments.models import DeadLetter, Payment, Refund, StripeEvent
from payments.services import inbox
from tests.builders import make_staff, now
from tests.payments.till import Till, account_of, handle_events, make_offer, run_due, skip_pauses
from vgchub.admin import site
from vgchub.local.ports import free_port
from vgchub.masking import MaskingFormatter

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "sk_test_" + "verysecret" * 3


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """What the site's own handler writes, down to DEBUG."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(MaskingFormatter("{asctime} {levelname} {name} {message}", style="{"))
    with caplog.at_level(logging.DEBUG):
        logging.getLogger().addHandler(handler)
        yield written
        logging.getLogger().removeHandler(handler)


@pytest.fixture
def ours(till: Till, live_server: LiveServer, settings: LazySettings) -> Till:
    """The site with a key that is easily found, its endpoint registered."""
    settings.STRIPE_SECRET_KEY = settings.STRIPE_TEST_SECRET_KEY = KEY
    settings.SITE_URL = live_server.url
    call_command("register_webhook", stdout=io.StringIO())
    return till


def in_rows() -> str:
    rows: list[Any] = [
        *Payment.objects.values(),
        *Refund.objects.values(),
        *StripeEvent.objects.values(),
        *DeadLetter.objects.values(),
    ]
    return str(rows)


def in_admin() -> str:
    client = Client()
    client.force_login(make_staff())
    pages = [reverse("admin:index")]
    for model in site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages.append(reverse(f"{name}_changelist"))
        pages += [reverse(f"{name}_change", args=[pk]) for pk in model._default_manager.values_list("pk", flat=True)]
    return "".join(client.get(page).content.decode() for page in pages)


def walk_all_error_paths(till: Till, client: Client) -> str:
    """Provoke what can go wrong; returns the pages that a player saw meanwhile."""
    pages = []
    faults: list[dict[str, Any]] = [{"status": status} for status in (503, 500, 429, 401, 403, 400)]
    for fault in faults:
        entry = make_offer()
        client.force_login(account_of(entry))
        till.shop.control("faults", path="/v1/*", times=50, **fault)
        pages.append(client.post(f"/e/{entry.public_id}/take-up/").content.decode())
        pages.append(client.get(f"/e/{entry.public_id}/return/").content.decode())
        till.shop.control("faults", path="/v1/*/*", times=50, **fault)
        run_due(2)
        with pytest.raises(CommandError) as error:
            call_command("register_webhook")
        pages.append(str(error.value))
        till.heal()
    return "".join(pages)


def test_no_error_shows_a_secret(
    ours: Till, client: Client, said: io.StringIO, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whsec = WebhookEndpoint.objects.get().secret
    payment = ours.captured(make_offer())
    services.cancel_and_refund(account=account_of(payment.entry), public_id=payment.entry.public_id)
    pages = walk_all_error_paths(ours, client)

    settings.STRIPE_API_BASE = f"http://127.0.0.1:{free_port()}"  # nobody is there
    entry = make_offer()
    client.force_login(account_of(entry))
    pages += client.post(f"/e/{entry.public_id}/take-up/").content.decode()
    settings.STRIPE_API_BASE = ours.shop.address
    StripeEvent.objects.create(
        stripe_id="evt_x", type="x", object_id="x", payment=payment, received_at=now(), due_at=now()
    )
    monkeypatch.setattr(inbox, "_look_at", _breaks_with_everything)
    skip_pauses()
    handle_events()

    for where, text in {"logs": said.getvalue(), "pages": pages, "rows": in_rows(), "admin": in_admin()}.items():
        assert text, where
        for secret in (KEY, KEY.removeprefix("sk_test_"), whsec, whsec.removeprefix("whsec_")):
            assert secret not in text, where
    assert "[hidden]" in said.getvalue()  # it was tried


def _breaks_with_everything(_event: Any) -> None:
    raise ValueError(f"{KEY} {WebhookEndpoint.objects.get().secret}")


def test_stripes_words_are_masked_before_anybody_keeps_them(ours: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    ours.fail("/v1/refunds/*", status=400, message=f"{KEY} may not do this")
    with pytest.raises(GatewayError) as error:
        Gateway().retrieve_refund("re_1")
    assert error.value.message == "[hidden] may not do this"
    monkeypatch.setattr(calling, "mask_keys", str)  # the control
    ours.fail("/v1/refunds/*", status=400, message=f"{KEY} may not do this")
    with pytest.raises(GatewayError, match=KEY):
        Gateway().retrieve_refund("re_1")


def test_dj_stripes_tables_are_not_in_the_admin() -> None:
    assert not [model for model in site._registry if model._meta.app_label == "djstripe"]
    assert {APIKey, WebhookEndpoint}.isdisjoint(site._registry)
    urls = [str(pattern.pattern) for pattern in get_resolver("djstripe.urls").url_patterns]
    assert all("webhook" in url for url in urls)


def test_no_form_of_ours_asks_for_a_card() -> None:
    forms_of_ours = [form for form in _subclasses(forms.BaseForm) if form.__module__.split(".")[0] in OURS]
    assert forms_of_ours
    for form in forms_of_ours:
        for name in getattr(form, "base_fields", {}):
            assert not CARD_FIELD.search(name), f"{form.__name__}.{name}"


OURS = {"accounts", "lottery", "payments", "registrations", "reports", "tournaments", "vgchub"}
CARD_FIELD = re.compile(r"(^|_)(card_?number|number_of_card|cc_?number|cvc|cvv|iban|exp(iry|_month|_year)|pan)($|_)")


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


def test_pages_load_no_foreign_script_and_forms_go_to_us_or_to_stripes_page(
    ours: Till, client: Client, settings: LazySettings
) -> None:
    entry = make_offer()
    client.force_login(account_of(entry))
    for path in (f"/t/{entry.tournament.slug}/", f"/e/{entry.public_id}/return/", "/"):
        answer = client.get(path, follow=True)
        assert answer.status_code == 200
        policy = dict(rule.strip().split(" ", 1) for rule in answer["Content-Security-Policy"].split(";"))
        sources = policy["script-src"].split()
        assert [source for source in sources if source != "'self'" and not source.startswith("'nonce-")] == []
        assert policy["default-src"] == "'self'"
        assert policy["form-action"].split() == ["'self'", settings.STRIPE_CHECKOUT_ORIGIN]
        page = answer.content.decode()
        assert not re.search(r"<script[^>]+src=[\"']?(https?:)?//", page)
        assert not re.search(r"autocomplete=[\"']?cc-", page)


def test_the_webhooks_inbox_keeps_no_card(ours: Till) -> None:
    payment = ours.captured(make_offer())
    ours.deliver()
    assert "4242424242424242" not in in_rows()
    assert payment.card_last4 in ("", "4242")
