"""Capture, cancel, refund: what is allowed, and what is refused with which words."""

import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.shop import DECLINED, SECURE, Shop

DAY = 24 * 60 * 60


def test_capture_takes_all_of_it(shop: Shop) -> None:
    intent = shop.paid_intent()
    captured = shop.v1.payment_intents.capture(intent.id, {"expand": ["latest_charge.balance_transaction"]})
    assert (captured.status, captured.amount_received, captured.amount_capturable) == ("succeeded", 2500, 0)
    booked = captured.latest_charge.balance_transaction
    assert (booked.amount, booked.net, booked.type) == (2500, 2500 - booked.fee, "charge")
    assert shop.v1.checkout.sessions.list().data[0].payment_status == "paid"
    assert shop.events()[-2:] == ["charge.captured", "payment_intent.succeeded"]


def test_partial_capture_lets_the_rest_go(shop: Shop) -> None:
    intent = shop.paid_intent()
    shop.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1800})
    charge = shop.v1.charges.retrieve(intent.latest_charge)
    assert (charge.amount_captured, charge.amount_refunded, charge.refunded) == (1800, 700, False)
    assert shop.v1.refunds.create({"payment_intent": intent.id}).amount == 1800


@pytest.mark.parametrize("amount", [2501, 1_000_000])
def test_no_more_than_authorised_is_captured(shop: Shop, amount: int) -> None:
    intent = shop.paid_intent()
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.v1.payment_intents.capture(intent.id, {"amount_to_capture": amount})
    assert (refusal.value.code, refusal.value.param) == ("amount_too_large", "amount_to_capture")
    assert shop.v1.payment_intents.retrieve(intent.id).status == "requires_capture"


def test_capture_only_once(shop: Shop) -> None:
    intent = shop.paid_intent()
    shop.v1.payment_intents.capture(intent.id)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.v1.payment_intents.capture(intent.id)
    assert refusal.value.http_status == 400
    assert refusal.value.code == "payment_intent_unexpected_state"
    assert "because it has a status of succeeded" in str(refusal.value.user_message)


def test_cancel_lets_the_money_go(shop: Shop) -> None:
    intent = shop.paid_intent()
    canceled = shop.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "requested_by_customer"})
    assert (canceled.status, canceled.amount_capturable, canceled.amount_received) == ("canceled", 0, 0)
    charge = shop.v1.charges.retrieve(intent.latest_charge)
    assert (charge.captured, charge.refunded, charge.balance_transaction) == (False, True, None)
    assert shop.events()[-3:] == ["payment_intent.canceled", "charge.refunded", "refund.created"]
    for again in (shop.v1.payment_intents.cancel, shop.v1.payment_intents.capture):
        with pytest.raises(stripe.InvalidRequestError, match="status of canceled"):
            again(intent.id)


def test_captured_intent_cannot_be_cancelled(shop: Shop) -> None:
    intent = shop.paid_intent()
    shop.v1.payment_intents.capture(intent.id)
    with pytest.raises(stripe.InvalidRequestError, match="status of succeeded"):
        shop.v1.payment_intents.cancel(intent.id)


@pytest.mark.parametrize("number", [DECLINED, SECURE])
def test_intent_of_an_open_session_cannot_be_cancelled(shop: Shop, number: str) -> None:
    session = shop.session()
    shop.pay(session, number)
    intent = shop.v1.payment_intents.list().data[0]
    with pytest.raises(stripe.InvalidRequestError, match="Expire the Checkout Session") as refusal:
        shop.v1.payment_intents.cancel(intent.id)
    assert (refusal.value.http_status, refusal.value.code) == (400, "payment_intent_unexpected_state")
    with pytest.raises(stripe.InvalidRequestError, match="could not be captured"):
        shop.v1.payment_intents.capture(intent.id)


def test_authorisation_lapses_after_seven_days(shop: Shop) -> None:
    intent = shop.paid_intent()
    shop.control("clock", advance=7 * DAY - 60)
    assert shop.v1.payment_intents.retrieve(intent.id).status == "requires_capture"
    shop.control("clock", advance=61)
    lapsed = shop.v1.payment_intents.retrieve(intent.id)
    assert (lapsed.status, lapsed.cancellation_reason) == ("canceled", "automatic")
    assert "charge.expired" in shop.events()


def test_refund_in_parts_until_nothing_is_left(shop: Shop) -> None:
    intent = shop.paid_intent()
    shop.v1.payment_intents.capture(intent.id)
    first = shop.v1.refunds.create({"payment_intent": intent.id, "amount": 1000, "metadata": {"why": "half"}})
    assert (first.status, first.metadata.to_dict(), first.charge) == (
        "succeeded",
        {"why": "half"},
        intent.latest_charge,
    )
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount") as refusal:
        shop.v1.refunds.create({"payment_intent": intent.id, "amount": 1501})
    assert refusal.value.param == "amount"
    assert shop.v1.refunds.create({"charge": intent.latest_charge}).amount == 1500
    charge = shop.v1.charges.retrieve(intent.latest_charge)
    assert (charge.amount_refunded, charge.refunded, len(charge.refunds.data)) == (2500, True, 2)
    with pytest.raises(stripe.InvalidRequestError) as already:
        shop.v1.refunds.create({"payment_intent": intent.id})
    assert already.value.code == "charge_already_refunded"
    assert [refund.amount for refund in shop.v1.refunds.list({"payment_intent": intent.id}).data] == [1500, 1000]
    assert shop.events().count("charge.refunded") == shop.events().count("refund.created") == 2


def test_what_was_not_captured_is_not_refunded(shop: Shop) -> None:
    intent = shop.paid_intent()
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge to refund"):
        shop.v1.refunds.create({"payment_intent": intent.id})
    shop.v1.payment_intents.cancel(intent.id)
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge to refund"):
        shop.v1.refunds.create({"charge": intent.latest_charge})


def test_declined_charge_is_not_refunded(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, DECLINED)
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        shop.v1.refunds.create({"payment_intent": shop.v1.payment_intents.list().data[0].id})


@pytest.mark.parametrize(
    ("given", "code", "status"),
    [
        ({}, "parameter_missing", 400),
        ({"payment_intent": "pi_none"}, "resource_missing", 404),
        ({"charge": "ch_none"}, "resource_missing", 404),
        ({"charge": "ch_none", "amount": 0}, "parameter_invalid_integer", 400),
        ({"charge": "ch_none", "amount": "all"}, "parameter_invalid_integer", 400),
    ],
)
def test_wrong_refunds_are_refused(shop: Shop, given: dict[str, object], code: str, status: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.v1.refunds.create(given)
    assert (refusal.value.code, refusal.value.http_status) == (code, status)


ACTIONS = st.tuples(st.sampled_from(["capture", "refund", "refund charge", "cancel"]), st.integers(1, 3000) | st.none())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(ACTIONS, min_size=1, max_size=8))
def test_money_is_never_taken_or_given_back_twice(shop: Shop, actions: list[tuple[str, int | None]]) -> None:
    """Whatever is tried in whatever order: captured <= authorised, refunded <= captured, and the books agree."""
    intent = shop.paid_intent()
    for action, amount in actions:
        _try(shop, intent, action, amount)
        now = shop.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
        charge = now.latest_charge
        booked = shop.v1.balance_transactions.list({"limit": 100, "type": "refund"}).data
        ids = {refund.id for refund in shop.v1.refunds.list({"payment_intent": intent.id, "limit": 100}).data}
        given_back = -sum(row.amount for row in booked if row.source in ids)
        assert now.amount_received == charge.amount_captured <= now.amount
        assert given_back <= charge.amount_captured
        assert charge.amount_refunded <= charge.amount
        assert charge.refunded == (charge.amount_refunded == charge.amount)
        assert now.amount_capturable in {0, now.amount if now.status == "requires_capture" else 0}


def _try(shop: Shop, intent: stripe.PaymentIntent, action: str, amount: int | None) -> None:
    part = {} if amount is None else {"amount": amount}
    try:
        if action == "capture":
            shop.v1.payment_intents.capture(intent.id, {"amount_to_capture": amount} if amount else {})
        elif action == "cancel":
            shop.v1.payment_intents.cancel(intent.id)
        elif action == "refund":
            shop.v1.refunds.create({"payment_intent": intent.id, **part})
        else:
            shop.v1.refunds.create({"charge": intent.latest_charge, **part})
    except stripe.InvalidRequestError:
        """Refused, and nothing may have changed: the caller looks."""
