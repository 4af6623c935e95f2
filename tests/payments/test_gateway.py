"""The gateway's own errors, and what it tells of Stripe's health."""

from datetime import timedelta

import pytest
from django.conf import LazySettings

from payments.gateway import CheckoutOrder, Gateway, GatewayAwayError, GatewayRefusedError, NotAtStripeError, calling
from tests.builders import now
from tests.payments.till import Till
from vgchub import health
from vgchub.local.ports import free_port


def order(**changes: object) -> CheckoutOrder:
    fields = {
        "reference": "e1",
        "amount_minor": 2500,
        "currency": "eur",
        "title": "Masters",
        "email": "a@example.com",
        "expires_at": now() + timedelta(minutes=31),
        "metadata": {"payment": "1", "entry": "e1"},
        "success_url": "http://127.0.0.1:1/",
        "cancel_url": "http://127.0.0.1:1/",
    }
    return CheckoutOrder(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What was counted for the health of each service."""
    counted: list[tuple[str, bool]] = []
    monkeypatch.setattr(health, "record_call", lambda service, ok: counted.append((service, ok)))
    return counted


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_answer_that_is_none_is_away_and_counts_against_health(
    till: Till, calls: list[tuple[str, bool]], status: int
) -> None:
    till.fail("/v1/checkout/sessions", status=status)
    with pytest.raises(GatewayAwayError) as away:
        Gateway().create_session(order(), key="k1")
    assert away.value.answered
    assert calls == [("checkout", False)]


def test_a_refusal_is_an_answer(till: Till, calls: list[tuple[str, bool]]) -> None:
    with pytest.raises(GatewayRefusedError) as refused:
        Gateway().create_session(order(amount_minor=1), key="k1")
    assert refused.value.code == "amount_too_small"
    assert calls == [("checkout", True)]


def test_a_key_gives_the_same_session_again(till: Till, calls: list[tuple[str, bool]]) -> None:
    first = Gateway().create_session(order(), key="k1")
    assert Gateway().create_session(order(), key="k1").id == first.id
    assert Gateway().create_session(order(), key="k2").id != first.id


def test_a_key_with_another_order_is_not_taken(till: Till) -> None:
    Gateway().create_session(order(), key="k1")
    with pytest.raises(GatewayAwayError) as away:
        Gateway().create_session(order(title="Seniors"), key="k1")
    assert (away.value.code, away.value.answered) == ("idempotency_error", True)


def test_nobody_at_the_address_is_away_without_an_answer(till: Till, settings: LazySettings) -> None:
    settings.STRIPE_API_BASE = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(GatewayAwayError) as away:
        Gateway().retrieve_session("cs_1")
    assert (away.value.code, away.value.answered) == ("no_answer", False)


def test_a_slow_answer_is_none(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "TIMEOUT", (1.0, 0.2))
    calling.client_for.cache_clear()
    till.shop.control("delay", ms=1000, path="/v1/checkout/sessions")
    with pytest.raises(GatewayAwayError):
        Gateway().create_session(order(), key="k1")
    till.shop.control("delay", ms=0)


def test_a_key_that_stripe_does_not_accept_loses_nobody_a_seat(till: Till, settings: LazySettings) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_wrong"
    with pytest.raises(GatewayAwayError) as away:
        Gateway().retrieve_session("cs_1")
    assert away.value.code == "not_allowed"


@pytest.mark.parametrize("ask", ["retrieve_session", "retrieve_intent", "retrieve_refund"])
def test_what_stripe_does_not_know_is_said(till: Till, ask: str) -> None:
    with pytest.raises(NotAtStripeError):
        getattr(Gateway(), ask)("none_1")
