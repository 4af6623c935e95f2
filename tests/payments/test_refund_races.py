"""Refunds against disputes, tabs and workers at the same moment. Each race that must not hurt has a control in which it does."""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from celery import current_app
from django.db import connection, transaction

from payments import services
from payments.gateway import Gateway
from payments.models import Payment, Refund
from payments.models.refund import new_idempotency_key
from payments.queries import given_back, left_of
from payments.rules import RefundState
from payments.rules import State as Money
from payments.services import cancelling, disputing, refunding, staff_refunds, sweeping
from payments.tasks import carry_out_refund
from registrations.rules import State
from reports.invariants import violations
from tests.builders import make_entry, make_staff
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
from tests.payments.together import together
from tests.processes import Child, wait_for_the_database_to_notice
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db(transaction=True)


def dispute_it(till: Till, payment: Payment) -> None:
    """The bank's move and its event; Stripe has none left to dispute when all of it went back first."""
    try:
        till.shop.control("disputes", payment_intent=payment.intent)
    except AssertionError:
        return
    till.deliver()


def win(till: Till) -> None:
    for found in till.shop.v1.disputes.list().data:
        till.shop.control("disputes", dispute=found.id, status="won")
    till.deliver()


def cancelled(till: Till, count: int = 1) -> list[Payment]:
    """Payments of seats that were given back; their refunds are due."""
    tournament = make_paid_tournament(seats=count)
    payments = [till.captured(make_offer(tournament)) for _number in range(count)]
    for payment in payments:
        services.cancel_and_refund(account=account_of(payment.entry), public_id=payment.entry.public_id)
    return payments


def test_a_refund_against_a_dispute_gives_back_once(till: Till) -> None:
    payments = cancelled(till, 4)
    together(
        *[partial(services.refund_payment, refund_id=payment.refunds.get().pk) for payment in payments],
        *[partial(dispute_it, till, payment) for payment in payments],
    )
    till.deliver()
    run_due()
    check_money()
    assert not Refund.objects.filter(state=RefundState.FAILED).exists()
    win(till)
    run_due()
    assert set(Refund.objects.values_list("state", flat=True)) == {RefundState.SUCCEEDED}
    check_money()
    check_against_stripe(till)


def test_control_a_refund_that_does_not_ask_for_the_dispute_fails_for_good(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dispute comes between the look at our rows and the call: without asking, the player would have to be paid by hand."""
    (payment,) = cancelled(till)
    till.shop.control("disputes", payment_intent=payment.intent)
    monkeypatch.setattr(refunding, "learn_of_disputes", lambda payment: False)  # noqa: ARG005
    services.refund_payment(refund_id=payment.refunds.get().pk)
    till.deliver()
    win(till)
    run_due()
    assert payment.refunds.get().state == RefundState.FAILED


def test_an_answer_about_a_dispute_that_was_overtaken_is_asked_for_again(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = till.captured(make_offer())
    overtake(till, payment, monkeypatch)
    assert payment.disputes.get().status == "won"
    check_against_stripe(till)


def test_control_without_comparing_an_old_answer_overwrites_the_new_one(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = till.captured(make_offer())
    monkeypatch.setattr(disputing, "_known", lambda dispute: None)  # noqa: ARG005
    overtake(till, payment, monkeypatch)
    assert payment.disputes.get().status == "needs_response"


def overtake(till: Till, payment: Payment, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker has Stripe's answer in hand while the bank decides, and another worker writes that down."""
    till.shop.control("disputes", payment_intent=payment.intent)
    (found,) = till.shop.v1.disputes.list().data
    real, overtaken = Gateway.retrieve_dispute, iter([True])

    def slowly(gateway: Any, dispute_id: str) -> Any:
        answer = real(gateway, dispute_id)
        if next(overtaken, False):
            till.shop.control("disputes", dispute=found.id, status="won")
            services.record_dispute(stripe_id=found.id)
        return answer

    monkeypatch.setattr(Gateway, "retrieve_dispute", slowly)
    services.record_dispute(stripe_id=found.id)


def two_goodwill_refunds(payment: Payment) -> list[Any]:
    """Two members of staff, each of whom would leave something."""
    refund = partial(services.refund_part, payment_id=payment.pk, reason="The start was late.")
    return together(
        partial(refund, amount_minor=1500, by=make_staff()), partial(refund, amount_minor=1000, by=make_staff())
    )


def test_two_goodwill_refunds_at_once_leave_some_for_the_seat(till: Till) -> None:
    payment = till.captured(make_offer())
    answers = two_goodwill_refunds(payment)
    assert sorted(type(answer).__name__ for answer in answers) == ["Refund", "TooMuchError"]
    run_due()
    check_money()
    check_against_stripe(till)


def test_control_without_the_lock_two_goodwill_refunds_leave_an_unpaid_seat(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = till.captured(make_offer())
    monkeypatch.setattr(staff_refunds, "lock_payment", lambda pk: Payment.objects.select_related("entry").get(pk=pk))
    both_have_looked = threading.Barrier(2)
    real = left_of

    def late(found: Payment) -> int:
        left = real(found)
        both_have_looked.wait(10)
        return left

    monkeypatch.setattr(staff_refunds, "left_of", late)
    two_goodwill_refunds(payment)
    assert given_back(payment) == payment.amount_minor
    assert [sentence for sentence in violations() if sentence.startswith("I6")]


def test_a_seat_taken_back_in_two_tabs_is_refunded_once(till: Till) -> None:
    payment, staff = till.captured(make_offer()), make_staff()
    take = partial(services.take_seat_back, payment_id=payment.pk, amount_minor=2000, by=staff, reason="rules")
    answers = together(take, take, take)
    assert sum(getattr(answer, "state", "") == State.CANCELLED for answer in answers) == 1
    run_due()
    assert payment.refunds.get().amount_minor == 2000
    check_money()
    check_against_stripe(till)


def test_a_staff_refund_against_a_dispute_is_refused_or_waits(till: Till) -> None:
    payment, staff = till.captured(make_offer()), make_staff()
    refund = partial(services.refund_part, payment_id=payment.pk, amount_minor=1000, by=staff, reason="late")
    answer, _disputed = together(refund, partial(dispute_it, till, payment))
    run_due(3)
    assert isinstance(answer, Refund | services.DisputedError)
    check_money()
    win(till)
    run_due()
    assert payment.refunds.filter(state=RefundState.SUCCEEDED).exists() is isinstance(answer, Refund)
    check_money()
    check_against_stripe(till)


def part_by_two_workers(till: Till) -> int:
    """How many refunds Stripe makes of one that is due, a part, so that there is room for a second."""
    payment = till.captured(make_offer())
    refund = services.refund_part(payment_id=payment.pk, amount_minor=1000, by=make_staff(), reason="late")
    together(*[partial(services.refund_payment, refund_id=refund.pk)] * 2)
    run_due()
    return len(till.shop.v1.refunds.list().data)


def test_two_workers_on_one_refund_make_one(till: Till) -> None:
    assert part_by_two_workers(till) == 1
    check_money()
    check_against_stripe(till)


def test_control_two_workers_without_our_key_make_two(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Gateway.create_refund
    both_are_here = threading.Barrier(2)

    def keyless(gateway: Any, intent: str, *, amount_minor: int, key: str, metadata: dict[str, str]) -> Any:
        both_are_here.wait(10)
        return real(gateway, intent, amount_minor=amount_minor, key=new_idempotency_key(), metadata=metadata)

    monkeypatch.setattr(Gateway, "create_refund", keyless)
    assert part_by_two_workers(till) == 2


def test_taking_seats_back_while_they_are_captured_takes_no_money(till: Till) -> None:
    tournament, staff = make_paid_tournament(seats=5), make_staff()
    payments = [till.authorised(make_offer(tournament)) for _number in range(5)]
    takes = [
        partial(services.take_seat_back, payment_id=one.pk, amount_minor=2500, by=staff, reason="rules")
        for one in payments
    ]
    together(*[partial(services.capture_payment, payment_id=one.pk) for one in payments], *takes)
    run_due()
    check_money()
    check_against_stripe(till)


def test_control_a_capture_that_forgets_the_cancellation_keeps_money_without_a_seat(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What deciding the refund with the record of the capture spares us."""
    payment = till.authorised(make_offer())
    till.shop.v1.payment_intents.capture(payment.intent)  # our call gets through, and its answer comes after this:
    services.take_seat_back(payment_id=payment.pk, amount_minor=2500, by=make_staff(), reason="rules")
    with monkeypatch.context() as patch:
        patch.setattr(services.capturing, "give_back", lambda payment: None)  # noqa: ARG005
        run_due()
    with pytest.raises(AssertionError, match="I4"):
        check_money()


# --- Thousands of refunds ------------------------------------------------------------------------------------


def paid_seats(till: Till, count: int) -> Tournament:
    """A tournament whose seats are paid; by a card on file, which takes a tenth of a checkout's calls."""
    tournament, method = make_paid_tournament(seats=count), till.shop.saved_card()
    for _number in range(count):
        entry = make_entry(tournament, state=State.CONFIRMED)
        make_payment(Money.CAPTURED, entry=entry, intent=till.shop.charge_later(method).id)
    return tournament


def killed_after(times: int, owner: Any, name: str, act: Callable[[], object]) -> Child:
    """A process that acts, and is killed right after its so-many-th call of a function."""
    real, lives = getattr(owner, name), iter(range(times - 1))

    def deadly(*args: Any, **kwargs: Any) -> Any:
        answer = real(*args, **kwargs)
        if next(lives, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    def acts_until_then() -> None:
        setattr(owner, name, deadly)  # in a process of its own
        act()

    return Child(acts_until_then)


def carry_out_refunds() -> None:
    for refund_id in sweeping.take_due_refunds():
        services.refund_payment(refund_id=refund_id)


def test_hundreds_of_seats_are_refunded_once_each_though_two_workers_are_killed(till: Till) -> None:
    tournament = paid_seats(till, 200)
    services.cancel_tournament(tournament_id=tournament.pk, by=make_staff(), reason="storm")

    cancel = partial(services.cancel_confirmed_entries, tournament_id=tournament.pk)
    assert killed_after(50, cancelling, "_cancel_one", cancel).was_killed()
    wait_for_the_database_to_notice()
    assert Refund.objects.count() == 40  # of whole batches
    assert tournament.entries.filter(state=State.CONFIRMED).count() == 160

    assert killed_after(10, Gateway, "create_refund", carry_out_refunds).was_killed()
    wait_for_the_database_to_notice()
    assert refunds_at_stripe(till) == 10
    assert Refund.objects.filter(state=RefundState.SUCCEEDED).count() == 9  # the tenth has no answer

    run_due()
    assert set(Refund.objects.values_list("state", flat=True)) == {RefundState.SUCCEEDED}
    assert (
        Refund.objects.values("payment").distinct().count() == Refund.objects.count() == refunds_at_stripe(till) == 200
    )
    check_money()


def refunds_at_stripe(till: Till) -> int:
    return len(till.shop.control("state?kind=refund", verb="GET")["refund"])


def tasks_before_the_capture(till: Till) -> int:
    """Workers take their tasks from the broker; how many they do before a capture that is due after a bulk cancellation."""
    tournament = paid_seats(till, 30)
    services.cancel_tournament(tournament_id=tournament.pk, by=make_staff(), reason="storm")
    services.cancel_confirmed_entries(tournament_id=tournament.pk)
    payment = till.authorised(make_offer())
    done = 0
    while Payment.objects.filter(pk=payment.pk, state=Money.AUTHORISED).exists():
        do_next_task()
        done += 1
    return done - 1


def do_next_task() -> None:
    """What a worker of payments is given next."""
    with current_app.connection_for_read() as broker:
        channel: Any = broker.default_channel
        message = channel.basic_get("payments", no_ack=True)
    args, _kwargs, _embedded = message.payload
    current_app.tasks[message.headers["task"]](*args)


def test_a_capture_is_not_made_to_wait_by_a_bulk_cancellations_refunds(till: Till) -> None:
    assert tasks_before_the_capture(till) <= 1  # going on with the cancellation
    assert Refund.objects.filter(state=RefundState.DUE).count() == 30


def test_control_refunds_in_one_line_with_captures_make_them_wait(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(carry_out_refund), "apply_async", partial(carry_out_refund.apply_async, priority=0))
    assert tasks_before_the_capture(till) >= 30


def test_a_sweep_takes_as_many_refunds_as_are_carried_out_before_the_next() -> None:
    """The budget leaves sweeps 15 calls a second, and there is a sweep every 3 s."""
    tournament = make_paid_tournament(seats=50)
    for _number in range(50):
        make_refund(make_payment(Money.CAPTURED, entry=make_offer(tournament)))
    assert len(sweeping.take_due_refunds()) == 45
    assert len(sweeping.take_due_refunds()) == 5


def test_a_sweep_takes_no_more_whatever_plan_postgresql_chooses() -> None:
    """Where PostgreSQL runs a subquery for each row of the table, its LIMIT would be for each row too."""
    tournament = make_paid_tournament(seats=50)
    for _number in range(50):
        make_refund(make_payment(Money.CAPTURED, entry=make_offer(tournament)))
    with transaction.atomic(), connection.cursor() as cursor:
        for way in ("hashjoin", "mergejoin", "hashagg", "sort", "material"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        assert len(sweeping.take_due_refunds()) == 45
