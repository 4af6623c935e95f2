"""Several at once: tabs, webhooks, workers, a clock. Each race that must not hurt has a control in which it does."""

import threading
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from payments import services
from payments.gateway import Gateway
from payments.models import Payment, StripeEvent
from payments.services import settling, sweeping
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import lapse_offers, leave_queue
from tests.payments.till import (
    Till,
    account_of,
    check_against_stripe,
    check_money,
    let_hold_run_out,
    let_offer_run_out,
    make_offer,
    make_paid_tournament,
    run_due,
    skip_pauses,
)
from tests.payments.together import together
from vgchub import health

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_double_click_and_a_second_tab_get_one_page(till: Till) -> None:
    entry = make_offer()
    press = partial(services.start_payment, account=account_of(entry), public_id=entry.public_id)
    answers = together(*[press] * 4)
    # Stripe tells the others that the first is under way (the client repeats that call by itself; here it may not).
    urls = {answer for answer in answers if isinstance(answer, str)}
    assert len(urls) == 1
    assert health.failing_share("checkout") == 0
    assert all(isinstance(answer, str | services.PaymentAwayError) for answer in answers)
    assert press() in urls
    assert entry.payments.count() == 1
    assert len(till.shop.v1.checkout.sessions.list().data) == 1


def test_webhook_return_page_and_sweep_at_once_confirm_once(till: Till) -> None:
    entry = make_offer()
    payment = till.start(entry)
    till.pay(payment)
    event = till.shop.v1.events.list({"type": "checkout.session.completed"}).data[0].to_dict()
    services.receive_event(event)
    results = together(
        *[partial(services.handle_stripe_event, stripe_id=event["id"])] * 2,
        *[partial(services.settle_payment, payment_id=payment.pk)] * 3,
    )
    assert results == [None] * 5
    entry.refresh_from_db()
    assert entry.state == State.CONFIRMED
    assert times_confirmed(entry) == 1
    assert times_authorised(payment) == 1
    run_due()
    check_money()
    check_against_stripe(till)


def test_control_without_the_lock_two_believe_to_be_first(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lock on the payment's row spares us; the test above would find it."""
    payment = till.start(make_offer())
    till.pay(payment)
    both_have_read = threading.Barrier(2)

    def unlocked(payment_id: int) -> Payment:
        found = Payment.objects.select_related("entry__player").get(pk=payment_id)
        both_have_read.wait(10)
        return found

    monkeypatch.setattr(settling, "lock_payment", unlocked)
    together(*[partial(services.settle_payment, payment_id=payment.pk)] * 2)
    assert times_authorised(payment) == 2


def times_authorised(payment: Payment) -> int:
    """How often the history says that it became authorised."""
    return _count("SELECT count(DISTINCT authorised_at) FROM payments_paymentevent WHERE pgh_obj_id = %s", payment.pk)


def times_confirmed(entry: QueueEntry) -> int:
    changes = "SELECT count(DISTINCT confirmed_at) FROM registrations_queueentryevent WHERE pgh_obj_id = %s"
    return _count(changes, entry.pk)


def _count(query: str, row: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, [row])
        return int(cursor.fetchone()[0])


def test_one_delivery_in_two_processes_is_noted_and_handled_once(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    event = till.shop.v1.events.list({"type": "checkout.session.completed"}).data[0].to_dict()
    assert together(*[partial(services.receive_event, event)] * 4) == [None] * 4
    together(*[partial(services.handle_stripe_event, stripe_id=event["id"])] * 4)
    assert StripeEvent.objects.get().attempts == 1


def test_two_sweeps_at_once_take_different_payments(till: Till) -> None:
    tournament = make_paid_tournament(seats=10)
    payments = {till.start(make_offer(tournament)).pk for _ in range(6)}
    skip_pauses()
    first, second = together(sweeping.take_due_payments, sweeping.take_due_payments)
    assert set(first) | set(second) == payments
    assert not set(first) & set(second)
    assert sweeping.take_due_payments() == []


def test_control_two_workers_on_the_same_payment_do_no_harm(till: Till) -> None:
    payment = till.authorised(make_offer())
    together(*[partial(sweeping.advance, payment_id=payment.pk)] * 4)
    run_due()
    payment.refresh_from_db()
    assert payment.state == "CAPTURED"
    check_against_stripe(till)


def paid_at_the_deadline(till: Till, payments: list[Payment]) -> list[tuple[str, str]]:
    """Each payment is paid at the very moment at which its offer, whose time is over, is settled."""
    for payment in payments:
        let_offer_run_out(payment.entry)
    together(
        *[partial(till.pay, payment) for payment in payments],
        *[partial(services.settle_payment, payment_id=payment.pk) for payment in payments],
    )
    run_due()
    return [tuple(row) for row in Payment.objects.order_by("pk").values_list("state", "entry__state")]  # type: ignore[misc]


def test_paying_against_the_clock_ends_paid_and_confirmed_or_unpaid_and_passed(till: Till) -> None:
    tournament = make_paid_tournament(seats=8)
    outcomes = set(paid_at_the_deadline(till, [till.start(make_offer(tournament)) for _ in range(8)]))
    assert outcomes <= {("CAPTURED", State.CONFIRMED), ("FAILED", State.PASSED)}
    check_money()
    check_against_stripe(till)


def test_control_a_lapse_that_does_not_close_the_page_lets_somebody_pay_for_nothing(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What asking Stripe spares us. Even then the bank's hold is let go, by the event alone."""
    payment = till.start(make_offer())
    monkeypatch.setattr(settling, "_expired", lambda payment, session, gateway: replace(session, status="expired"))  # noqa: ARG005
    let_offer_run_out(payment.entry)
    services.settle_payment(payment_id=payment.pk)
    assert till.pay(payment).status_code == 303
    payment.entry.refresh_from_db()
    assert payment.entry.state == State.PASSED
    assert till.intent(payment).status == "requires_capture"
    till.deliver()
    assert till.intent(payment).status == "canceled"


def test_a_payment_beyond_the_longest_hold_is_voided(till: Till) -> None:
    payment = till.start(make_offer())
    let_hold_run_out(payment.entry)
    together(
        partial(till.pay, payment),
        partial(lapse_offers, tournament_id=payment.entry.tournament_id),
        partial(services.settle_payment, payment_id=payment.pk),
    )
    run_due()
    payment.refresh_from_db()
    payment.entry.refresh_from_db()
    assert (payment.state, payment.entry.state) in {
        ("CAPTURED", State.CONFIRMED),
        ("VOIDED", State.PASSED),
        ("FAILED", State.PASSED),
    }
    check_money()
    check_against_stripe(till)


def test_giving_the_seat_back_while_it_is_captured_takes_no_money(till: Till) -> None:
    tournament = make_paid_tournament(seats=6)
    payments = [till.authorised(make_offer(tournament)) for _ in range(6)]
    cancels = [
        partial(services.cancel_and_refund, account=account_of(one.entry), public_id=one.entry.public_id)
        for one in payments
    ]
    together(*[partial(services.capture_payment, payment_id=one.pk) for one in payments], *cancels)
    run_due()
    assert set(QueueEntry.objects.values_list("state", flat=True)) == {State.CANCELLED}
    check_money()
    check_against_stripe(till)


def test_cancelling_twice_at_once_refunds_once(till: Till) -> None:
    payment = till.captured(make_offer())
    entry = payment.entry
    cancel = partial(services.cancel_and_refund, account=account_of(entry), public_id=entry.public_id)
    assert [answer.state for answer in together(cancel, cancel, cancel)] == [State.CANCELLED] * 3
    together(*[partial(services.refund_payment, refund_id=payment.refunds.get().pk)] * 3)
    run_due()
    assert len(till.shop.v1.refunds.list().data) == 1
    check_money()
    check_against_stripe(till)


def test_leaving_while_the_page_is_made_leaves_no_open_page(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = make_offer()
    real = Gateway.create_session

    def slowly(gateway: Any, order: Any, *, key: str) -> Any:
        session = real(gateway, order, key=key)
        leave_queue(account=account_of(entry), public_id=entry.public_id)
        run_due(1)
        return session

    monkeypatch.setattr(Gateway, "create_session", slowly)
    with pytest.raises(services.PaymentClosingError):
        till.start(entry)
    run_due()
    (session,) = till.shop.v1.checkout.sessions.list().data
    assert session.status == "expired"


def test_cancelling_a_tournament_by_two_workers_refunds_each_once(till: Till) -> None:
    tournament = make_paid_tournament(seats=5)
    for _ in range(5):
        till.captured(make_offer(tournament))
    type(tournament).objects.filter(pk=tournament.pk).update(cancelled_at=Now())
    work = partial(services.cancel_confirmed_entries, tournament_id=tournament.pk)
    assert sum(together(work, work, work)) == 5
    run_due()
    assert len(till.shop.v1.refunds.list().data) == 5
    check_money()
    check_against_stripe(till)
