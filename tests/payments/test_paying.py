"""From the button to a captured payment: Stripe is asked, whoever says that there is news."""

import pytest
import requests

from payments import services
from payments.models import Payment
from registrations.rules import State
from registrations.services import EntryNotFoundError, OfferOverError
from tests.builders import make_entry, make_tournament, make_user
from tests.payments.till import (
    DECLINED,
    POOR,
    SECURE,
    Till,
    account_of,
    check_against_stripe,
    check_money,
    let_offer_run_out,
    make_offer,
    run_due,
    told,
)

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


def test_three_d_secure_confirms_after_the_banks_page(till: Till) -> None:
    entry = make_offer()
    payment = till.start(entry)
    assert till.pay(payment, SECURE).headers["location"].endswith("/authenticate")
    till.deliver()
    entry.refresh_from_db()
    assert entry.state == State.OFFERED
    requests.post(f"{payment.checkout_url}/authenticate", {"result": "complete"}, allow_redirects=False, timeout=20)
    till.deliver()
    entry.refresh_from_db()
    assert entry.state == State.CONFIRMED
