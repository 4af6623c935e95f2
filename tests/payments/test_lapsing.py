"""When the time is up: Stripe decides between a late payment and a free seat, and nobody is charged for nothing."""

import pytest
from django.db.models.functions import Now

from payments import services
from payments.models import Payment
from payments.services import releasing, sweeping
from payments.services.locking import postpone
from registrations.rules import State
from registrations.services import OfferOverError, lapse_offers, leave_queue, offer_seats, reject_entry, step_back_in
from tests.builders import make_staff
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
    states,
    told,
)
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_unpaid_checkout_is_closed_and_its_offer_lapses(till: Till) -> None:
    payment = till.start(make_offer())
    let_offer_run_out(payment.entry)
    run_due()
    assert states(payment) == ("FAILED", State.PASSED)
    assert till.session(payment).status == "expired"
    assert till.pay(payment).status_code == 410
    assert payment.failure_message == "The time to pay ran out."


def test_a_checkout_paid_in_the_last_second_is_confirmed(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    let_offer_run_out(payment.entry)
    run_due()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    check_money()


def test_without_an_answer_the_hold_stays_and_is_asked_again(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    let_offer_run_out(payment.entry)
    till.fail("/v1/checkout/sessions/*", times=3)
    lapse_offers(tournament_id=payment.entry.tournament_id)
    for _ in range(3):
        services.settle_payment(payment_id=payment.pk)
        assert states(payment) == ("CREATED", State.OFFERED)
    run_due()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)


def test_a_session_that_expired_at_stripe_can_be_begun_anew_while_the_offer_lasts(till: Till) -> None:
    payment = till.start(make_offer())
    till.shop.v1.checkout.sessions.expire(payment.checkout_session)
    till.deliver()
    assert states(payment) == ("FAILED", State.OFFERED)
    again = till.start(payment.entry)
    assert again.pk != payment.pk
    assert again.checkout_url != payment.checkout_url


def test_an_authorisation_after_the_hold_is_voided_and_the_player_told(till: Till) -> None:
    payment = till.start(make_offer())
    let_hold_run_out(payment.entry)
    assert lapse_offers(tournament_id=payment.entry.tournament_id) == 1
    till.pay(payment)  # before anything has closed the page
    till.deliver()
    run_due()
    assert states(payment) == ("VOIDED", State.PASSED)
    assert till.intent(payment).status == "canceled"
    assert till.intent(payment).amount_received == 0
    assert "VOIDED" in told(payment.entry)
    check_money()
    check_against_stripe(till)


def test_the_bank_may_take_longer_than_the_offer(till: Till) -> None:
    """The seat is held for a payment that is under way, until somebody closes the page or the hold ends."""
    payment = till.start(make_offer())
    till.at_the_bank(payment)
    let_offer_run_out(payment.entry)
    assert lapse_offers(tournament_id=payment.entry.tournament_id) == 0
    assert till.the_bank_answers(payment).status_code == 303
    till.deliver()
    run_due()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    check_money()
    check_against_stripe(till)


def test_a_bank_that_takes_longer_than_the_hold_takes_nothing(till: Till) -> None:
    payment = till.start(make_offer())
    till.at_the_bank(payment)
    let_hold_run_out(payment.entry)
    assert lapse_offers(tournament_id=payment.entry.tournament_id) == 1
    assert till.the_bank_answers(payment).status_code == 303  # nobody has closed the page yet
    till.deliver()
    run_due()
    assert states(payment) == ("VOIDED", State.PASSED)
    assert till.intent(payment).amount_received == 0
    assert "VOIDED" in told(payment.entry)
    check_money()
    check_against_stripe(till)


def test_a_declined_offer_closes_its_checkout_page(till: Till) -> None:
    payment = till.start(make_offer())
    leave_queue(account=account_of(payment.entry), public_id=payment.entry.public_id)
    run_due()
    assert states(payment) == ("FAILED", State.LEFT)
    assert till.session(payment).status == "expired"


def test_a_payment_of_somebody_who_left_is_voided(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    leave_queue(account=account_of(payment.entry), public_id=payment.entry.public_id)
    run_due()
    assert states(payment) == ("VOIDED", State.LEFT)
    assert till.intent(payment).status == "canceled"
    check_money()


def test_voiding_goes_on_when_stripe_is_back(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    leave_queue(account=account_of(payment.entry), public_id=payment.entry.public_id)
    till.fail("/v1/payment_intents/*/cancel", times=2)
    run_due(3)
    assert states(payment)[0] == "AUTHORISED"
    run_due()
    assert states(payment) == ("VOIDED", State.LEFT)


def test_a_player_put_out_by_staff_gets_the_money_back(till: Till) -> None:
    payment = till.captured(make_offer())
    reject_entry(public_id=payment.entry.public_id, by=make_staff(), reason="wrong division")
    run_due()
    assert states(payment) == ("CAPTURED", State.REJECTED)
    assert payment.refunds.get().state == "SUCCEEDED"
    check_money()
    check_against_stripe(till)


def test_nothing_lapses_while_the_tournament_is_paused(till: Till) -> None:
    payment = till.start(make_offer())
    Tournament.objects.filter(pk=payment.entry.tournament_id).update(paused_at=Now())
    let_offer_run_out(payment.entry)
    run_due()
    assert states(payment) == ("CREATED", State.OFFERED)
    assert till.session(payment).status == "open"


def test_an_offer_that_runs_out_after_its_checkout_failed_lapses(till: Till) -> None:
    payment = till.start(make_offer())
    till.shop.v1.checkout.sessions.expire(payment.checkout_session)
    till.deliver()
    assert states(payment) == ("FAILED", State.OFFERED)
    let_offer_run_out(payment.entry)
    run_due()
    assert states(payment) == ("FAILED", State.PASSED)


def test_a_second_offer_is_paid_with_a_payment_of_its_own(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment, DECLINED)
    till.deliver()
    let_offer_run_out(payment.entry)
    run_due()
    assert states(payment) == ("FAILED", State.PASSED)
    assert payment.failure_message == "Your card was declined."
    entry = payment.entry
    step_back_in(account=account_of(entry), public_id=entry.public_id)
    with pytest.raises(OfferOverError):
        till.start(entry)
    assert offer_seats(tournament_id=entry.tournament_id) == 1
    again = till.start(entry)
    till.pay(again)
    run_due()
    assert states(again) == ("CAPTURED", State.CONFIRMED)
    check_money()


def test_what_was_given_up_is_not_confirmed_by_a_second_offer(till: Till) -> None:
    payment = till.start(make_offer())
    entry = payment.entry
    let_hold_run_out(entry)
    lapse_offers(tournament_id=entry.tournament_id)
    releasing.release_orphans(captured=False)  # and Stripe is away, so that the page stays open
    step_back_in(account=account_of(entry), public_id=entry.public_id)
    assert offer_seats(tournament_id=entry.tournament_id) == 1
    with pytest.raises(services.PaymentClosingError):
        till.start(entry)
    till.pay(payment)
    till.deliver()
    run_due()
    assert states(payment) == ("VOIDED", State.OFFERED)
    again = till.start(entry)
    till.pay(again)
    run_due()
    assert states(again) == ("CAPTURED", State.CONFIRMED)
    check_money()
    check_against_stripe(till)


def test_a_late_answer_does_not_put_off_what_was_given_up_meanwhile(till: Till) -> None:
    payment = till.start(make_offer())
    asked_before = Payment.objects.get(pk=payment.pk)
    leave_queue(account=account_of(payment.entry), public_id=payment.entry.public_id)
    releasing.release_orphans(captured=False)
    postpone(asked_before)
    assert sweeping.take_due_payments() == [payment.pk]


def test_the_reason_of_a_decline_is_told_also_when_the_time_was_over_first(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment, POOR)
    let_hold_run_out(payment.entry)
    services.settle_payment(payment_id=payment.pk)
    assert states(payment) == ("FAILED", State.PASSED)
    till.deliver()
    payment.refresh_from_db()
    assert "insufficient funds" in payment.failure_message


def test_a_crash_before_the_page_was_noted_leaves_nothing_behind(till: Till) -> None:
    entry = make_offer()
    till.fail("/v1/checkout/sessions", when="after")
    with pytest.raises(services.PaymentAwayError):
        till.start(entry)
    payment = entry.payments.get()
    assert payment.checkout_session is None
    let_offer_run_out(entry)
    run_due()
    assert states(payment) == ("FAILED", State.PASSED)


def test_pressing_again_after_no_answer_goes_on_with_the_same_payment(till: Till) -> None:
    entry = make_offer()
    for status in (500, 503, 429):
        till.fail("/v1/checkout/sessions", status=status)
        with pytest.raises(services.PaymentAwayError):
            till.start(entry)
    payment = till.start(entry)
    assert entry.payments.get() == payment
    till.pay(payment)
    run_due()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    check_money()


def test_a_payment_that_stripe_refuses_is_said_and_can_be_tried_anew(till: Till) -> None:
    entry = make_offer()
    till.fail("/v1/checkout/sessions", status=400, code="account_invalid")
    with pytest.raises(services.PaymentImpossibleError):
        till.start(entry)
    assert entry.payments.get().failure_code == "account_invalid"
    assert till.start(entry).state == "CREATED"
