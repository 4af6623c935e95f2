"""Stripe compared with our rows, both ways: each kind of difference is made behind the site's back, and found."""

import pytest

from payments import services
from payments.models import Discrepancy, Dispute, LedgerLine, Payment, Reconciliation, Refund
from payments.services import reconciling
from registrations.rules import State
from tests.builders import make_staff, now
from tests.payments.comparisons import HOUR, cancelled, listed, reconcile, state
from tests.payments.rows import make_payment
from tests.payments.till import (
    Till,
    account_of,
    check_against_stripe,
    check_money,
    let_hold_run_out,
    make_offer,
    run_due,
    told,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_where_both_agree_nothing_is_found_and_the_books_are_written(till: Till) -> None:
    payment = till.captured(make_offer())
    services.refund_payment(refund_id=cancelled(payment).pk)
    till.authorised(make_offer())
    till.start(make_offer())

    run = reconcile()

    assert (run.seen, run.repaired, run.found, listed()) == (8, 0, 0, [])
    lines = sorted(LedgerLine.objects.values_list("category", "amount_minor", "fee_minor", "payment"))
    assert lines == [("charge", 2500, 103, payment.pk), ("refund", -2500, 0, payment.pk)]
    reconcile()
    assert LedgerLine.objects.count() == 2


def test_a_lost_webhook_is_as_good_as_told(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)

    run = reconcile()

    assert run.repaired >= 1
    assert state(payment) == ("AUTHORISED", State.CONFIRMED)
    run_due()
    check_money()
    check_against_stripe(till)
    assert listed() == []


def test_what_was_captured_at_the_dashboard_is_recorded(till: Till) -> None:
    payment = till.authorised(make_offer())
    till.shop.v1.payment_intents.capture(payment.intent)

    run = reconcile()

    assert (run.repaired, state(payment)) == (1, ("CAPTURED", State.CONFIRMED))
    assert LedgerLine.objects.get().payment == payment


def test_a_capture_of_an_older_intent_is_found_by_its_line_in_the_books(till: Till) -> None:
    payment = till.authorised(make_offer())
    till.shop.control("clock", advance=3 * 3600)
    till.shop.v1.payment_intents.capture(payment.intent)

    run = reconcile(since=now() + 2 * HOUR)

    assert (run.seen, run.repaired) == (1, 1)
    assert state(payment)[0] == "CAPTURED"


def test_an_authorisation_that_was_let_go_at_the_dashboard_is_recorded(till: Till) -> None:
    payment = till.authorised(make_offer())
    till.shop.v1.payment_intents.cancel(payment.intent)

    run = reconcile()

    assert run.repaired == 1
    assert state(payment) == ("FAILED", State.OFFERED)
    assert listed() == []


def test_a_hold_of_a_payment_that_is_over_is_let_go(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    Payment.objects.filter(pk=payment.pk).update(state="FAILED", due_at=None, ended_at=now())

    run = reconcile()

    assert (run.repaired, listed()) == (1, [])
    assert till.intent(payment).status == "canceled"


def test_money_taken_for_a_payment_that_is_over_is_listed_until_it_went_back(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    intent = till.shop.v1.payment_intents.capture(till.intent(payment).id)
    Payment.objects.filter(pk=payment.pk).update(state="FAILED", due_at=None, ended_at=now(), intent=intent.id)

    run = reconcile()

    assert (run.found, listed()) == (1, [("AMOUNT", intent.id)])
    found = Discrepancy.objects.get()
    assert found.payment == payment
    assert found.says == f"It took €25.00, though payment {payment.pk} is FAILED without it."


def test_a_refund_made_at_the_dashboard_becomes_one_of_ours(till: Till) -> None:
    payment = till.captured(make_offer())
    made = till.shop.v1.refunds.create({"payment_intent": payment.intent, "amount": 700})

    run = reconcile()

    refund = payment.refunds.get()
    assert (run.repaired, listed()) == (1, [])
    assert (refund.stripe_id, refund.amount_minor, refund.state) == (made.id, 700, "SUCCEEDED")
    assert refund.reason == "Made at Stripe."
    assert "REFUNDED" in told(payment.entry)
    run_due()
    assert len(till.shop.v1.refunds.list().data) == 1
    check_money()
    check_against_stripe(till)


def test_a_refund_of_a_whole_seat_that_stays_is_listed_once_and_stays_resolved(till: Till) -> None:
    payment = till.captured(make_offer())
    made = till.shop.v1.refunds.create({"payment_intent": payment.intent})

    reconcile()
    run = reconcile()

    assert (run.found, listed()) == (1, [("NOT_OURS", made.id)])
    found = Discrepancy.objects.get()
    assert found.last_seen_at > found.first_seen_at
    reconciling.resolve_discrepancy(discrepancy_id=found.pk, by=make_staff(), reason="A gesture of the desk's.")
    with pytest.raises(reconciling.DiscrepancyClosedError):
        reconciling.resolve_discrepancy(discrepancy_id=found.pk, by=make_staff(), reason="Again.")
    reconcile()
    # What it does to the sums is another matter, and stands until the books of this payment are right.
    assert listed() == [("BOOKS", f"payment {payment.pk}")]


def test_the_books_of_an_old_payment_are_looked_at_when_something_of_it_is_booked(till: Till) -> None:
    payment = till.captured(make_offer())
    reconcile()
    till.shop.control("clock", advance=3 * 3600)
    till.shop.v1.refunds.create(
        {"payment_intent": payment.intent}
    )  # all of it, while the seat stays: no refund of ours
    reconcile(since=now() + 2 * HOUR)
    found = Discrepancy.objects.get(kind="NOT_OURS")
    reconciling.resolve_discrepancy(discrepancy_id=found.pk, by=make_staff(), reason="A gesture of the desk's.")

    reconcile(since=now() + 2 * HOUR)

    assert listed() == [("BOOKS", f"payment {payment.pk}")]


def test_a_void_is_no_refund(till: Till) -> None:
    payment = till.authorised(make_offer())
    services.cancel_and_refund(account=account_of(payment.entry), public_id=payment.entry.public_id)
    run_due()
    assert state(payment)[0] == "VOIDED"
    assert len(till.shop.v1.refunds.list().data) == 1

    assert (reconcile().found, listed()) == (0, [])


def test_a_refund_that_ended_unheard_is_recorded(till: Till) -> None:
    payment = till.captured(make_offer())
    refund = cancelled(payment)
    till.shop.control("refunds", refund=made_pending(till, refund).stripe_id, status="succeeded")

    run = reconcile()

    refund.refresh_from_db()
    assert (refund.state, run.repaired, listed()) == ("SUCCEEDED", 1, [])


def made_pending(till: Till, refund: Refund) -> Refund:
    """As if its bank took its time."""
    stripe_id = made_at_stripe(till, refund)
    Refund.objects.filter(pk=refund.pk).update(stripe_id=stripe_id, state="PENDING", attempts=1)
    refund.refresh_from_db()
    return refund


def made_at_stripe(till: Till, refund: Refund) -> str:
    mark = {"refund": str(refund.pk), "payment": str(refund.payment_id), "entry": refund.payment.entry.public_id}
    made = till.shop.v1.refunds.create(
        {"payment_intent": refund.payment.intent, "metadata": mark | {"simulate_refund": "pending"}}
    )
    return str(made.id)


def test_a_refund_whose_maker_was_killed_is_adopted_not_made_again(till: Till) -> None:
    payment = till.captured(make_offer())
    refund = cancelled(payment)
    made_at_stripe(till, refund)

    run = reconcile()

    refund.refresh_from_db()
    assert (refund.state, run.repaired, listed()) == ("PENDING", 1, [])
    assert len(till.shop.v1.refunds.list().data) == 1


def test_a_refund_that_came_back_is_recorded_as_failed(till: Till) -> None:
    payment = till.captured(make_offer())
    refund = cancelled(payment)
    services.refund_payment(refund_id=refund.pk)
    refund.refresh_from_db()
    till.shop.control("refunds", refund=refund.stripe_id, status="failed")

    run = reconcile()

    refund.refresh_from_db()
    assert (refund.state, run.repaired, listed()) == ("FAILED", 1, [])
    assert LedgerLine.objects.filter(payment=payment).count() == 3


def test_the_page_of_a_killed_process_is_kept_for_its_player(till: Till) -> None:
    payment = till.start(make_offer())
    url, session = payment.checkout_url, payment.checkout_session
    Payment.objects.filter(pk=payment.pk).update(checkout_session=None, checkout_url="")

    run = reconcile()

    payment.refresh_from_db()
    assert (payment.checkout_session, payment.checkout_url, run.repaired) == (session, url, 1)
    assert services.start_payment(account=account_of(payment.entry), public_id=payment.entry.public_id) == url


def test_a_page_that_nobody_may_pay_on_is_closed(till: Till) -> None:
    payment = till.start(make_offer())
    Payment.objects.filter(pk=payment.pk).update(state="FAILED", due_at=None, ended_at=now())

    run = reconcile()

    assert (till.session(payment).status, run.repaired, listed()) == ("expired", 1, [])


def test_an_expired_page_ends_its_payment(till: Till) -> None:
    payment = till.start(make_offer())
    let_hold_run_out(payment.entry)
    till.shop.v1.checkout.sessions.expire(payment.checkout_session)

    assert reconcile().repaired == 1
    assert state(payment)[0] == "FAILED"


def test_an_object_with_our_mark_and_no_row_is_listed(till: Till) -> None:
    mark = {"payment": "987654", "entry": "0123456789abcdef01234567"}
    till.shop.session(metadata=mark, payment_intent_data={"capture_method": "manual", "metadata": mark})
    till.shop.session(metadata={"order": "of another shop"})

    reconcile()

    (found,) = Discrepancy.objects.all()
    assert (found.kind, found.payment) == ("NOT_OURS", None)
    assert found.says == (
        "It carries the mark of payment 987654 of entry 0123456789abcdef01234567, and there is no such row."
    )


def test_another_entrys_payment_is_not_ours(till: Till) -> None:
    """Another site may use the same account, with the same numbers."""
    payment = till.captured(make_offer())
    till.shop.paid_intent(
        payment_intent_data={
            "capture_method": "manual",
            "metadata": {"payment": str(payment.pk), "entry": "0123456789abcdef01234567"},
        }
    )

    reconcile()

    assert [kind for kind, _id in listed()] == ["NOT_OURS"]
    check_money()


def test_another_amount_is_listed(till: Till) -> None:
    payment = till.start(make_offer())
    mark = {"payment": str(payment.pk), "entry": payment.entry.public_id}
    intent = till.shop.v1.payment_intents.create({"amount": 700, "currency": "eur", "metadata": mark})

    reconcile()

    assert listed() == [("AMOUNT", intent.id)]


def test_a_row_that_names_what_stripe_does_not_know_is_listed_until_it_does(till: Till) -> None:
    payment = make_payment(Payment.State.CAPTURED, entry=make_offer())

    run = reconcile()

    assert (run.found, listed()) == (1, [("NOT_AT_STRIPE", payment.intent)])
    real = till.captured(make_offer())
    Payment.objects.filter(pk=real.pk).update(intent="pi_elsewhere", charge=None)
    Payment.objects.filter(pk=payment.pk).update(intent=real.intent)
    reconcile()
    gone = Discrepancy.objects.get(kind="NOT_AT_STRIPE", payment=payment)
    assert gone.resolved_at
    assert gone.resolved_by is None
    assert gone.resolution == "No longer found when Stripe and the rows were compared again."


def test_a_dispute_without_its_row_is_recorded(till: Till) -> None:
    payment = till.captured(make_offer())
    till.shop.control("disputes", payment_intent=payment.intent)

    reconcile()

    assert payment.disputes.get().status == "needs_response"
    assert not Discrepancy.objects.filter(kind="NOT_OURS", resolved_at=None).exists()


@pytest.mark.parametrize(("ends", "then"), [("won", "SUCCEEDED"), ("warning_closed", "SUCCEEDED"), ("lost", "FAILED")])
def test_an_old_dispute_that_ended_unheard_lets_its_refund_go(till: Till, ends: str, then: str) -> None:
    refund = waiting_for_a_dispute(till, inquiry=ends == "warning_closed")
    dispute = refund.payment.disputes.get()
    till.shop.control("disputes", dispute=dispute.stripe_id, status=ends)

    run = reconcile(since=now() + 2 * HOUR)  # it began before that time

    run_due()
    refund.refresh_from_db()
    dispute.refresh_from_db()
    assert (run.repaired, dispute.status, refund.state) == (1, ends, then)
    check_money()
    check_against_stripe(till)


def waiting_for_a_dispute(till: Till, *, inquiry: bool = False) -> Refund:
    """The refund of a payment whose dispute began three hours ago."""
    payment = till.captured(make_offer())
    till.shop.control("disputes", payment_intent=payment.intent, inquiry=inquiry)
    till.deliver()
    refund = cancelled(payment)
    run_due()
    refund.refresh_from_db()
    assert refund.state == "DUE"
    till.shop.control("clock", advance=3 * 3600)
    return refund


def test_that_a_dispute_was_won_is_found_by_its_line_in_the_books_too(till: Till) -> None:
    dispute = waiting_for_a_dispute(till).payment.disputes.get()
    till.shop.control("disputes", dispute=dispute.stripe_id, status="won")

    run = reconcile(Reconciliation.Kind.RECENT, since=now() + 2 * HOUR)  # which does not ask for what is open here

    dispute.refresh_from_db()
    assert (run.repaired, dispute.status) == (1, "won")


def test_an_open_dispute_that_stripe_does_not_know_is_listed(till: Till) -> None:
    refund = waiting_for_a_dispute(till)
    Dispute.objects.create(
        payment=refund.payment,
        stripe_id="du_unknown",
        amount_minor=100,
        currency="eur",
        reason="fraudulent",
        status="warning_needs_response",
        opened_at=now(),
    )

    assert (reconcile(since=now() + 2 * HOUR).found, listed()) == (1, [("NOT_AT_STRIPE", "du_unknown")])


def test_what_was_set_right_meanwhile_closes_by_itself(till: Till) -> None:
    mark = {"payment": "987654", "entry": "0123456789abcdef01234567"}
    intent = till.shop.v1.payment_intents.create({"amount": 700, "currency": "eur", "metadata": mark})
    reconcile()
    assert listed() == [("NOT_OURS", intent.id)]
    till.shop.v1.payment_intents.update(intent.id, {"metadata": {"payment": "", "entry": ""}})

    run = reconcile(since=now() + 3 * HOUR)  # also of objects that this one does not reach

    assert (run.seen, run.found, listed()) == (0, 0, [])


def test_what_is_overdue_is_looked_at(till: Till) -> None:
    payment = till.authorised(make_offer())
    Payment.objects.filter(pk=payment.pk).update(due_at=now() - HOUR)
    reconcile()
    assert state(payment)[0] == "CAPTURED"
