"""Several at once: tabs, webhooks, workers, a clock. Each race that must not hurt has a control in which it does."""

import secrets
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from payments import services
from payments.gateway import Gateway, Session
from payments.models import Payment, StripeEvent
from payments.models.inbox import StripeEventQuerySet
from payments.services import cancelling, capturing, settling, sweeping
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import lapse_offers, leave_queue
from tests.builders import now
from tests.payments.till import (
    DECLINED,
    Till,
    account_of,
    check_against_stripe,
    check_money,
    handle_events,
    let_hold_run_out,
    let_offer_run_out,
    make_offer,
    make_paid_tournament,
    run_due,
    skip_pauses,
)
from tests.payments.together import together
from tournaments.queries import database_now
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


def test_control_without_the_key_each_tab_makes_a_page_of_its_own(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which one is shown, and the others are closed again."""
    entry, real = make_offer(), Gateway._call
    monkeypatch.setattr(Gateway, "_call", lambda gateway, ask, _key="": real(gateway, ask, secrets.token_hex(8)))
    all_after_the_answer(monkeypatch, "create_session", 3)
    together(*[partial(services.start_payment, account=account_of(entry), public_id=entry.public_id)] * 3)
    pages = till.shop.v1.checkout.sessions.list().data
    assert sorted(page.status for page in pages) == ["expired", "expired", "open"]


def test_webhook_return_page_and_sweep_at_once_confirm_once(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = make_offer()
    payment = till.start(entry)
    till.pay(payment)
    event = till.shop.v1.events.list({"type": "checkout.session.completed"}).data[0].to_dict()
    services.receive_event(event)
    skip_pauses()
    with monkeypatch.context() as patch:
        all_after_the_answer(patch, "retrieve_intent", 3)
        results = together(
            partial(services.handle_stripe_event, stripe_id=event["id"]),
            partial(services.settle_payment, payment_id=payment.pk),
            sweep_payments,
        )
    assert results == [None] * 3
    entry.refresh_from_db()
    assert entry.state == State.CONFIRMED
    assert times_confirmed(entry) == 1
    assert times_authorised(payment) == 1
    run_due()
    check_money()
    check_against_stripe(till)


def sweep_payments() -> None:
    for payment_id in sweeping.take_due_payments():
        sweeping.advance(payment_id=payment_id)


def all_after_the_answer(patch: pytest.MonkeyPatch, call: str, count: int) -> None:
    """So many have Stripe's answer to this call before any of them writes it down."""
    all_have_it, real = threading.Barrier(count), getattr(Gateway, call)

    def answered(*args: Any, **kwargs: Any) -> Any:
        answer = real(*args, **kwargs)
        all_have_it.wait(30)
        return answer

    patch.setattr(Gateway, call, answered)


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


def times_captured(payment: Payment) -> int:
    return _count("SELECT count(DISTINCT captured_at) FROM payments_paymentevent WHERE pgh_obj_id = %s", payment.pk)


def times_confirmed(entry: QueueEntry) -> int:
    changes = "SELECT count(DISTINCT confirmed_at) FROM registrations_queueentryevent WHERE pgh_obj_id = %s"
    return _count(changes, entry.pk)


def _count(query: str, row: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, [row])
        return int(cursor.fetchone()[0])


# --- Stripe's word: early, twice, or never --------------------------------------------------------------------


def paid_before_our_commit(till: Till, monkeypatch: pytest.MonkeyPatch) -> Payment:
    """Stripe has made the page, it is paid, and its event handled, before our row says which page that is."""
    entry, real = make_offer(), Gateway.create_session

    def slowly(gateway: Any, order: Any, *, key: str) -> Any:
        session = real(gateway, order, key=key)
        assert till.shop.pay(session).status_code == 303
        till.deliver()
        return session

    with monkeypatch.context() as patch:
        patch.setattr(Gateway, "create_session", slowly)
        return till.start(entry)


def test_a_webhook_before_our_commit_leaves_the_payment_to_be_looked_at_again(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = paid_before_our_commit(till, monkeypatch)
    assert StripeEvent.objects.get().handled_at is not None  # no second one comes
    assert payment.state == "CREATED"
    assert payment.due_at is not None
    assert payment.due_at <= database_now() + settling.LOOK_AGAIN
    run_due()
    payment.refresh_from_db()
    payment.entry.refresh_from_db()
    assert (payment.state, payment.entry.state) == ("CAPTURED", State.CONFIRMED)
    assert times_authorised(payment) == 1
    check_money()
    check_against_stripe(till)


def test_control_ending_a_payment_whose_page_is_not_known_yet_loses_what_was_paid(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What putting it off spares us: the player has paid, and is told to begin again."""
    real, over = settling._session, Session(id="", status="expired", url="", intent=None)
    monkeypatch.setattr(settling, "_session", lambda payment, gateway: real(payment, gateway) or over)
    with pytest.raises(services.PaymentClosingError):
        paid_before_our_commit(till, monkeypatch)
    run_due()
    payment = Payment.objects.get()
    assert (payment.state, payment.entry.state) == ("FAILED", State.OFFERED)


def handled_by_four(till: Till) -> int:
    """One event, delivered and handled four times at once: how often somebody worked at it."""
    payment = till.start(make_offer())
    till.pay(payment)
    event = till.shop.v1.events.list({"type": "checkout.session.completed"}).data[0].to_dict()
    assert together(*[partial(services.receive_event, event)] * 4) == [None] * 4
    together(*[partial(services.handle_stripe_event, stripe_id=event["id"])] * 4)
    return StripeEvent.objects.get().attempts


def test_one_delivery_in_four_processes_is_noted_and_handled_once(till: Till) -> None:
    assert handled_by_four(till) == 1


def test_control_without_taking_it_all_four_handle_a_delivery(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    everything_is_due(monkeypatch)
    assert handled_by_four(till) == 4


def everything_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if an event were handled whenever it is delivered, taken or handled already."""
    monkeypatch.setattr(StripeEventQuerySet, "due", lambda events, _now: events)


def more_time_by_a_second_delivery(till: Till, *, charge_is_known: bool = True) -> timedelta:
    """A card is refused, which gives its player ten more minutes; how many more the same event gives when it comes again.

    Unless `charge_is_known`, the payment has forgotten by then which charge was refused.
    """
    payment = till.start(make_offer())
    offers = QueueEntry.objects.filter(pk=payment.entry_id)
    offers.update(offer_expires_at=now() + timedelta(minutes=1))
    till.pay(payment, DECLINED)
    (event,) = till.events("payment_intent.payment_failed")
    ends = []
    for _ in range(2):
        services.receive_event(event)
        handle_events()
        ends.append(offers.get().offer_expires_at)
        if not charge_is_known:
            Payment.objects.filter(pk=payment.pk).update(charge=None)
    first, second = ends
    assert first is not None
    assert second is not None
    assert first > now() + timedelta(minutes=8)
    return second - first


def test_a_refusal_that_is_delivered_twice_gives_more_time_once(till: Till) -> None:
    assert more_time_by_a_second_delivery(till, charge_is_known=False) == timedelta(0)


def test_a_refusal_that_is_handled_twice_gives_more_time_once(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    everything_is_due(monkeypatch)
    assert more_time_by_a_second_delivery(till) == timedelta(0)


def test_control_a_refusal_that_is_handled_twice_unknown_gives_more_time_twice(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything_is_due(monkeypatch)
    assert more_time_by_a_second_delivery(till, charge_is_known=False) > timedelta(0)


def paid_unheard(till: Till) -> Payment:
    """A page that was paid, whose event is lost and whose player never comes back; then worker and beat have had their time."""
    payment = till.start(make_offer())
    till.pay(payment)
    run_due()
    payment.refresh_from_db()
    payment.entry.refresh_from_db()
    return payment


def test_a_lost_webhook_is_made_good_by_the_sweep(till: Till) -> None:
    payment = paid_unheard(till)
    assert not StripeEvent.objects.exists()
    assert (payment.state, payment.entry.state) == ("CAPTURED", State.CONFIRMED)
    check_money()
    check_against_stripe(till)


def test_control_without_the_sweep_a_lost_webhook_is_a_lost_payment(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "take_due_payments", list)
    payment = paid_unheard(till)
    assert (payment.state, payment.entry.state) == ("CREATED", State.OFFERED)
    assert till.intent(payment).status == "requires_capture"


# --- Workers and a clock -------------------------------------------------------------------------------------


def due_payments(till: Till) -> set[int]:
    tournament = make_paid_tournament(seats=10)
    payments = {till.start(make_offer(tournament)).pk for _ in range(6)}
    skip_pauses()
    return payments


def test_two_sweeps_at_once_take_different_payments(till: Till) -> None:
    payments = due_payments(till)
    first, second = together(sweeping.take_due_payments, sweeping.take_due_payments)
    assert set(first) | set(second) == payments
    assert not set(first) & set(second)
    assert sweeping.take_due_payments() == []


def test_control_sweeps_that_do_not_leave_a_row_to_its_worker_take_it_again(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "TAKEN_SECONDS", 0)
    payments = due_payments(till)
    assert set(sweeping.take_due_payments()) == set(sweeping.take_due_payments()) == payments


def captured_by_three(till: Till, monkeypatch: pytest.MonkeyPatch) -> Payment:
    """Three workers have Stripe's word that the money was taken before any of them writes it down."""
    payment = till.authorised(make_offer())
    with monkeypatch.context() as patch:
        all_after_the_answer(patch, "capture_intent", 3)
        together(*[partial(sweeping.advance, payment_id=payment.pk)] * 3)
    return payment


def test_three_workers_on_the_same_payment_capture_it_once(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    payment = captured_by_three(till, monkeypatch)
    assert times_captured(payment) == 1
    check_money()
    check_against_stripe(till)


def test_control_without_the_lock_each_of_them_captures_it(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    all_have_read = threading.Barrier(3)

    def unlocked(payment_id: int) -> Payment:
        found = Payment.objects.select_related("entry").get(pk=payment_id)
        all_have_read.wait(30)
        return found

    monkeypatch.setattr(capturing, "lock_payment", unlocked)
    assert times_captured(captured_by_three(till, monkeypatch)) == 3


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


@pytest.mark.parametrize(
    ("is_first", "outcome"), [(True, ("CAPTURED", State.CONFIRMED)), (False, ("FAILED", State.PASSED))]
)
def test_paying_a_moment_before_or_after_the_page_is_closed(
    till: Till, monkeypatch: pytest.MonkeyPatch, is_first: bool, outcome: tuple[str, str]
) -> None:
    """The page is still open when Stripe is asked how it stands; then both want it."""
    payment = till.start(make_offer())
    let_offer_run_out(payment.entry)
    close, pay = Gateway.expire_session, partial(till.pay, payment)

    def close_and_pay(gateway: Any, session_id: str, *, key: str) -> Any:
        if is_first:
            assert pay().status_code == 303
        closed = close(gateway, session_id, key=key)
        assert pay().status_code != 303
        return closed

    monkeypatch.setattr(Gateway, "expire_session", close_and_pay)
    services.settle_payment(payment_id=payment.pk)
    run_due()
    payment.refresh_from_db()
    payment.entry.refresh_from_db()
    assert (payment.state, payment.entry.state) == outcome
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


def cancelled_by_three(till: Till) -> int:
    """Five paid seats of a cancelled tournament; how many cancellations three workers count together."""
    tournament = make_paid_tournament(seats=5)
    for _ in range(5):
        till.captured(make_offer(tournament))
    type(tournament).objects.filter(pk=tournament.pk).update(cancelled_at=Now())
    return sum(together(*[partial(services.cancel_confirmed_entries, tournament_id=tournament.pk)] * 3))


def test_cancelling_a_tournament_by_three_workers_refunds_each_once(till: Till) -> None:
    assert cancelled_by_three(till) == 5
    run_due()
    assert len(till.shop.v1.refunds.list().data) == 5
    check_money()
    check_against_stripe(till)


def test_control_without_skipping_what_another_holds_each_worker_does_all_of_it(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The locks on each seat still let its money go back once only."""
    all_have_read = threading.Barrier(3)

    def unlocked(tournament_id: int, after: int) -> cancelling._Batch | None:
        confirmed = QueueEntry.objects.filter(tournament=tournament_id, state=State.CONFIRMED, pk__gt=after)
        ids = list(confirmed.order_by("pk").values_list("pk", flat=True))
        if after == 0:
            all_have_read.wait(30)
        return cancelling._Batch(ids[-1], sum(cancelling._cancel_one(pk) for pk in ids)) if ids else None

    monkeypatch.setattr(cancelling, "_cancel_batch", unlocked)
    assert cancelled_by_three(till) == 15
    run_due()
    assert len(till.shop.v1.refunds.list().data) == 5
