"""The answers look like Stripe's. `CheckedClient` looks at every answer of every other test too."""

import copy
import json
from typing import Any

import pytest
import requests

from tests.simulator.contract import problems
from tests.simulator.shop import DECLINED, SECURE, Shop


def test_every_object_agrees_with_example_and_annotations(shop: Shop) -> None:
    """Each object in each state, with all its relations shown."""
    shop.v1.customers.create({"email": "alice@example.com", "name": "Alice", "metadata": {"player": "1"}})
    customer = shop.v1.customers.list().data[0]
    session = shop.session(customer=customer.id, customer_email=None)
    for number in (DECLINED, SECURE):
        shop.pay(session, number)
        shop.v1.payment_intents.list({"expand": ["data.latest_charge", "data.customer"]})
    shop.authenticate(session)
    expand = ["payment_intent.latest_charge", "payment_intent.payment_method", "line_items.data.discounts", "customer"]
    shop.v1.checkout.sessions.retrieve(session.id, {"expand": [*expand, "total_details.breakdown"]})
    shop.v1.checkout.sessions.line_items.list(session.id)
    intent = shop.v1.checkout.sessions.retrieve(session.id).payment_intent
    shop.v1.payment_intents.capture(intent, {"amount_to_capture": 2000})
    shop.v1.refunds.create({"payment_intent": intent, "amount": 500, "reason": "requested_by_customer"})
    shop.v1.refunds.list({"expand": ["data.charge.balance_transaction", "data.payment_intent"]})
    shop.v1.balance_transactions.list({"expand": ["data.source"]})
    shop.v1.customers.retrieve(customer.id, {"expand": ["default_source", "sources", "tax_ids"]})
    shop.v1.accounts.retrieve_current()
    shop.v1.accounts.retrieve("acct_1ConnectedOrganiser")
    assert {event.data.object["object"] for event in shop.v1.events.list({"limit": 100}).data} == {
        "customer",
        "payment_intent",
        "charge",
        "refund",
        "checkout.session",
    }


def test_saved_cards_and_what_banks_do_agree_too(shop: Shop) -> None:
    """Charges that are declined, disputed and warned of, each in its states and with all its relations shown."""
    method = shop.saved_card()
    shop.v1.setup_intents.list({"customer": method.customer, "expand": ["data.customer", "data.payment_method"]})
    shop.v1.payment_methods.list({"customer": method.customer, "expand": ["data.customer"]})
    failed = shop.saving_session()
    shop.pay(failed, DECLINED)
    shop.v1.setup_intents.retrieve(failed.setup_intent)
    for number in ("4000000000000259", "4000000000001976", "4000000000005423", "4000000000005126"):
        charge = shop.charged(number)
        if not charge.disputed:
            shop.v1.refunds.create({"charge": charge.id})
    for dispute in shop.v1.disputes.list({"expand": ["data.charge", "data.payment_intent"]}).data:
        shop.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}})
    shop.control("clock", advance=61)
    shop.v1.refunds.list({"expand": ["data.failure_balance_transaction", "data.balance_transaction"]})
    shop.v1.radar.early_fraud_warnings.list({"expand": ["data.charge", "data.payment_intent"]})
    shop.v1.balance_transactions.list({"limit": 100, "expand": ["data.source"]})
    seen = {event.data.object["object"] for event in shop.v1.events.list({"limit": 100}).data}
    assert seen >= {"dispute", "payment_method", "radar.early_fraud_warning", "refund", "setup_intent"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": "finished"}, "'finished' is not"),
        ({"amount": "2500"}, "'2500' is not"),
        ({"amount": None}, "None is not"),
        ({"colour": "blue"}, "unknown to PaymentIntent"),
        ({"presentment_details": None}, "not in the example"),
        ({"currency": ...}, "missing"),
        ({"review": ...}, "missing, the example has it"),
        ({"amount_details": {"tip": [1]}}, "array, the example has object"),
        ({"latest_charge": {"object": "charge", "id": "ch_1"}}, "missing"),
    ],
)
def test_the_check_itself_sees_what_is_wrong(shop: Shop, change: dict[str, Any], complaint: str) -> None:
    """A check that never complains would prove nothing."""
    intent = shop.paid_intent()
    answer = json.loads(shop.v1.payment_intents.retrieve(intent.id).last_response.body)
    assert problems(answer) == []
    broken = {name: value for name, value in (copy.deepcopy(answer) | change).items() if value is not ...}
    assert complaint in "\n".join(problems(broken))


@pytest.mark.parametrize("key", ["", "sk_test_short", "pk_test_" + "a" * 24, "sk_live_" + "a" * 24])
def test_only_secret_test_keys_open(shop: Shop, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = requests.get(f"{shop.address}/v1/account", headers=headers, timeout=20)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_unknown_addresses_are_refused(shop: Shop) -> None:
    headers = {"Authorization": "Bearer sk_test_" + "a" * 24}
    answer = requests.post(f"{shop.address}/v1/invoices", headers=headers, timeout=20)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "Unrecognized request URL (POST: /v1/invoices)."


def test_what_cannot_be_expanded_is_refused(shop: Shop) -> None:
    session = shop.session()
    with pytest.raises(Exception, match="cannot be expanded"):
        shop.v1.checkout.sessions.retrieve(session.id, {"expand": ["colour"]})


def test_lists_come_in_pages_newest_first(shop: Shop) -> None:
    ids = [shop.v1.customers.create({"email": f"player{number}@example.com"}).id for number in range(7)][::-1]
    first = shop.v1.customers.list({"limit": 3})
    assert ([customer.id for customer in first.data], first.has_more) == (ids[:3], True)
    second = shop.v1.customers.list({"limit": 3, "starting_after": ids[2]})
    assert ([customer.id for customer in second.data], second.has_more) == (ids[3:6], True)
    back = shop.v1.customers.list({"limit": 2, "ending_before": ids[3]})
    assert ([customer.id for customer in back.data], back.has_more) == (ids[1:3], True)
    assert [customer.id for customer in shop.v1.customers.list().auto_paging_iter()] == ids
    assert [customer.id for customer in shop.v1.customers.list({"email": "player0@example.com"}).data] == ids[-1:]
    assert shop.v1.customers.list({"created": {"gt": first.data[0].created + 10}}).data == []


def test_every_list_is_cut_by_time_and_comes_in_pages(shop: Shop) -> None:
    for late in (False, True):
        if late:
            shop.control("clock", advance=1000)
        charge = shop.charged("4000000000000259")
        shop.control("disputes", dispute=shop.v1.disputes.list({"charge": charge.id}).data[0].id, status="won")
        shop.v1.refunds.create({"charge": charge.id})
        shop.control("fraud_warnings", charge=charge.id)
    v1, border = shop.v1, charge.created - 500
    lists = [v1.checkout.sessions, v1.setup_intents, v1.payment_intents, v1.charges, v1.refunds, v1.disputes]
    for what in (*lists, v1.radar.early_fraud_warnings, v1.balance_transactions, v1.customers, v1.events):
        whole = [one.id for one in what.list({"limit": 1}).auto_paging_iter()]
        after = [one.id for one in what.list({"limit": 100, "created": {"gt": border}}).data]
        before = [one.id for one in what.list({"limit": 100, "created": {"lte": border}}).data]
        assert after + before == whole
        assert len(after) == len(before) >= 1


def test_objects_of_a_connected_account_are_its_own(shop: Shop) -> None:
    theirs = {"stripe_account": "acct_1ConnectedOrganiser"}
    customer = shop.v1.customers.create({"email": "alice@example.com"}, theirs)
    assert shop.v1.customers.retrieve(customer.id, options=theirs).id == customer.id
    with pytest.raises(Exception, match="No such customer"):
        shop.v1.customers.retrieve(customer.id)
    own = {"stripe_account": shop.v1.accounts.retrieve_current().id}
    assert shop.v1.customers.list(options=own).data == []
    assert shop.v1.events.list(options=theirs).data[0].account == "acct_1ConnectedOrganiser"


def test_customers_can_be_changed_and_deleted(shop: Shop) -> None:
    customer = shop.v1.customers.create({"email": "alice@example.com", "metadata": {"a": "1", "b": "2"}})
    changed = shop.v1.customers.update(customer.id, {"name": "Alice", "metadata": {"a": "", "c": "3"}})
    assert (changed.name, changed.email, changed.metadata.to_dict()) == (
        "Alice",
        "alice@example.com",
        {"b": "2", "c": "3"},
    )
    assert shop.v1.customers.delete(customer.id).deleted
    assert shop.events() == ["customer.created", "customer.updated", "customer.deleted"]
