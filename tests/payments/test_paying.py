"""From the button to a captured payment: Stripe is asked, whoever says that there is news."""

from datetime import timedelta
from typing import Any

import pytest
import stripe

from payments import services
from payments.models import Payment, StripeEvent
from registrations.rules import State
from registrations.services import EntryNotFoundError, OfferOverError
from reports.invariants import violations
from tests.builders import make_entry, make_tournament, make_user, now
from tests.payments.cards import winner
from tests.payments.comparisons import listed, reconcile
from tests.payments.till import (
    DECLINED,
    POOR,
    Till,
    account_of,
    check_against_stripe,
    check_money,
    handle_events,
    let_offer_run_out,
    make_offer,
    run_due,
    told,
)
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db(transaction=True)


def test_start_payment_opens_a_checkout_page_and_fixes_the_price(till: Till) -> None:
    entry = make_offer()
    url = services.start_payment(account=account_of(entry), public_id=entry.public_id)
    payment = entry.payments.get()
    assert (payment.state, payment.amount_minor, payment.currency) == ("CREATED", 2500, "eur")
    assert url == payment.checkout_url
    session = till.session(payment)
    assert session.metadata.to_dict() == {"payment": str(payment.pk), "entry": entry.public_id}
    assert session.amount_total == 2500
    entry.refresh_from_db()
    assert entry.checkout_at is not None


def test_start_payment_twice_gives_the_same_page(till: Till) -> None:
    entry = make_offer()
    urls = {services.start_payment(account=account_of(entry), public_id=entry.public_id) for _ in range(3)}
    assert len(urls) == 1
    assert entry.payments.count() == 1


def test_start_payment_of_a_free_seat_confirms_it_without_stripe(till: Till) -> None:
    entry = make_offer(make_tournament())
    assert services.start_payment(account=account_of(entry), public_id=entry.public_id) is None
    entry.refresh_from_db()
    assert entry.state == State.CONFIRMED
    assert not Payment.objects.exists()


def test_start_payment_of_somebody_else_finds_nothing(till: Till) -> None:
    entry = make_offer()
    with pytest.raises(EntryNotFoundError):
        services.start_payment(account=make_user(), public_id=entry.public_id)


def test_start_payment_without_an_offer_is_refused(till: Till) -> None:
    entry = make_entry(make_offer().tournament)
    with pytest.raises(OfferOverError):
        services.start_payment(account=account_of(entry), public_id=entry.public_id)
    assert not entry.payments.exists()


def test_a_paid_checkout_is_confirmed_and_captured(till: Till) -> None:
    entry = make_offer()
    payment = till.authorised(entry)
    entry.refresh_from_db()
    assert (payment.state, entry.state) == ("AUTHORISED", State.CONFIRMED)
    assert till.intent(payment).status == "requires_capture"
    services.capture_payment(payment_id=payment.pk)
    payment.refresh_from_db()
    assert payment.state == "CAPTURED"
    assert till.intent(payment).amount_received == 2500
    assert "CONFIRMED" in told(entry)
    check_money()
    check_against_stripe(till)


def test_a_fee_that_changes_meanwhile_leaves_the_price_that_was_shown(till: Till) -> None:
    entry = make_offer()
    payment = till.start(entry)
    Tournament.objects.update(fee_minor=4000)
    assert till.start(entry).checkout_url == payment.checkout_url  # the page says what it said
    assert till.session(payment).amount_total == 2500

    till.pay(payment)
    till.deliver()
    run_due()

    payment.refresh_from_db()
    entry.refresh_from_db()
    assert (payment.state, payment.amount_minor, entry.state) == ("CAPTURED", 2500, State.CONFIRMED)
    assert till.intent(payment).amount_received == 2500
    assert services.cancellation_terms(entry).refund_minor == 2500
    check_money()
    check_against_stripe(till)
    assert not [found for found in violations() if found.split(":")[0] in ("I4", "I5", "I6", "I7")]


@pytest.mark.parametrize("fee_minor", [4000, 1000])
def test_who_begins_again_after_the_fee_changed_pays_the_new_one(till: Till, fee_minor: int) -> None:
    entry = make_offer()
    first = till.start(entry)
    till.shop.v1.checkout.sessions.expire(first.checkout_session)
    services.settle_payment(payment_id=first.pk)
    Tournament.objects.update(fee_minor=fee_minor)

    again = till.start(entry)

    assert (again.pk == first.pk, again.amount_minor) == (False, fee_minor)
    assert till.session(again).amount_total == fee_minor
    till.pay(again)
    run_due()
    again.refresh_from_db()
    assert (again.state, till.intent(again).amount_received) == ("CAPTURED", fee_minor)
    check_money()
    check_against_stripe(till)


def test_each_way_of_hearing_of_a_payment_confirms_it_alone(till: Till) -> None:
    by_event, by_return, by_sweep = make_offer(), make_offer(), make_offer()
    payments = [till.start(entry) for entry in (by_event, by_return, by_sweep)]
    till.pay(payments[0])
    till.deliver()
    till.pay(payments[1])
    services.settle_payment(payment_id=payments[1].pk)
    till.pay(payments[2])
    run_due()
    for entry in (by_event, by_return, by_sweep):
        entry.refresh_from_db()
        assert entry.state == State.CONFIRMED
    run_due()
    check_money()
    check_against_stripe(till)


def test_events_in_reverse_and_three_times_over_change_nothing_more(till: Till) -> None:
    entry = make_offer()
    payment = till.start(entry)
    till.pay(payment, DECLINED)
    till.pay(payment)
    events = list(till.shop.v1.events.list({"limit": 100}).data)  # newest first
    for event in events * 3:
        services.receive_event(event.to_dict())
    run_due()
    entry.refresh_from_db()
    payment.refresh_from_db()
    assert (entry.state, payment.state) == (State.CONFIRMED, "CAPTURED")
    assert payment.failure_code == ""
    till.deliver()  # what the capture itself caused
    check_money()
    check_against_stripe(till)


def test_a_declined_card_is_told_and_leaves_more_time(till: Till) -> None:
    entry = make_offer()
    payment = till.start(entry)
    let_offer_run_out(entry)
    assert till.pay(payment, POOR).status_code == 402
    till.deliver()
    payment.refresh_from_db()
    entry.refresh_from_db()
    assert payment.failure_code == "insufficient_funds"
    assert "insufficient funds" in payment.failure_message
    assert entry.state == State.OFFERED
    assert entry.offer_expires_at is not None
    assert entry.hold_until is not None
    assert entry.offer_expires_at <= entry.hold_until
    till.pay(payment)
    till.deliver()
    entry.refresh_from_db()
    assert entry.state == State.CONFIRMED


def test_a_decline_of_which_no_event_told_is_found_by_reconciling_once(till: Till) -> None:
    entry = make_offer()
    payment = till.start(entry)
    till.pay(payment, POOR)
    let_offer_run_out(entry)

    before = now()
    assert (reconcile().repaired, listed()) == (1, [])

    payment.refresh_from_db()
    entry.refresh_from_db()
    first_end = entry.offer_expires_at
    assert (payment.state, payment.failure_code) == ("CREATED", "insufficient_funds")
    assert first_end is not None
    assert first_end >= before + timedelta(minutes=10)

    assert reconcile().repaired == 0
    till.deliver()  # the event came after all
    entry.refresh_from_db()
    assert entry.offer_expires_at == first_end

    till.pay(payment, DECLINED)  # another charge
    assert reconcile().repaired == 1
    payment.refresh_from_db()
    entry.refresh_from_db()
    assert payment.failure_code == "generic_decline"
    assert entry.offer_expires_at is not None
    assert first_end < entry.offer_expires_at <= (entry.hold_until or now())

    till.pay(payment)
    services.settle_payment(payment_id=payment.pk)
    payment.refresh_from_db()
    assert (payment.state, payment.failure_code) == ("AUTHORISED", "")
    assert payment.charge == till.charge(payment).id


def test_a_decline_forged_on_another_connected_account_changes_nothing(till: Till) -> None:
    """Its owner may write our mark on an intent of their own."""
    entry = make_offer()
    payment = till.start(entry)
    entry.refresh_from_db()
    theirs: Any = {"stripe_account": "acct_1SomebodyElse"}
    mark = {"payment": str(payment.pk), "entry": entry.public_id}
    declined: Any = {"amount": 100, "currency": "eur", "payment_method": "pm_card_visa_chargeDeclined", "confirm": True}
    with pytest.raises(stripe.CardError):
        till.shop.v1.payment_intents.create(declined | {"metadata": mark}, theirs)
    (forged,) = till.shop.v1.events.list({"types": ["payment_intent.payment_failed"]}, theirs).data

    services.receive_event(forged.to_dict())
    handle_events()

    event, before = StripeEvent.objects.get(), entry.offer_expires_at
    assert (event.payment, event.stripe_account) == (None, "acct_1SomebodyElse")
    payment.refresh_from_db()
    entry.refresh_from_db()
    assert (payment.failure_code, entry.offer_expires_at) == ("", before)


def test_a_card_of_ours_named_on_another_connected_account_is_not_looked_at(till: Till) -> None:
    card = winner(till)
    mark = {"card": str(card.pk), "entry": card.entry.public_id}
    event = {"id": "evt_1", "type": "checkout.session.expired", "data": {"object": {"id": "cs_1", "metadata": mark}}}
    services.receive_event(event | {"account": "acct_1SomebodyElse"})
    services.receive_event(event | {"id": "evt_2"})
    assert list(StripeEvent.objects.order_by("stripe_id").values_list("card", flat=True)) == [None, card.pk]


def test_three_d_secure_confirms_after_the_banks_page(till: Till) -> None:
    entry = make_offer()
    payment = till.start(entry)
    till.at_the_bank(payment)
    till.deliver()
    entry.refresh_from_db()
    assert entry.state == State.OFFERED
    till.the_bank_answers(payment)
    till.deliver()
    entry.refresh_from_db()
    assert entry.state == State.CONFIRMED


def test_three_d_secure_that_fails_is_told_and_leaves_the_seat(till: Till) -> None:
    """Stripe's error of it has no decline code."""
    entry = make_offer()
    payment = till.start(entry)
    till.at_the_bank(payment)
    assert till.the_bank_answers(payment, "fail").status_code == 402
    till.deliver()
    payment.refresh_from_db()
    entry.refresh_from_db()
    assert payment.failure_code == "payment_intent_authentication_failure"
    assert "unable to authenticate" in payment.failure_message
    assert entry.state == State.OFFERED
