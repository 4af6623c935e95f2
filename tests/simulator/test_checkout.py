"""A session from its opening to its end."""

import time

import pytest
import requests
import stripe

from tests.simulator.shop import DECLINED, GOOD, POOR, SECURE, Shop


def test_paying_completes_the_session_and_holds_the_money(shop: Shop) -> None:
    session = shop.session()
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    answer = shop.pay(session)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"http://127.0.0.1:1/paid?session={session.id}",
    )
    paid = shop.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
    intent, charge = paid.payment_intent, paid.payment_intent.latest_charge
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "unpaid", None)
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 2500, 0)
    assert (charge.captured, charge.paid, charge.balance_transaction) == (False, True, None)
    assert intent.metadata.to_dict() == {"entry": "7"}
    assert shop.events() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "checkout.session.completed",
    ]


def test_paying_without_manual_capture_takes_the_money_at_once(shop: Shop) -> None:
    intent = shop.paid_intent(payment_intent_data=None)
    assert (intent.status, intent.amount_received) == ("succeeded", 2500)
    assert shop.v1.charges.retrieve(intent.latest_charge).captured is True
    assert shop.v1.checkout.sessions.list().data[0].payment_status == "paid"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (DECLINED, "generic_decline"),
        (POOR, "insufficient_funds"),
        ("4000000000000069", "expired_card"),
        ("4000000000000127", "incorrect_cvc"),
        ("4000000000000119", "processing_error"),
        ("4111111111111111", "test_mode_live_card"),
    ],
)
def test_declined_card_says_why_and_leaves_the_session_open(shop: Shop, number: str, reason: str) -> None:
    session = shop.session()
    answer = shop.pay(session, number)
    assert (answer.status_code, answer.headers["simulator-error"]) == (402, reason)
    intent = shop.v1.payment_intents.list().data[0]
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error.message.partition(".")[0].replace("'", "&#x27;") in answer.text
    still = shop.v1.checkout.sessions.retrieve(session.id)
    assert (still.status, still.payment_intent) == ("open", None)
    assert shop.events() == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
    assert shop.pay(session, GOOD).status_code == 303
    assert shop.v1.checkout.sessions.retrieve(session.id).payment_intent == intent.id


def test_three_d_secure_completed_pays(shop: Shop) -> None:
    session = shop.session()
    answer = shop.pay(session, SECURE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/c/pay/{session.id}/authenticate")
    assert shop.v1.payment_intents.list().data[0].next_action.type == "redirect_to_url"
    assert shop.authenticate(session).headers["location"].startswith("http://127.0.0.1:1/paid")
    assert shop.v1.checkout.sessions.retrieve(session.id).status == "complete"


def test_three_d_secure_failed_lets_the_customer_try_again(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, SECURE)
    answer = shop.authenticate(session, "fail")
    assert (answer.status_code, answer.headers["simulator-error"]) == (
        402,
        "payment_intent_authentication_failure",
    )
    assert shop.pay(session).status_code == 303


def test_three_d_secure_may_be_declined_after_it(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, "4000008400001629")
    assert shop.authenticate(session).headers["simulator-error"] == "generic_decline"


@pytest.mark.parametrize(
    ("entered", "reason"),
    [
        ({"number": "4242424242424241"}, "incorrect_number"),
        ({"number": "not a number"}, "incorrect_number"),
        ({"expiry": "13 / 40"}, "invalid_expiry_month"),
        ({"expiry": "12 / 20"}, "invalid_expiry_year"),
        ({"cvc": "12"}, "invalid_cvc"),
        ({"email": ""}, None),
    ],
)
def test_wrong_entry_is_refused_before_anything_is_tried(shop: Shop, entered: dict[str, str], reason: str) -> None:
    session = shop.session()
    answer = shop.pay(session, **entered)
    if reason is None:  # the session knows the address
        assert answer.status_code == 303
        return
    assert (answer.status_code, answer.headers["simulator-error"]) == (400, reason)
    assert shop.v1.payment_intents.list().data == []


def test_expired_session_refuses_payment(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, DECLINED)
    expired = shop.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    assert shop.pay(session).status_code == 410
    intent = shop.v1.payment_intents.list().data[0]
    assert (intent.status, intent.amount_capturable) == ("canceled", 0)
    assert shop.events()[-2:] == ["payment_intent.canceled", "checkout.session.expired"]


def test_complete_session_takes_no_second_payment(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    assert shop.pay(session).status_code == 409
    assert len(shop.v1.charges.list().data) == 1
    assert "Already paid" in requests.get(f"{shop.address}/c/pay/{session.id}", timeout=20).text


def test_only_an_open_session_can_be_expired(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    with pytest.raises(stripe.InvalidRequestError, match="has a status of `complete`"):
        shop.v1.checkout.sessions.expire(session.id)


def test_session_expires_by_the_clock(shop: Shop) -> None:
    session = shop.session()
    shop.control("clock", advance=1855)
    assert shop.v1.checkout.sessions.retrieve(session.id).status == "open"
    shop.control("clock", advance=10)
    assert shop.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert shop.events() == ["checkout.session.expired"]


@pytest.mark.parametrize(("seconds", "words"), [(1700, "at least 30 minutes"), (90_000, "less than 24 hours")])
def test_session_lives_from_30_minutes_to_24_hours(shop: Shop, seconds: int, words: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=words):
        shop.session(expires_at=int(time.time()) + seconds)
    assert shop.session(expires_at=None).expires_at == pytest.approx(time.time() + 86400, abs=5)


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"mode": None}, "parameter_missing", "mode"),
        ({"line_items": None}, "parameter_missing", "line_items"),
        ({"success_url": None}, "parameter_missing", "success_url"),
        ({"success_url": "/paid"}, "url_invalid", "success_url"),
        ({"colour": "blue"}, "parameter_unknown", "colour"),
        ({"customer_email": "nobody"}, "email_invalid", "customer_email"),
        ({"customer": "cus_none", "customer_email": None}, "resource_missing", "customer"),
        ({"customer": "cus_none"}, "parameters_exclusive", "customer"),
        ({"expires_at": "soon"}, "parameter_invalid_integer", "expires_at"),
        (
            {"line_items": [{"price": "price_none", "quantity": 1}]},
            "resource_missing",
            "line_items[0][price]",
        ),
        (
            {"payment_intent_data": {"capture": "manual"}},
            "parameter_unknown",
            "payment_intent_data[capture]",
        ),
    ],
)
def test_wrong_parameters_are_named(shop: Shop, changes: dict[str, object], code: str, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.session(**changes)
    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert refusal.value.error is not None
    assert refusal.value.error.doc_url == f"https://docs.stripe.com/error-codes#{code.replace('_', '-')}"


def test_customer_is_made_when_asked_for(shop: Shop) -> None:
    intent = shop.paid_intent(customer_creation="always")
    customer = shop.v1.customers.retrieve(intent.customer)
    assert customer.email == "alice@example.com"


def test_page_shows_the_seat_and_the_test_cards_without_javascript(shop: Shop) -> None:
    session = shop.session()
    page = requests.get(session.url, params={"card": POOR}, timeout=20)
    assert "Masters" in page.text
    assert "€25.00" in page.text
    assert 'value="4000 0000 0000 9995"' in page.text
    assert "No money moves" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_names_on_the_page_are_escaped(shop: Shop) -> None:
    data = {"currency": "eur", "unit_amount": 2500, "product_data": {"name": "<script>alert(1)</script>"}}
    session = shop.session(line_items=[{"price_data": data, "quantity": 1}])
    assert "<script>alert" not in requests.get(session.url, timeout=20).text


def test_browsers_get_the_reason_as_a_page_and_not_as_an_error(shop: Shop) -> None:
    """Chromium writes every 4xx document into its console."""
    session = shop.session()
    form = {"number": DECLINED, "expiry": "12 / 40", "cvc": "123"}
    answer = requests.post(session.url, form, headers={"Accept": "text/html,*/*"}, timeout=20)
    assert (answer.status_code, answer.headers["simulator-error"]) == (200, "generic_decline")
    assert "Your card was declined." in answer.text
