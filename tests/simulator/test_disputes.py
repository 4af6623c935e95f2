"""Disputes, inquiries and early fraud warnings: what a bank takes back, and what it only asks."""

from typing import Any

import pytest
import requests
import stripe

from simulator.radar import FRAUD_TYPES
from tests.simulator.shop import Shop

FRAUD, NOT_RECEIVED, INQUIRY = "4000000000000259", "4000000000002685", "4000000000001976"
WARNED, ELEVATED = "4000000000005423", "4000000000009235"
DAY = 24 * 60 * 60


def dispute_of(shop: Shop, charge: Any) -> Any:
    (dispute,) = shop.v1.disputes.list({"charge": charge.id}).data
    return dispute


def answer(shop: Shop, dispute: Any, words: str) -> Any:
    return shop.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": words}})


def booked(shop: Shop, dispute: Any) -> list[tuple[int, int, int]]:
    rows = shop.v1.balance_transactions.list({"source": dispute.id, "type": "adjustment"}).data
    return [(row.amount, row.fee, row.net) for row in rows]


@pytest.mark.parametrize(("number", "reason"), [(FRAUD, "fraudulent"), (NOT_RECEIVED, "product_not_received")])
def test_disputed_money_leaves_at_once(shop: Shop, number: str, reason: str) -> None:
    charge = shop.charged(number)
    dispute = dispute_of(shop, charge)
    assert (charge.disputed, dispute.status, dispute.reason) == (True, "needs_response", reason)
    assert (dispute.amount, dispute.is_charge_refundable, dispute.payment_intent) == (
        2500,
        False,
        charge.payment_intent,
    )
    assert booked(shop, dispute) == [(-2500, 1500, -4000)]
    assert [row.reporting_category for row in dispute.balance_transactions] == ["dispute"]
    assert shop.events()[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    with pytest.raises(stripe.InvalidRequestError, match="has been charged back") as refusal:
        shop.v1.refunds.create({"charge": charge.id})
    assert (refusal.value.http_status, refusal.value.code) == (400, "charge_disputed")


def test_only_captured_money_is_disputed(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, FRAUD)
    assert shop.v1.disputes.list().data == []
    intent = shop.v1.checkout.sessions.retrieve(session.id).payment_intent
    shop.v1.payment_intents.capture(intent, {"amount_to_capture": 2000})
    assert [dispute.amount for dispute in shop.v1.disputes.list({"payment_intent": intent}).data] == [2000]


def test_won_dispute_brings_money_and_fee_back(shop: Shop) -> None:
    charge = shop.charged(FRAUD)
    won = answer(shop, dispute_of(shop, charge), "winning_evidence")
    assert (won.status, won.evidence_details.submission_count, won.evidence_details.has_evidence) == ("won", 1, True)
    assert booked(shop, won) == [(2500, -1500, 4000), (-2500, 1500, -4000)]
    assert [row.reporting_category for row in won.balance_transactions] == ["dispute", "dispute_reversal"]
    assert shop.events()[-3:] == [
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    ]
    assert shop.v1.refunds.create({"charge": charge.id}).status == "succeeded"


def test_lost_dispute_stays_lost(shop: Shop) -> None:
    charge = shop.charged(FRAUD)
    lost = answer(shop, dispute_of(shop, charge), "losing_evidence")
    assert (lost.status, booked(shop, lost)) == ("lost", [(-2500, 1500, -4000)])
    assert shop.events()[-1] == "charge.dispute.closed"
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        shop.v1.disputes.close(lost.id)
    with pytest.raises(stripe.InvalidRequestError, match="takes no evidence"):
        answer(shop, lost, "winning_evidence")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.v1.refunds.create({"charge": charge.id})
    assert refusal.value.code == "charge_disputed"


def test_evidence_is_kept_back_until_it_is_handed_in(shop: Shop) -> None:
    dispute = dispute_of(shop, shop.charged(FRAUD))
    staged = shop.v1.disputes.update(
        dispute.id, {"evidence": {"customer_name": "Alice"}, "submit": False, "metadata": {"a": "1"}}
    )
    assert (staged.status, staged.evidence.customer_name, staged.metadata.to_dict()) == (
        "needs_response",
        "Alice",
        {"a": "1"},
    )
    assert (staged.evidence_details.has_evidence, staged.evidence_details.submission_count) == (True, 0)
    assert answer(shop, dispute, "She played.").status == "under_review"
    shop.control("clock", advance=60 * DAY)
    assert shop.v1.disputes.retrieve(dispute.id).status == "under_review"
    shop.control("disputes", dispute=dispute.id, status="won")
    assert shop.v1.disputes.retrieve(dispute.id).status == "won"


def test_giving_in_and_saying_nothing_lose(shop: Shop) -> None:
    assert shop.v1.disputes.close(dispute_of(shop, shop.charged(FRAUD)).id).status == "lost"
    silent = dispute_of(shop, shop.charged(FRAUD))
    shop.control("clock", advance=silent.evidence_details.due_by - silent.created + 1)
    lost = shop.v1.disputes.retrieve(silent.id)
    assert (lost.status, lost.evidence_details.past_due) == ("lost", True)


def test_inquiry_moves_no_money_and_ends_with_a_refund(shop: Shop) -> None:
    charge = shop.charged(INQUIRY)
    inquiry = dispute_of(shop, charge)
    assert (inquiry.status, inquiry.is_charge_refundable, booked(shop, inquiry)) == ("warning_needs_response", True, [])
    assert inquiry.payment_method_details.card.case_type == "inquiry"
    shop.v1.refunds.create({"charge": charge.id, "amount": 1000})
    assert shop.v1.disputes.retrieve(inquiry.id).status == "warning_needs_response"
    shop.v1.refunds.create({"charge": charge.id})
    assert (shop.v1.disputes.retrieve(inquiry.id).status, booked(shop, inquiry)) == ("warning_closed", [])


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("winning_evidence", "warning_closed"),
        ("She played.", "warning_under_review"),
        ("escalate_inquiry_evidence", "needs_response"),
    ],
)
def test_inquiry_is_answered(shop: Shop, words: str, status: str) -> None:
    charge = shop.charged(INQUIRY)
    shop.v1.refunds.create({"charge": charge.id, "amount": 1000})
    answered = answer(shop, dispute_of(shop, charge), words)
    assert answered.status == status
    escalated = status == "needs_response"
    assert booked(shop, answered) == ([(-1500, 1500, -3000)] if escalated else [])
    assert answered.is_charge_refundable is not escalated


def test_inquiry_is_forgotten_in_time(shop: Shop) -> None:
    inquiry = dispute_of(shop, shop.charged(INQUIRY))
    shop.control("clock", advance=121 * DAY)
    assert shop.v1.disputes.retrieve(inquiry.id).status == "warning_closed"


def test_any_charge_can_be_disputed_on_order(shop: Shop) -> None:
    charge = shop.charged("4242424242424242")
    shop.v1.refunds.create({"charge": charge.id, "amount": 500})
    shop.control("disputes", payment_intent=charge.payment_intent, reason="duplicate", amount=1200)
    dispute = dispute_of(shop, charge)
    assert (dispute.reason, dispute.amount) == ("duplicate", 1200)
    shop.control("disputes", dispute=dispute.id, status="prevented")
    assert shop.v1.disputes.retrieve(dispute.id).status == "prevented"
    assert sum(net for _, _, net in booked(shop, dispute)) == 0
    shop.control("disputes", charge=charge.id, inquiry=True)
    assert [one.status for one in shop.v1.disputes.list().data] == ["warning_needs_response", "prevented"]


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("disputes", {"charge": "ch_none"}),
        ("disputes", {"colour": "blue"}),
        ("disputes", {}),
        ("disputes", {"amount": 2501}),
        ("disputes", {"amount": 0}),
        ("fraud_warnings", {"fraud_type": "bad luck"}),
        ("refunds", {"refund": "re_none", "status": "failed"}),
        ("declines", {"code": "colour"}),
    ],
)
def test_wrong_orders_are_refused(shop: Shop, what: str, wrong: dict[str, Any]) -> None:
    charge = shop.charged("4242424242424242")
    given = {"charge": charge.id} | wrong if "amount" in wrong or "fraud_type" in wrong else wrong
    refusal = requests.post(f"{shop.address}/_control/{what}", json=given, timeout=20)
    assert refusal.status_code == 400
    assert shop.v1.disputes.list().data == []


def test_a_dispute_does_not_go_backwards(shop: Shop) -> None:
    dispute = dispute_of(shop, shop.charged(FRAUD))
    shop.control("disputes", dispute=dispute.id, status="lost")
    for status in ("won", "needs_response", "under_review"):
        given = {"dispute": dispute.id, "status": status}
        assert requests.post(f"{shop.address}/_control/disputes", json=given, timeout=20).status_code == 400
    assert shop.v1.disputes.retrieve(dispute.id).status == "lost"


def test_disputes_are_listed_by_time_and_in_pages(shop: Shop) -> None:
    first = dispute_of(shop, shop.charged(FRAUD))
    shop.control("clock", advance=100)
    second = dispute_of(shop, shop.charged(FRAUD))
    assert [one.id for one in shop.v1.disputes.list({"limit": 1}).auto_paging_iter()] == [second.id, first.id]
    assert [one.id for one in shop.v1.disputes.list({"created": {"lt": second.created}}).data] == [first.id]


def test_disputes_of_a_connected_account_are_its_own(shop: Shop) -> None:
    theirs = {"stripe_account": "acct_1ConnectedOrganiser"}
    given = {"amount": 2500, "currency": "eur", "payment_method": "pm_card_createDispute", "confirm": True}
    charge = shop.v1.payment_intents.create(given, theirs).latest_charge
    assert shop.v1.disputes.list().data == []
    (dispute,) = shop.v1.disputes.list({"charge": charge}, theirs).data
    shop.control("disputes", dispute=dispute.id, status="won")
    assert len(shop.v1.balance_transactions.list({"source": dispute.id}, theirs).data) == 2
    assert shop.v1.events.list(options=theirs).data[0].account == "acct_1ConnectedOrganiser"


# Radar


def test_risk_is_on_the_charge(shop: Shop) -> None:
    normal, elevated = shop.charged("4242424242424242").outcome, shop.charged(ELEVATED).outcome
    assert (normal.risk_level, normal.type, elevated.risk_level, elevated.type) == (
        "normal",
        "authorized",
        "elevated",
        "authorized",
    )
    assert normal.risk_score < elevated.risk_score


def test_without_radar_for_fraud_teams_there_is_a_level_and_no_score(shop: Shop) -> None:
    shop.control("radar", scores=False)
    outcome = shop.charged(ELEVATED).outcome
    assert (outcome.risk_level, "risk_score" in outcome) == ("elevated", False)
    shop.control("radar", scores=True)
    assert shop.charged(ELEVATED).outcome.risk_score == 71


@pytest.mark.parametrize("number", ["4100000000000019", "4000000000004954"])
def test_highest_risk_is_blocked(shop: Shop, number: str) -> None:
    with pytest.raises(stripe.CardError) as refusal:
        shop.charged(number)
    assert refusal.value.error is not None
    assert (refusal.value.code, refusal.value.error.decline_code) == ("card_declined", "fraudulent")
    outcome = shop.v1.charges.list().data[0].outcome
    assert (outcome.type, outcome.risk_level, outcome.network_status, outcome.reason) == (
        "blocked",
        "highest",
        "not_sent_to_network",
        "highest_risk_level",
    )


def test_warning_comes_with_the_capture_and_ends_with_a_refund(shop: Shop) -> None:
    charge = shop.charged(WARNED)
    (warning,) = shop.v1.radar.early_fraud_warnings.list({"charge": charge.id, "expand": ["data.charge"]}).data
    assert (warning.actionable, warning.fraud_type, warning.payment_intent) == (
        True,
        "made_with_stolen_card",
        charge.payment_intent,
    )
    assert shop.events()[-1] == "radar.early_fraud_warning.created"
    shop.v1.refunds.create({"charge": charge.id, "reason": "fraudulent"})
    assert shop.v1.radar.early_fraud_warnings.retrieve(warning.id).actionable is False
    assert shop.events()[-1] == "radar.early_fraud_warning.updated"


@pytest.mark.parametrize("fraud_type", FRAUD_TYPES)
def test_any_charge_can_be_warned_of(shop: Shop, fraud_type: str) -> None:
    charge = shop.charged("4242424242424242")
    shop.control("fraud_warnings", charge=charge.id, fraud_type=fraud_type)
    (warning,) = shop.v1.radar.early_fraud_warnings.list({"payment_intent": charge.payment_intent}).data
    assert warning.fraud_type == fraud_type
    shop.control("disputes", charge=charge.id)
    assert shop.v1.radar.early_fraud_warnings.retrieve(warning.id).actionable is False
