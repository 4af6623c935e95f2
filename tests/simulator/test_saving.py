"""Cards that are saved now and charged later: setup mode, SetupIntents, payment methods of customers."""

from typing import Any

import pytest
import requests
import stripe

from tests.simulator.shop import DECLINED, GOOD, SECURE, Shop

CHARGED_ONLY = "4000000000000341"


def test_saving_a_card_completes_the_session_and_charges_nothing(shop: Shop) -> None:
    session = shop.saving_session(setup_intent_data={"metadata": {"entry": "7"}})
    assert (session.status, session.payment_status, session.amount_total) == ("open", "no_payment_required", None)
    assert shop.v1.setup_intents.retrieve(session.setup_intent).status == "requires_payment_method"
    assert shop.pay(session).headers["location"] == f"http://127.0.0.1:1/saved?session={session.id}"
    expand = ["setup_intent.payment_method", "customer", "setup_intent.customer"]
    done = shop.v1.checkout.sessions.retrieve(session.id, {"expand": expand})
    setup, method = done.setup_intent, done.setup_intent.payment_method
    assert (done.status, done.url, setup.status, setup.usage) == ("complete", None, "succeeded", "off_session")
    assert (method.customer, method.card.last4, setup.metadata.to_dict()) == (session.customer, "4242", {"entry": "7"})
    assert shop.v1.charges.list().data == shop.v1.balance_transactions.list().data == []
    assert shop.events()[1:] == [
        "setup_intent.created",
        "payment_method.attached",
        "setup_intent.succeeded",
        "checkout.session.completed",
    ]


def test_customer_is_made_when_asked_for(shop: Shop) -> None:
    session = shop.saving_session(customer=None, customer_creation="always")
    shop.pay(session)
    done = shop.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent", "customer"]})
    assert (done.customer.email, done.setup_intent.customer) == ("alice@example.com", done.customer.id)
    assert len(shop.v1.payment_methods.list({"customer": done.customer.id, "type": "card"}).data) == 1


@pytest.mark.parametrize("number", [DECLINED, "4000000000009995", "4000000000009987"])
def test_a_card_that_is_declined_is_not_saved(shop: Shop, number: str) -> None:
    session = shop.saving_session()
    answer = shop.pay(session, number)
    assert answer.status_code == 402
    setup = shop.v1.setup_intents.retrieve(session.setup_intent)
    assert setup.status == "requires_payment_method"
    assert setup.last_setup_error.decline_code == answer.headers["simulator-error"]
    assert shop.events()[-1] == "setup_intent.setup_failed"
    assert shop.v1.payment_methods.list({"customer": session.customer}).data == []
    assert shop.pay(session, CHARGED_ONLY).status_code == 303


def test_three_d_secure_when_saving(shop: Shop) -> None:
    session = shop.saving_session()
    assert shop.pay(session, SECURE).headers["location"] == f"/c/pay/{session.id}/authenticate"
    assert shop.v1.setup_intents.retrieve(session.setup_intent).next_action.type == "redirect_to_url"
    assert "wants to save" in requests.get(f"{session.url}/authenticate", timeout=20).text
    assert shop.authenticate(session, "fail").headers["simulator-error"] == "setup_intent_authentication_failure"
    shop.pay(session, SECURE)
    assert shop.authenticate(session).headers["location"].startswith("http://127.0.0.1:1/saved")


def test_page_says_that_nothing_is_charged(shop: Shop) -> None:
    session = shop.saving_session()
    page = requests.get(session.url, timeout=20).text
    assert "Nothing is charged now" in page
    assert "Save card</button>" in page
    shop.pay(session)
    assert "Your card is saved." in requests.get(session.url, timeout=20).text


def test_expired_session_ends_its_setup(shop: Shop) -> None:
    session = shop.saving_session()
    with pytest.raises(stripe.InvalidRequestError, match="Expire the Checkout Session"):
        shop.v1.setup_intents.cancel(session.setup_intent)
    shop.v1.checkout.sessions.expire(session.id)
    assert shop.v1.setup_intents.retrieve(session.setup_intent).status == "canceled"
    assert shop.events()[-2:] == ["setup_intent.canceled", "checkout.session.expired"]
    assert shop.pay(session).status_code == 410


def test_setup_intents_of_ones_own_can_be_listed_and_cancelled(shop: Shop) -> None:
    customer = shop.v1.customers.create({"email": "alice@example.com"}).id
    made = shop.v1.setup_intents.create({"customer": customer, "metadata": {"a": "1"}})
    assert shop.v1.setup_intents.update(made.id, {"metadata": {"b": "2"}}).metadata.to_dict() == {"a": "1", "b": "2"}
    canceled = shop.v1.setup_intents.cancel(made.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(stripe.InvalidRequestError, match="status of canceled") as refusal:
        shop.v1.setup_intents.cancel(made.id)
    assert refusal.value.code == "setup_intent_unexpected_state"
    assert [setup.id for setup in shop.v1.setup_intents.list({"customer": customer}).data] == [made.id]


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"currency": None}, "parameter_missing", "currency"),
        ({"line_items": [{"quantity": 1}]}, None, "line_items"),
        ({"payment_intent_data": {"description": "x"}}, None, "payment_intent_data"),
        ({"setup_intent_data": {"usage": "on_session"}}, "parameter_unknown", "setup_intent_data[usage]"),
        (
            {"setup_intent_data": {"metadata": {"simulate_decline": "x"}}},
            None,
            "setup_intent_data[metadata][simulate_decline]",
        ),
        ({"mode": "subscription"}, None, "mode"),
    ],
)
def test_wrong_parameters_are_named(shop: Shop, changes: dict[str, Any], code: str | None, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.saving_session(**changes)
    assert (refusal.value.code, refusal.value.param) == (code, param)


def test_methods_are_attached_listed_and_detached(shop: Shop) -> None:
    alice, bob = (shop.v1.customers.create({"email": f"{name}@example.com"}).id for name in ("alice", "bob"))
    visa = shop.v1.payment_methods.attach("pm_card_visa", {"customer": alice})
    amex = shop.v1.payment_methods.attach("pm_card_amex", {"customer": alice})
    shop.v1.payment_methods.attach("pm_card_visa", {"customer": bob})
    assert [method.id for method in shop.v1.payment_methods.list({"customer": alice}).data] == [amex.id, visa.id]
    assert [method.id for method in shop.v1.customers.payment_methods.list(alice, {"limit": 1}).data] == [amex.id]
    assert shop.v1.customers.payment_methods.retrieve(alice, visa.id).card.brand == "visa"
    assert shop.v1.payment_methods.update(visa.id, {"metadata": {"a": "1"}}).metadata.to_dict() == {"a": "1"}
    assert shop.v1.payment_methods.detach(visa.id).customer is None
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        shop.v1.payment_methods.attach(visa.id, {"customer": alice})
    with pytest.raises(stripe.InvalidRequestError, match="not attached to a customer"):
        shop.v1.payment_methods.detach(visa.id)
    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        shop.v1.payment_methods.attach(amex.id, {"customer": bob})
    shop.v1.customers.delete(alice)
    assert shop.v1.payment_methods.retrieve(amex.id).customer is None


def test_a_card_that_declines_cannot_be_attached(shop: Shop) -> None:
    customer = shop.v1.customers.create({"email": "alice@example.com"}).id
    with pytest.raises(stripe.CardError) as declined:
        shop.v1.payment_methods.attach("pm_card_visa_chargeDeclined", {"customer": customer})
    assert (declined.value.http_status, declined.value.code) == (402, "card_declined")
    assert shop.v1.payment_methods.list({"customer": customer}).data == []


def test_the_same_number_has_the_same_fingerprint(shop: Shop) -> None:
    prints = [shop.saved_card(number).card.fingerprint for number in (GOOD, GOOD, CHARGED_ONLY)]
    assert prints[0] == prints[1] != prints[2]
    intent = shop.paid_intent()
    charge = shop.v1.charges.retrieve(intent.latest_charge)
    assert charge.payment_method_details.card.fingerprint == prints[0]


@pytest.mark.parametrize("known", [True, False])
def test_paying_can_save_the_card_too(shop: Shop, known: bool) -> None:
    customer = shop.v1.customers.create({"email": "alice@example.com"}).id
    whose = {"customer": customer, "customer_email": None} if known else {"customer_creation": "always"}
    intent = shop.paid_intent(payment_intent_data={"setup_future_usage": "off_session"}, **whose)
    (method,) = shop.v1.payment_methods.list({"customer": intent.customer}).data
    assert (intent.customer == customer) is known
    assert shop.charge_later(method).status == "succeeded"
