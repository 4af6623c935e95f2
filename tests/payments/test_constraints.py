"""What the database itself refuses, also to a person with a SQL prompt."""

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Model
from django.db.models.functions import Now

from payments.models import Payment
from payments.rules import REFUND_TRANSITIONS, TRANSITIONS, RefundState, State
from registrations.rules import State as EntryState
from tests.builders import make_entry, now
from tests.payments.rows import make_payment, make_refund, payment_in, refund_in
from tests.payments.till import make_offer, make_paid_tournament

pytestmark = pytest.mark.django_db

BLANK = {"intent": None, "authorised_at": None, "captured_at": None, "ended_at": None}


def refuses(row: Model, **changes: Any) -> bool:
    try:
        with transaction.atomic():
            type(row)._default_manager.filter(pk=row.pk).update(**changes)
    except DatabaseError:
        return True
    return False


def test_a_payment_goes_only_where_the_picture_has_an_arrow() -> None:
    for old in State:
        for new in State:
            payment = make_payment(old)
            blank = {**BLANK, "captured_at": None} if new == State.CREATED else {}
            changes = {**blank, **payment_in(new), "state": new}
            changes |= {"intent": f"pi_{old}_{new}"} if "intent" in payment_in(new) else {}
            changes |= {"captured_at": None} if new != State.CAPTURED else {}
            changes |= {"ended_at": None} if "ended_at" not in payment_in(new) else {}
            allowed = old == new or (old, new) in TRANSITIONS
            assert refuses(payment, **changes) != allowed, f"{old} -> {new}"


def test_a_refund_goes_only_where_the_picture_has_an_arrow() -> None:
    for old in RefundState:
        for new in RefundState:
            payment = make_payment(State.CAPTURED, intent=f"pi_{old}_{new}")
            mark = {"stripe_id": f"re_{old}_{new}"}
            refund = make_refund(payment, old, **(mark if "stripe_id" in refund_in(old) else {}))
            allowed = old == new or (old, new) in REFUND_TRANSITIONS
            assert refuses(refund, **{**refund_in(new), **mark, "state": new}) != allowed, f"{old} -> {new}"


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": 1},
        {"currency": "usd"},
        {"stripe_account": "acct_1"},
        {"kept_minor": 100},
        {"due_at": None},
        {"checkout_session": "cs_1"},
        {"checkout_url": "https://checkout.stripe.com/c/1"},
        {"captured_at": Now()},
        {"ended_at": Now()},
        {"released_at": Now()},
        {"release_reason": "left"},
        {"failure_code": "card_declined"},
        {"authorised_at": Now()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_payment_is_whole_or_refused(changes: dict[str, Any]) -> None:
    assert refuses(make_payment(), **changes)


def test_an_entry_has_one_live_payment() -> None:
    entry = make_offer()
    make_payment(State.FAILED, entry=entry)
    make_payment(entry=entry)
    with pytest.raises(DatabaseError, match="payment_one_live_per_entry"):
        make_payment(State.AUTHORISED, entry=entry)


def test_a_session_and_an_intent_pay_for_one_thing() -> None:
    payment = make_payment(State.CAPTURED)
    with pytest.raises(DatabaseError):
        make_payment(State.CAPTURED, intent=payment.intent)


def test_no_more_goes_back_than_was_paid() -> None:
    payment = make_payment(State.CAPTURED)
    make_refund(payment, amount_minor=1500)
    with pytest.raises(DatabaseError, match="more would go back than was paid"), transaction.atomic():
        make_refund(payment, amount_minor=1001)
    make_refund(payment, amount_minor=1000)


def test_a_failed_refund_leaves_room_for_another() -> None:
    payment = make_payment(State.CAPTURED)
    make_refund(payment, RefundState.FAILED)
    make_refund(payment)


def test_only_captured_money_goes_back() -> None:
    refund = make_refund(make_payment(State.AUTHORISED))
    assert refuses(refund, state=RefundState.SUCCEEDED, stripe_id="re_1", ended_at=Now(), due_at=None)


def test_nothing_is_deleted() -> None:
    payment = make_payment(State.CAPTURED)
    refund = make_refund(payment)
    for row in (refund, payment):
        with pytest.raises(DatabaseError), transaction.atomic():
            type(row)._default_manager.filter(pk=row.pk).delete()


def test_a_payment_and_each_change_of_it_leave_an_event() -> None:
    payment = make_payment(entry=make_entry(make_paid_tournament(), state=EntryState.OFFERED))
    Payment.objects.filter(pk=payment.pk).update(failure_code="card_declined", failure_message="No.")
    Payment.objects.filter(pk=payment.pk).update(attempts=5, due_at=now())  # bookkeeping leaves none
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pgh_label FROM payments_paymentevent WHERE pgh_obj_id = %s ORDER BY pgh_id", [payment.pk]
        )
        assert [row[0] for row in cursor.fetchall()] == ["insert", "update"]
