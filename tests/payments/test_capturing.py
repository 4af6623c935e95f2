"""Taking the money: later if Stripe is away, once whatever is repeated, and never for a seat that is gone."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from payments import services
from payments.models import Payment
from registrations.rules import State
from tests.payments.till import Till, check_against_stripe, check_money, make_offer, run_due, states, told

pytestmark = pytest.mark.django_db(transaction=True)

CAPTURE = "/v1/payment_intents/*/capture"


@pytest.mark.parametrize("status", [402, 429, 500, 503])
def test_a_capture_that_fails_once_is_tried_again(till: Till, status: int) -> None:
    payment = till.authorised(make_offer())
    till.fail(CAPTURE, status=status)
    services.capture_payment(payment_id=payment.pk)
    assert states(payment) == ("AUTHORISED", State.CONFIRMED)
    run_due()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    check_money()
    check_against_stripe(till)


@pytest.mark.parametrize("status", [500, 503])
def test_a_capture_whose_answer_is_lost_is_recorded(till: Till, status: int) -> None:
    payment = till.authorised(make_offer())
    till.fail(CAPTURE, status=status, when="after")
    services.capture_payment(payment_id=payment.pk)
    assert states(payment)[0] == "AUTHORISED"
    run_due()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    check_against_stripe(till)


def test_a_capture_that_fails_for_good_offers_the_seat_again_to_the_same_player(till: Till) -> None:
    payment = till.authorised(make_offer())
    seat = payment.entry.seat_id
    till.fail(CAPTURE, status=402, times=10)
    run_due()
    assert states(payment) == ("FAILED", State.OFFERED)
    entry = payment.entry
    assert entry.seat_id == seat
    assert entry.checkout_at is None
    assert till.intent(payment).status == "canceled"
    assert "UNSEATED" in told(entry)
    till.heal()
    again = till.start(entry)
    till.pay(again)
    run_due()
    assert states(again) == ("CAPTURED", State.CONFIRMED)
    check_money()
    check_against_stripe(till)


def test_stripe_being_away_for_long_costs_no_seat(till: Till) -> None:
    payment = till.authorised(make_offer())
    till.fail(CAPTURE, times=20)
    run_due(10)
    assert states(payment) == ("AUTHORISED", State.CONFIRMED)
    till.heal()
    run_due()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)


def test_an_authorisation_nearly_over_is_given_up_before_the_bank_does(till: Till) -> None:
    payment = till.authorised(make_offer())
    Payment.objects.filter(pk=payment.pk).update(authorised_at=Now() - timedelta(days=6, minutes=1))
    till.fail(CAPTURE)
    services.capture_payment(payment_id=payment.pk)
    assert states(payment) == ("FAILED", State.OFFERED)
    assert till.intent(payment).status == "canceled"


def test_an_authorisation_cancelled_at_stripe_offers_the_seat_again(till: Till) -> None:
    payment = till.authorised(make_offer())
    till.shop.v1.payment_intents.cancel(payment.intent)
    till.deliver("payment_intent.canceled")
    assert states(payment) == ("FAILED", State.OFFERED)


def test_a_capture_made_by_a_person_at_stripe_is_recorded(till: Till) -> None:
    payment = till.authorised(make_offer())
    till.shop.v1.payment_intents.capture(payment.intent)
    till.deliver("payment_intent.succeeded")
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    check_against_stripe(till)


def test_capturing_twice_takes_the_money_once(till: Till) -> None:
    payment = till.captured(make_offer())
    services.capture_payment(payment_id=payment.pk)
    services.void_payment(payment_id=payment.pk)
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    check_against_stripe(till)
