"""A cardholder's bank disputes a charge: refunds wait, the right people hear of it once, and nothing goes back twice."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from post_office.models import Email

from payments import services
from payments.gateway import Gateway, StripeDispute
from payments.models import DeadLetter, Dispute, Payment, Refund
from payments.rules import RefundState, State
from payments.services.disputing import record_dispute
from registrations.rules import State as Entry
from reports.invariants import violations
from reports.queries import timeline
from tests.builders import make_organizer, make_staff
from tests.payments.rows import make_payment, make_refund
from tests.payments.till import (
    Till,
    account_of,
    check_against_stripe,
    check_money,
    make_offer,
    make_paid_tournament,
    run_due,
)

pytestmark = pytest.mark.django_db(transaction=True)


def dispute(till: Till, payment: Payment, **given: Any) -> Dispute:
    """The bank disputes a payment, and the webhook says so."""
    till.shop.control("disputes", payment_intent=till.intent(payment).id, **given)
    till.deliver()
    return Dispute.objects.get(payment=payment)


def decide(till: Till, found: Dispute, status: str) -> None:
    till.shop.control("disputes", dispute=found.stripe_id, status=status)
    till.deliver()
    found.refresh_from_db()


def give_back(payment: Payment) -> None:
    services.cancel_and_refund(account=account_of(payment.entry), public_id=payment.entry.public_id)


def holds(till: Till) -> None:
    check_money()
    check_against_stripe(till)
    assert [sentence for sentence in violations() if sentence.split(":")[0] in ("I4", "I5", "I6")] == []


def test_a_dispute_is_kept_and_told_once_to_organizer_and_staff(till: Till) -> None:
    staff = make_staff()
    payment = till.captured(make_offer())
    found = dispute(till, payment)
    till.deliver()
    assert (found.status, found.amount_minor, found.reason) == ("needs_response", 2500, "fraudulent")
    assert found.evidence_due_at is not None
    mails = Email.objects.filter(subject__contains="disputed")
    assert sorted(address for mail in mails for address in mail.to) == sorted(["desk@organizers.example", staff.email])
    assert "Answer with evidence" in mails[0].message
    holds(till)


def test_a_disputed_card_of_the_simulator_is_found_by_its_intent(till: Till) -> None:
    entry = make_offer()
    payment = till.start(entry)
    till.pay(payment, "4000000000000259")
    services.settle_payment(payment_id=payment.pk)
    services.capture_payment(payment_id=payment.pk)
    till.deliver()
    assert Dispute.objects.get().payment == payment
    holds(till)


def test_a_dispute_of_somebody_elses_charge_is_left_alone(till: Till) -> None:
    intent = till.shop.paid_intent()
    till.shop.v1.payment_intents.capture(intent.id)
    till.shop.control("disputes", payment_intent=intent.id)
    till.deliver()
    assert not Dispute.objects.exists()


def test_a_dispute_of_a_charge_without_an_intent_is_nobodys(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    till.start(make_offer())  # whose intent is not known yet
    real = Gateway.retrieve_dispute

    def without_intent(gateway: Gateway, dispute_id: str) -> StripeDispute:
        return replace(real(gateway, dispute_id), intent="")

    monkeypatch.setattr(Gateway, "retrieve_dispute", without_intent)
    intent = till.shop.paid_intent()
    till.shop.v1.payment_intents.capture(intent.id)
    till.shop.control("disputes", payment_intent=intent.id)
    (made,) = till.shop.v1.disputes.list().data
    record_dispute(stripe_id=made.id)
    assert not Dispute.objects.exists()


@pytest.mark.parametrize("inquiry", [False, True])
def test_while_it_is_open_a_player_gets_the_seat_off_and_the_refund_waits(till: Till, inquiry: bool) -> None:
    payment = till.captured(make_offer())
    found = dispute(till, payment, inquiry=inquiry)
    give_back(payment)
    run_due()
    payment.entry.refresh_from_db()
    refund = payment.refunds.get()
    assert (payment.entry.state, refund.state) == (Entry.CANCELLED, RefundState.DUE)
    assert till.shop.v1.refunds.list().data == []
    holds(till)
    decide(till, found, "warning_closed" if inquiry else "won")
    refund.refresh_from_db()
    assert refund.due_at is not None
    assert found.ended_at is not None
    assert refund.due_at <= found.ended_at or refund.attempts > 0
    run_due()
    refund.refresh_from_db()
    assert refund.state == RefundState.SUCCEEDED
    holds(till)


def test_what_a_lost_dispute_took_is_not_refunded_and_not_owed(till: Till) -> None:
    payment = till.captured(make_offer())
    found = dispute(till, payment)
    give_back(payment)
    decide(till, found, "lost")
    run_due()
    refund = payment.refunds.get()
    assert (refund.state, refund.failure_code) == (RefundState.FAILED, "disputed")
    with pytest.raises(services.NothingToRefundError):
        services.retry_refund(refund_id=refund.pk, by=make_staff(), reason="once more")
    assert not Email.objects.filter(subject__contains="refund").exists()
    holds(till)


def test_a_lost_part_leaves_the_rest_to_be_refunded(till: Till) -> None:
    payment = till.captured(make_offer(make_paid_tournament(refund_kept_percent=20)))
    found = dispute(till, payment, amount=1200)
    give_back(payment)
    assert payment.refunds.get().amount_minor == 2000
    decide(till, found, "lost")
    run_due()
    # Stripe refunds nothing of a charge that was charged back: the rest has to reach the player another way.
    refunds = set(payment.refunds.values_list("amount_minor", "state", "failure_code"))
    assert refunds == {(2000, RefundState.FAILED, "disputed"), (800, RefundState.FAILED, "charge_disputed")}
    assert Email.objects.filter(subject__contains="A refund of €8.00 failed").count() == 1
    Payment.objects.update(released_at=Now() - timedelta(hours=1))
    Dispute.objects.update(ended_at=Now() - timedelta(hours=1))
    assert [found.split(":")[0] for found in violations()] == ["I4"]

    staff, rest = make_staff(), payment.refunds.get(amount_minor=800)
    assert services.settle_another_way(refund_id=rest.pk, by=staff, reason="In cash, on 3 March.") == 800
    letter = DeadLetter.objects.get(reference=f"refund {rest.pk}")
    assert (letter.state, letter.decided_by, letter.reason) == ("DISMISSED", staff, "In cash, on 3 March.")
    assert violations() == []
    for refused in (services.settle_another_way, services.retry_refund):
        with pytest.raises(services.NothingToRefundError):
            refused(refund_id=rest.pk, by=staff, reason="again")


def test_a_refund_that_stripe_refuses_for_an_unknown_dispute_waits_for_its_end(till: Till) -> None:
    payment = till.captured(make_offer())
    till.shop.control("disputes", payment_intent=payment.intent)  # and its event is lost
    give_back(payment)
    run_due()
    assert payment.refunds.get().state == RefundState.DUE
    found = payment.disputes.get()
    decide(till, found, "won")
    run_due()
    assert payment.refunds.get().state == RefundState.SUCCEEDED
    holds(till)


def test_events_in_any_order_and_twice_leave_what_stripe_says(till: Till) -> None:
    payment = till.captured(make_offer())
    till.shop.control("disputes", payment_intent=payment.intent)
    (found,) = till.shop.v1.disputes.list().data
    till.shop.control("disputes", dispute=found.id, status="won")
    for event in till.shop.v1.events.list({"limit": 100}).data:  # newest first
        services.receive_event(event.to_dict())
    run_due()
    assert payment.disputes.get().status == "won"
    holds(till)


def test_staff_decide_no_refund_while_a_dispute_is_open(till: Till) -> None:
    payment = till.captured(make_offer())
    dispute(till, payment)
    staff = make_staff()
    with pytest.raises(services.DisputedError):
        services.refund_part(payment_id=payment.pk, amount_minor=100, by=staff, reason="late start")
    with pytest.raises(services.DisputedError):
        services.take_seat_back(payment_id=payment.pk, amount_minor=100, by=staff, reason="rules")
    assert not payment.refunds.exists()


def test_the_timeline_tells_of_it(till: Till) -> None:
    payment = till.captured(make_offer())
    decide(till, dispute(till, payment), "lost")
    told = [moment.text for moment in timeline(payment.entry)]
    assert "The bank disputes €25.00 and took it back; refunds wait." in told
    assert "The dispute is lost: the bank keeps €25.00." in told


def test_the_cancel_page_says_that_the_refund_waits(till: Till, client: Client) -> None:
    payment = till.captured(make_offer())
    client.force_login(account_of(payment.entry))
    there = reverse("cancel", args=[payment.entry.public_id])
    assert "a refund waits" not in client.get(there).content.decode()
    dispute(till, payment)
    assert "a refund waits" in client.get(there).content.decode()


def test_frozen_money_is_said_in_the_admin_to_its_organizer_alone(till: Till, client: Client) -> None:
    payment = till.captured(make_offer())
    found = dispute(till, payment)
    give_back(payment)
    there = reverse("admin:payments_dispute_change", args=[found.pk])
    client.force_login(make_organizer(payment.entry.tournament.organization))
    assert found.stripe_id in client.get(there).content.decode()
    assert found.stripe_id in client.get(reverse("admin:payments_payment_change", args=[payment.pk])).content.decode()
    assert "waits for a dispute" in client.get(reverse("admin:payments_refund_changelist")).content.decode()
    client.force_login(make_organizer(make_paid_tournament().organization))
    assert client.get(there).status_code in (302, 404)
    assert found.stripe_id not in client.get(reverse("admin:payments_dispute_changelist")).content.decode()


def test_the_lists_of_disputes_and_refunds_cost_the_same_for_many(
    till: Till, client: Client, django_assert_num_queries: Any
) -> None:
    client.force_login(make_staff())
    for number in range(4):
        payment = make_payment(State.CAPTURED)
        make_refund(payment)
        Dispute.objects.create(
            payment=payment,
            stripe_id=f"du_{number}",
            amount_minor=2500,
            currency="eur",
            reason="fraudulent",
            status="needs_response",
            opened_at=payment.created_at,
        )
    assert Refund.objects.count() == 4
    for name in ("dispute", "refund"):
        there = reverse(f"admin:payments_{name}_changelist")
        client.get(there)
        with django_assert_num_queries(QUERIES[name]):
            client.get(there)


QUERIES = {"dispute": 4, "refund": 3}
