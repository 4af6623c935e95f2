"""A page is not closed over an attempt to pay of which no webhook told: it leaves more time, once, within the longest hold.

Nothing is delivered in these tests unless `till.deliver` does it: each event is lost, and stays in Stripe's own list.
"""

from datetime import datetime, timedelta

import pytest
from django.db.models.functions import Now

from payments import services
from payments.models import Payment, StripeEvent
from payments.rules import AUTHENTICATION_LASTS
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import lapse_offers, leave_queue
from tests.builders import now
from tests.payments.comparisons import reconcile
from tests.payments.till import (
    DECLINED,
    POOR,
    Till,
    account_of,
    check_against_stripe,
    check_money,
    let_hold_run_out,
    let_offer_run_out,
    make_offer,
    run_due,
    told,
)

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)


def settle(payment: Payment) -> tuple[str, str, datetime | None]:
    """What the sweep does with a payment that is due; returns its state, its entry's and the offer's end."""
    services.settle_payment(payment_id=payment.pk)
    payment.refresh_from_db()
    payment.entry.refresh_from_db()
    return payment.state, payment.entry.state, payment.entry.offer_expires_at


def time_is_up(payment: Payment) -> tuple[str, str, datetime | None]:
    let_offer_run_out(payment.entry)
    return settle(payment)


def test_a_decline_of_which_no_event_told_leaves_ten_minutes_before_the_page_is_closed(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment, POOR)
    before = now()

    state, entry_state, ends_at = time_is_up(payment)

    assert (state, entry_state, payment.failure_code) == ("CREATED", State.OFFERED, "insufficient_funds")
    assert ends_at is not None
    assert before + 10 * MINUTE <= ends_at <= now() + 11 * MINUTE
    assert payment.due_at is not None
    assert payment.due_at <= ends_at
    till.pay(payment)
    run_due()
    payment.refresh_from_db()
    assert (payment.state, settle(payment)[1]) == ("CAPTURED", State.CONFIRMED)
    check_money()
    check_against_stripe(till)


def test_the_same_decline_never_leaves_ten_minutes_twice(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment, POOR)
    first_end = time_is_up(payment)[2]

    till.deliver()  # the event came after all
    assert reconcile().repaired == 0
    assert settle(payment) == ("CREATED", State.OFFERED, first_end)

    assert time_is_up(payment)[:2] == ("FAILED", State.PASSED)
    assert till.session(payment).status == "expired"
    assert "PASSED" in told(payment.entry)


@pytest.mark.parametrize("heard_by", ["webhook", "reconciling"])
def test_a_decline_that_was_heard_leaves_nothing_more_when_the_time_is_up(till: Till, heard_by: str) -> None:
    payment = till.start(make_offer())
    till.pay(payment, POOR)
    if heard_by == "webhook":
        till.deliver()
    else:
        assert reconcile().repaired == 1
    assert time_is_up(payment)[:2] == ("FAILED", State.PASSED)


def test_each_refused_charge_leaves_time_anew_but_never_beyond_the_longest_hold(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment, POOR)
    assert time_is_up(payment)[0] == "CREATED"
    till.pay(payment, DECLINED)
    latest = now() + 3 * MINUTE
    QueueEntry.objects.filter(pk=payment.entry_id).update(hold_until=latest, offer_expires_at=latest)

    assert time_is_up(payment) == ("CREATED", State.OFFERED, latest)
    assert payment.failure_code == "generic_decline"

    let_hold_run_out(payment.entry)
    assert settle(payment)[:2] == ("FAILED", State.PASSED)


def test_an_event_that_nobody_has_handled_yet_keeps_the_page_open(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment, POOR)
    (event,) = till.events("payment_intent.payment_failed")
    services.receive_event(event)

    assert time_is_up(payment)[:2] == ("CREATED", State.OFFERED)
    assert payment.failure_code == ""

    services.handle_stripe_event(stripe_id=event["id"])
    assert (settle(payment)[2] or now()) >= now() + 9 * MINUTE


def test_without_a_list_of_events_the_page_stays_open_and_stripe_is_asked_again(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment, POOR)
    till.fail("/v1/events", times=2)
    assert time_is_up(payment)[:2] == ("CREATED", State.OFFERED)
    assert settle(payment)[:2] == ("CREATED", State.OFFERED)
    assert payment.failure_code == ""
    assert settle(payment)[:2] == ("CREATED", State.OFFERED)
    assert payment.failure_code == "insufficient_funds"


def test_the_decline_of_somebody_else_leaves_nothing(till: Till) -> None:
    declined, silent = till.start(make_offer()), till.start(make_offer())
    till.pay(declined, POOR)
    assert time_is_up(silent)[:2] == ("FAILED", State.PASSED)
    assert time_is_up(declined)[:2] == ("CREATED", State.OFFERED)


def test_a_decline_of_somebody_who_left_leaves_nothing(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment, POOR)
    leave_queue(account=account_of(payment.entry), public_id=payment.entry.public_id)
    assert settle(payment)[:2] == ("FAILED", State.LEFT)
    assert not StripeEvent.objects.exists()


def test_a_bank_that_asks_when_the_time_is_up_is_left_ten_minutes_from_when_it_began(till: Till) -> None:
    payment = till.start(make_offer())
    before = now()
    till.at_the_bank(payment)

    state, entry_state, ends_at = time_is_up(payment)

    assert (state, entry_state) == ("CREATED", State.OFFERED)
    assert ends_at is not None
    assert before - MINUTE / 60 <= ends_at - AUTHENTICATION_LASTS <= now() + MINUTE / 60
    assert till.the_bank_answers(payment).status_code == 303
    run_due()
    payment.refresh_from_db()
    assert (payment.state, settle(payment)[1]) == ("CAPTURED", State.CONFIRMED)
    check_money()
    check_against_stripe(till)


def test_one_authentication_is_left_its_time_once(till: Till) -> None:
    payment = till.start(make_offer())
    till.at_the_bank(payment)
    assert time_is_up(payment)[:2] == ("CREATED", State.OFFERED)
    assert time_is_up(payment)[:2] == ("FAILED", State.PASSED)
    assert till.the_bank_answers(payment).status_code == 410
    assert till.intent(payment).status == "canceled"
    check_against_stripe(till)


def test_an_authentication_is_never_left_time_beyond_the_longest_hold(till: Till) -> None:
    payment = till.start(make_offer())
    till.at_the_bank(payment)
    latest = now() + 2 * MINUTE
    QueueEntry.objects.filter(pk=payment.entry_id).update(hold_until=latest, offer_expires_at=latest)
    assert time_is_up(payment) == ("CREATED", State.OFFERED, latest)

    let_hold_run_out(payment.entry)
    assert lapse_offers(tournament_id=payment.entry.tournament_id) == 1
    assert settle(payment)[:2] == ("FAILED", State.PASSED)


def test_an_authentication_that_was_given_up_long_ago_leaves_nothing(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments.services.declining.AUTHENTICATION_LASTS", timedelta(0))
    payment = till.start(make_offer())
    till.at_the_bank(payment)
    assert time_is_up(payment)[:2] == ("FAILED", State.PASSED)


def test_an_authentication_that_failed_unheard_leaves_ten_minutes_once(till: Till) -> None:
    payment = till.start(make_offer())
    till.at_the_bank(payment)
    till.the_bank_answers(payment, "fail")

    state, entry_state, ends_at = time_is_up(payment)
    assert (state, entry_state) == ("CREATED", State.OFFERED)
    assert ends_at is not None
    assert ends_at >= now() + 9 * MINUTE
    assert payment.failure_code == "payment_intent_authentication_failure"

    till.deliver()
    assert settle(payment)[2] == ends_at
    assert time_is_up(payment)[:2] == ("FAILED", State.PASSED)


def test_in_a_pause_nothing_is_closed_and_nothing_given(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment, POOR)
    type(payment.entry.tournament).objects.filter(pk=payment.entry.tournament_id).update(paused_at=Now())
    let_offer_run_out(payment.entry)
    ends_at = payment.entry.offer_expires_at
    assert settle(payment) == ("CREATED", State.OFFERED, ends_at)
    assert not StripeEvent.objects.exists()
