"""Refunds that take their time or come back, and the books, which agree to the cent whatever happens."""

from typing import Any

import pytest
import requests
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.shop import GOOD, Shop

PENDING, FAILING = "4000000000007726", "4000000000005126"


def test_pending_refund_succeeds_after_a_while(shop: Shop) -> None:
    charge = shop.charged(PENDING)
    refund = shop.v1.refunds.create({"charge": charge.id, "amount": 1000})
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    assert shop.v1.charges.retrieve(charge.id).amount_refunded == 1000
    assert shop.events()[-2:] == ["charge.refunded", "refund.created"]
    shop.control("clock", advance=61)
    assert shop.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert shop.events()[-2:] == ["refund.updated", "charge.refund.updated"]


def test_failing_refund_looks_good_first_and_comes_back(shop: Shop) -> None:
    charge = shop.charged(FAILING)
    refund = shop.v1.refunds.create({"charge": charge.id})
    assert (refund.status, shop.v1.charges.retrieve(charge.id).refunded) == ("succeeded", True)
    shop.control("clock", advance=61)
    failed = shop.v1.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]})
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    back = failed.failure_balance_transaction
    assert (back.type, back.amount, back.fee, back.net) == ("refund_failure", 2500, 0, 2500)
    charge = shop.v1.charges.retrieve(charge.id)
    assert (charge.refunded, charge.amount_refunded) == (False, 0)
    assert shop.events()[-3:] == ["refund.failed", "refund.updated", "charge.refund.updated"]
    assert shop.v1.refunds.create({"charge": charge.id}).amount == 2500


def test_refunds_behave_as_their_metadata_or_an_order_says(shop: Shop) -> None:
    charge = shop.charged(GOOD)
    waits = shop.v1.refunds.create({"charge": charge.id, "amount": 100, "metadata": {"simulate_refund": "pending"}})
    shop.control("refunds", refund=waits.id, status="failed", failure_reason="lost_or_stolen_card")
    assert shop.v1.refunds.retrieve(waits.id).failure_reason == "lost_or_stolen_card"
    done = shop.v1.refunds.create({"charge": charge.id, "amount": 100})
    shop.control("refunds", refund=done.id, status="failed")
    assert shop.v1.charges.retrieve(charge.id).amount_refunded == 0
    again = requests.post(
        f"{shop.address}/_control/refunds", json={"refund": done.id, "status": "succeeded"}, timeout=20
    )
    assert again.status_code == 400
    assert shop.v1.refunds.update(done.id, {"metadata": {"a": "1"}}).metadata.to_dict() == {"a": "1"}
    with pytest.raises(stripe.InvalidRequestError, match="A refund is one of"):
        shop.v1.refunds.create({"charge": charge.id, "metadata": {"simulate_refund": "maybe"}})


def test_money_becomes_available_after_two_days(shop: Shop) -> None:
    charge = shop.charged(GOOD)
    assert shop.v1.balance_transactions.retrieve(charge.balance_transaction).status == "pending"
    shop.control("clock", advance=2 * 24 * 60 * 60)
    assert shop.v1.balance_transactions.retrieve(charge.balance_transaction).status == "available"


def test_book_entries_are_found_by_type_source_and_time(shop: Shop) -> None:
    charge = shop.charged(GOOD)
    refund = shop.v1.refunds.create({"charge": charge.id, "amount": 1000})
    found = shop.v1.balance_transactions.list
    assert [row.source for row in found({"type": "charge"}).data] == [charge.id]
    assert [row.amount for row in found({"source": refund.id}).data] == [-1000]
    assert len(found({"created": {"gte": refund.created}}).data) >= 1
    assert found({"created": {"gt": refund.created + 5}}).data == []
    assert len(list(found({"limit": 1}).auto_paging_iter())) == 2


STEPS = st.one_of(
    st.tuples(st.just("charge"), st.sampled_from([100, 999, 2500, 10_001])),
    st.tuples(st.just("refund"), st.integers(1, 3000)),
    st.tuples(st.sampled_from(["fail refund", "inquire"]), st.integers(0, 5)),
    st.tuples(st.just("dispute"), st.integers(1, 3000)),
    st.tuples(st.sampled_from(["won", "lost", "prevented", "needs_response", "warning_closed"]), st.integers(0, 5)),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=3, max_size=14))
def test_books_agree_with_charges_refunds_and_disputes(shop: Shop, steps: list[tuple[str, int]]) -> None:
    """Whatever people and banks do in whatever order, the sum of the books is the sum of what the objects say."""
    shop.control("reset")
    charges = [_charge(shop, 2500)]
    for step, number in steps:
        if step == "charge":
            charges.append(_charge(shop, number))
        else:
            _try(shop, charges[number % len(charges)], step, number)
        _check(shop)


def _charge(shop: Shop, amount: int) -> str:
    given = {"amount": amount, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    return str(shop.v1.payment_intents.create(given).latest_charge)


def _try(shop: Shop, charge: str, step: str, number: int) -> None:
    """Some steps can't be done now; then they must change nothing, and the caller looks."""
    if step == "refund":
        try:
            shop.v1.refunds.create({"charge": charge, "amount": number})
        except stripe.InvalidRequestError:
            return
    orders: dict[str, tuple[str, dict[str, Any]]] = {
        "dispute": ("disputes", {"charge": charge, "amount": number}),
        "inquire": ("disputes", {"charge": charge, "inquiry": True}),
        "fail refund": ("refunds", {"refund": _any(shop.v1.refunds, number), "status": "failed"}),
    }
    what, given = orders.get(step, ("disputes", {"dispute": _any(shop.v1.disputes, number), "status": step}))
    answer = requests.post(f"{shop.address}/_control/{what}", json=given, timeout=20)
    assert answer.status_code in {200, 400}, answer.text


def _any(objects: Any, number: int) -> str:
    found = objects.list({"limit": 100}).data
    return str(found[number % len(found)].id) if found else "none"


def _check(shop: Shop) -> None:
    rows = shop.v1.balance_transactions.list({"limit": 100}).data
    assert all(
        row.net == row.amount - row.fee == row.amount - sum(part.amount for part in row.fee_details) for row in rows
    )
    charges = shop.v1.charges.list({"limit": 100}).data
    disputes = shop.v1.disputes.list({"limit": 100}).data
    gone = [one for one in disputes if one.status in {"needs_response", "under_review", "lost"}]
    captured = sum(charge.amount_captured for charge in charges)
    refunded = sum(charge.amount_refunded for charge in charges)
    assert sum(row.amount for row in rows) == captured - refunded - sum(one.amount for one in gone)
    assert sum(row.fee for row in rows if row.type == "adjustment") == 1500 * len(gone)
    refunds = shop.v1.refunds.list({"limit": 100}).data
    for charge in charges:
        back = sum(refund.amount for refund in refunds if refund.charge == charge.id and refund.status != "failed")
        taken = sum(one.amount for one in gone if one.charge == charge.id)
        assert charge.amount_refunded == back
        assert 0 <= back + taken <= charge.amount_captured
