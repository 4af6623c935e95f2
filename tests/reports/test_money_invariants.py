"""I4 to I7 and Stripe's half of I14: each is reported once somebody breaks it, and not before its time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from payments.models import Payment, StripeEvent
from payments.rules import RefundState
from payments.rules import State as Paid
from registrations.models import Notice
from registrations.rules import State
from registrations.services import notices
from reports.invariants import violations
from tests.builders import make_entry, make_staff, make_tournament, now
from tests.payments.rows import make_payment, make_refund
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db

AGO = timedelta(minutes=16)


def found() -> dict[str, int]:
    """How many exceptions of money there are, by invariant; rows written directly owe mails that nobody planned."""
    codes = [sentence.split(":")[0] for sentence in violations() if "mail" not in sentence]
    return {code: codes.count(code) for code in codes}


def paid(entry_state: State, state: Paid = Paid.CAPTURED, **fields: Any) -> Payment:
    """A payment of an entry in a tournament that costs 25 euros."""
    entry = make_entry(make_tournament(fee_minor=2500), state=entry_state)
    return make_payment(state, entry=entry, **fields)


def test_a_paid_seat_breaks_nothing() -> None:
    paid(State.CONFIRMED)
    assert found() == {}


def test_i4_money_without_a_seat() -> None:
    payment = paid(State.CANCELLED, released_at=now() - AGO, release_reason="cancelled")
    assert found() == {"I4": 1}
    make_refund(payment, RefundState.SUCCEEDED)
    assert found() == {}


def test_i4_leaves_a_refund_a_quarter_of_an_hour() -> None:
    make_refund(paid(State.CANCELLED, released_at=now(), release_reason="cancelled"))
    assert found() == {}


def test_i4_counts_what_the_rule_keeps() -> None:
    kept: dict[str, Any] = {"released_at": now() - AGO, "release_reason": "cancelled", "kept_minor": 500}
    make_refund(paid(State.CANCELLED, **kept), RefundState.SUCCEEDED, amount_minor=2000)
    assert found() == {}


def test_i4_a_refund_that_failed_gave_nothing_back() -> None:
    gone: dict[str, Any] = {"released_at": now() - AGO, "release_reason": "cancelled"}
    make_refund(paid(State.CANCELLED, **gone), RefundState.FAILED)
    assert found() == {"I4": 1}


@pytest.mark.parametrize("is_late", [False, True])
def test_i4_leaves_a_refund_that_is_tried_again_a_quarter_of_an_hour(is_late: bool) -> None:
    gone: dict[str, Any] = {"released_at": now() - 2 * AGO, "release_reason": "cancelled"}
    payment = paid(State.CANCELLED, **gone)
    make_refund(payment, RefundState.FAILED)
    make_refund(payment, created_at=now() - (AGO if is_late else timedelta()))
    assert found() == ({"I4": 1} if is_late else {})


def test_i14_a_refund_of_which_its_player_is_not_told() -> None:
    payment = paid(State.CANCELLED, released_at=now(), release_reason="cancelled")
    waiting, gone = make_refund(payment, amount_minor=1000), make_refund(payment, RefundState.PENDING, amount_minor=500)
    make_refund(payment, RefundState.FAILED)

    def owed() -> list[str]:
        return [sentence for sentence in violations() if "owed the mail about refund" in sentence]

    assert len(owed()) == 1
    assert f"about refund {gone.pk}," in owed()[0]
    facts = {"amount_minor": 500, "currency": "eur", "reason": "cancelled"}
    notices.due([payment.entry], Notice.Kind.REFUNDED, now(), number=waiting.pk, facts=facts)
    assert len(owed()) == 1
    notices.due([payment.entry], Notice.Kind.REFUNDED, now(), number=gone.pk, facts=facts)
    assert owed() == []


def test_i5_more_back_than_was_paid() -> None:
    payment = paid(State.CANCELLED, released_at=now(), release_reason="cancelled")
    make_refund(payment, amount_minor=2000)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
    make_refund(payment, amount_minor=501)
    assert found() == {"I5": 1, "I13": 1}  # without triggers there is no history either


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        (Paid.CREATED, {}),
        (Paid.FAILED, {}),
        (Paid.AUTHORISED, {"authorised_at": now() - AGO}),
        (Paid.CAPTURED, {"released_at": now(), "release_reason": "cancelled"}),
    ],
)
def test_i6_a_seat_without_money(state: Paid, fields: dict[str, Any]) -> None:
    paid(State.CONFIRMED, state, **fields)
    assert found() == {"I6": 1}


def test_i6_a_seat_whose_money_went_back() -> None:
    make_refund(paid(State.CONFIRMED), RefundState.SUCCEEDED)
    assert found() == {"I6": 1}


def test_i6_lets_a_fresh_authorisation_and_a_waived_fee_be() -> None:
    paid(State.CONFIRMED, Paid.AUTHORISED)
    waived: dict[str, Any] = {"waived_by": make_staff(), "waiver_reason": "a judge"}
    make_entry(make_tournament(fee_minor=2500), state=State.CONFIRMED, **waived)
    make_entry(make_tournament(), state=State.CONFIRMED)
    assert found() == {}


@pytest.mark.django_db(transaction=True)
def test_i6_asks_for_the_fee_as_it_was_when_the_seat_was_confirmed() -> None:
    tournament = make_tournament(fee_minor=0, seats=2)
    make_entry(tournament, state=State.CONFIRMED, confirmed_at=datetime.now(UTC))
    Tournament.objects.filter(pk=tournament.pk).update(fee_minor=2500)
    assert found() == {}
    make_entry(tournament, state=State.CONFIRMED, confirmed_at=datetime.now(UTC))
    assert found() == {"I6": 1}


def test_i7_two_live_payments() -> None:
    payment = paid(State.OFFERED, Paid.CREATED)
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX payment_one_live_per_entry")
    make_payment(entry=payment.entry)
    assert found() == {"I7": 1}


def test_i14_calls_that_nobody_made() -> None:
    payment = paid(State.OFFERED, Paid.CREATED, due_at=now() - AGO)
    fields: dict[str, Any] = {"type": "checkout.session.completed", "object_id": "cs_1", "received_at": now()}
    StripeEvent.objects.create(stripe_id="evt_1", payment=payment, due_at=now() - AGO, **fields)
    StripeEvent.objects.create(stripe_id="evt_2", payment=None, due_at=now() - AGO, **fields)
    assert found() == {"I14": 2}
