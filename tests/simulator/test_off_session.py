"""Charging a saved card while its holder is away, and every way in which that fails."""

from typing import Any

import pytest
import requests
import stripe

from simulator.cards import CARDS
from simulator.declines import DOCUMENTED
from tests.simulator.shop import GOOD, Shop

EVERY_TIME, UNLESS_SAVED, ON_SESSION = "4000002760003184", "4000002500003155", "4000003800000446"
CHARGED_ONLY = "4000000000000341"


def declined(shop: Shop, method: Any, **changes: Any) -> stripe.CardError:
    with pytest.raises(stripe.CardError) as refusal:
        shop.charge_later(method, **changes)
    return refusal.value


def test_saved_card_is_charged_at_once(shop: Shop) -> None:
    method = shop.saved_card()
    intent = shop.charge_later(method, metadata={"entry": "7"}, expand=["latest_charge.balance_transaction"])
    assert (intent.status, intent.amount_received, intent.customer) == ("succeeded", 2500, method.customer)
    charge = intent.latest_charge
    assert (charge.captured, charge.payment_method, charge.metadata.to_dict()) == (True, method.id, {"entry": "7"})
    assert charge.balance_transaction.net == 2500 - charge.balance_transaction.fee
    assert shop.events()[-3:] == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    assert shop.charge_later(method).status == "succeeded"


def test_saved_card_can_be_authorised_and_captured_later(shop: Shop) -> None:
    intent = shop.charge_later(shop.saved_card(), capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 2500)
    assert shop.v1.payment_intents.capture(intent.id, {"amount_to_capture": 2000}).amount_received == 2000
    other = shop.charge_later(shop.saved_card(), capture_method="manual")
    assert shop.v1.payment_intents.cancel(other.id).status == "canceled"
    third = shop.charge_later(shop.saved_card(), capture_method="manual")
    shop.control("clock", advance=7 * 86400 + 1)
    assert shop.v1.payment_intents.retrieve(third.id).status == "canceled"


@pytest.mark.parametrize("code", DOCUMENTED)
def test_every_documented_decline_leaves_the_intent_behind(shop: Shop, code: str) -> None:
    customer = shop.v1.customers.create({"email": "alice@example.com"}).id
    method = shop.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
    refusal = declined(shop, method, metadata={"simulate_decline": code})
    error = refusal.error
    assert error is not None
    assert error.payment_intent is not None
    assert (refusal.http_status, error.decline_code) == (402, code)
    intent = shop.v1.payment_intents.retrieve(error.payment_intent.id)
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert (intent.last_payment_error.decline_code, intent.last_payment_error.payment_method.id) == (code, method.id)
    charge = shop.v1.charges.retrieve(intent.latest_charge)
    assert (charge.status, charge.failure_code, charge.outcome.reason) == ("failed", error.code, code)
    assert charge.balance_transaction is None
    assert shop.events()[-2:] == ["charge.failed", "payment_intent.payment_failed"]


DECLINING = [card for card in CARDS if card.declined_when_charged and card.secure == "never"]


@pytest.mark.parametrize("card", DECLINING, ids=lambda card: card.number)
def test_every_card_that_declines_does_so_on_its_page(shop: Shop, card: Any) -> None:
    session = shop.session()
    answer = shop.pay(session, card.number, cvc="123")
    assert (answer.status_code, answer.headers["simulator-error"]) == (402, card.declined_when_charged.decline_code)


GOING = [card for card in CARDS if not card.declined_when_charged]


@pytest.mark.parametrize("card", GOING, ids=lambda card: card.number)
def test_every_other_card_pays_on_its_page(shop: Shop, card: Any) -> None:
    session = shop.session()
    answer = shop.pay(session, card.number, cvc="1234" if card.number.startswith("3") else "123")
    if card.secure != "never":
        answer = shop.authenticate(session)
    assert answer.headers["location"].startswith("http://127.0.0.1:1/paid")
    intent = shop.v1.checkout.sessions.retrieve(session.id).payment_intent
    assert shop.v1.payment_intents.capture(intent).status == "succeeded"


def test_a_card_that_saved_fine_declines_when_charged(shop: Shop) -> None:
    method = shop.saved_card(CHARGED_ONLY)
    assert declined(shop, method).code == "card_declined"
    assert shop.v1.payment_methods.retrieve(method.id).customer == method.customer


def test_three_d_secure_off_session(shop: Shop) -> None:
    assert shop.charge_later(shop.saved_card(UNLESS_SAVED)).status == "succeeded"
    assert shop.charge_later(shop.saved_card(ON_SESSION)).status == "succeeded"
    customer = shop.v1.customers.create({"email": "alice@example.com"}).id
    attached = shop.v1.payment_methods.attach("pm_card_authenticationRequiredOnSetup", {"customer": customer})
    assert declined(shop, attached).code == "authentication_required"


def test_authentication_required_is_completed_on_a_new_page(shop: Shop) -> None:
    method = shop.saved_card(EVERY_TIME)
    refusal = declined(shop, method)
    assert refusal.error is not None
    assert (refusal.code, refusal.error.decline_code) == ("authentication_required", "authentication_required")
    assert refusal.error.payment_intent is not None
    intent = shop.v1.payment_intents.retrieve(refusal.error.payment_intent.id)
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", "authentication_required")
    assert shop.v1.payment_intents.cancel(intent.id).status == "canceled"
    session = shop.session(customer=method.customer, customer_email=None)
    shop.pay(session, EVERY_TIME)
    assert shop.authenticate(session).status_code == 303
    assert shop.v1.checkout.sessions.retrieve(session.id).status == "complete"


def test_an_intent_is_confirmed_later_and_again(shop: Shop) -> None:
    method, bad = shop.saved_card(), shop.saved_card(CHARGED_ONLY)
    intent = shop.v1.payment_intents.create({"amount": 2500, "currency": "eur", "customer": bad.customer})
    assert intent.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        shop.v1.payment_intents.confirm(intent.id)
    with pytest.raises(stripe.InvalidRequestError, match="does not have a payment method"):
        shop.v1.payment_intents.confirm(intent.id, {"payment_method": method.id})
    with pytest.raises(stripe.CardError):
        shop.v1.payment_intents.confirm(intent.id, {"payment_method": bad.id, "off_session": True})
    good = shop.v1.payment_methods.attach("pm_card_visa", {"customer": bad.customer})
    done = shop.v1.payment_intents.confirm(intent.id, {"payment_method": good.id, "off_session": True})
    assert (done.status, done.last_payment_error) == ("succeeded", None)
    with pytest.raises(stripe.InvalidRequestError, match="cannot confirm this PaymentIntent") as refusal:
        shop.v1.payment_intents.confirm(intent.id, {"payment_method": good.id})
    assert refusal.value.code == "payment_intent_unexpected_state"
    assert shop.events().count("charge.failed") == 1


def test_the_method_that_is_given_now_is_the_one_that_is_charged(shop: Shop) -> None:
    bad = shop.saved_card(CHARGED_ONLY)
    given = {"amount": 2500, "currency": "eur", "customer": bad.customer, "payment_method": bad.id}
    intent = shop.v1.payment_intents.create(given)
    assert (intent.status, intent.payment_method) == ("requires_confirmation", bad.id)
    good = shop.v1.payment_methods.attach("pm_card_visa", {"customer": bad.customer})
    assert shop.v1.payment_intents.confirm(intent.id, {"payment_method": good.id}).status == "succeeded"


def test_with_the_customer_present_the_bank_is_asked(shop: Shop) -> None:
    method = shop.saved_card(EVERY_TIME)
    intent = shop.charge_later(method, off_session=False, return_url="http://127.0.0.1:1/back")
    assert (intent.status, intent.next_action.redirect_to_url.return_url) == (
        "requires_action",
        "http://127.0.0.1:1/back",
    )
    url = intent.next_action.redirect_to_url.url
    assert "Complete authentication" in requests.get(url, timeout=20).text
    answer = requests.post(url, {"result": "complete"}, allow_redirects=False, timeout=20)
    assert answer.headers["location"] == "http://127.0.0.1:1/back"
    assert shop.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    with pytest.raises(stripe.CardError):
        shop.charge_later(method, off_session=False, error_on_requires_action=True)


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"confirm": False}, None, "off_session"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"customer": "cus_none"}, "resource_missing", "customer"),
        ({"payment_method": "pm_none"}, "resource_missing", "payment_method"),
        ({"metadata": {"simulate_decline": "colour"}}, None, "metadata[simulate_decline]"),
        ({"colour": "blue"}, "parameter_unknown", "colour"),
        ({"capture_method": "later"}, None, "capture_method"),
    ],
)
def test_wrong_charges_are_refused(shop: Shop, changes: dict[str, Any], code: str | None, param: str) -> None:
    method = shop.saved_card()
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.charge_later(method, **changes)
    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert shop.v1.payment_intents.list().data == []


def test_saved_card_needs_its_customer(shop: Shop) -> None:
    method = shop.saved_card()
    given = {"amount": 2500, "currency": "eur", "payment_method": method.id, "confirm": True}
    with pytest.raises(stripe.InvalidRequestError, match="belongs to the Customer"):
        shop.v1.payment_intents.create(given)
    once = shop.v1.payment_intents.create(given | {"payment_method": "pm_card_visa"}).payment_method
    with pytest.raises(stripe.InvalidRequestError, match="previously used"):
        shop.v1.payment_intents.create(given | {"payment_method": once})


def test_a_key_replays_the_charge_and_the_decline(shop: Shop) -> None:
    good, bad = shop.saved_card(GOOD), shop.saved_card(CHARGED_ONLY)
    first, again = (shop.charge_later(good, {"idempotency_key": "k1"}) for _ in range(2))
    assert first.id == again.id
    for _ in range(2):
        with pytest.raises(stripe.CardError) as refusal:
            shop.charge_later(bad, {"idempotency_key": "k2"})
    assert refusal.value.headers is not None
    assert refusal.value.headers["Idempotent-Replayed"] == "true"
    assert len(shop.v1.payment_intents.list().data) == len(shop.v1.charges.list().data) == 2


def test_declines_on_order_hit_whom_they_name(shop: Shop) -> None:
    alice, bob = shop.saved_card(), shop.saved_card()
    shop.control("declines", code="do_not_honor", times=2, customer=alice.customer)
    assert shop.charge_later(bob).status == "succeeded"
    for _ in range(2):
        refusal = declined(shop, alice)
        assert refusal.error is not None
        assert refusal.error.decline_code == "do_not_honor"
    assert shop.charge_later(alice).status == "succeeded"
    shop.control("declines", code="lost_card")
    session = shop.session()
    assert shop.pay(session).headers["simulator-error"] == "lost_card"
    shop.control("declines", code="lost_card", times=9)
    assert shop.control("declines", "DELETE")["declines"] == []
    assert shop.pay(session).status_code == 303


def test_lists_of_charges_are_cut_by_time_and_come_in_pages(shop: Shop) -> None:
    method = shop.saved_card()
    ids = [shop.charge_later(method).id for _ in range(3)]
    shop.control("clock", advance=1000)
    late = shop.charge_later(method)
    for what in (shop.v1.payment_intents, shop.v1.charges, shop.v1.balance_transactions):
        assert len(what.list({"created": {"gte": late.created - 5}}).data) == 1
        assert len(what.list({"created": {"lt": late.created - 5}}).data) == 3
        assert len(list(what.list({"limit": 1, "created": {"lte": late.created - 5}}).auto_paging_iter())) == 3
    found = shop.v1.payment_intents.list({"customer": method.customer, "starting_after": late.id, "limit": 2})
    assert ([intent.id for intent in found.data], found.has_more) == (ids[:0:-1], True)
