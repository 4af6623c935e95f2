"""What the database itself refuses of cards on file, disputes, reviews, the books and dead letters; each with plain SQL."""

from datetime import timedelta
from typing import Any

import pytest

from payments.models import (
    DeadLetter,
    Discrepancy,
    Dispute,
    LedgerLine,
    Reconciliation,
    Review,
    SavedCard,
    SignalRule,
)
from payments.rules import Finding, LetterKind, ReviewState, Signal, State
from tests.builders import make_entry, make_staff, now
from tests.payments.rows import make_payment, make_refund
from tests.payments.till import make_paid_tournament
from tests.raw_sql import Tries, change, copy, names_in, refused, remove

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)

TRIES = Tries()
breaks = TRIES.breaks
# No row breaks it alone: an unknown state is neither of those that were saved nor of those that were not.
IMPLIED = {"savedcard savedcard_state_known"}
MODELS = (SavedCard, Dispute, Review, SignalRule, LedgerLine, Reconciliation, Discrepancy, DeadLetter)


def test_every_constraint_and_trigger_is_tried() -> None:
    assert set(TRIES) | IMPLIED == {f"{model._meta.model_name} {name}" for model in MODELS for name in names_in(model)}


@pytest.mark.parametrize("name", TRIES)
def test_database_refuses_what_breaks(name: str) -> None:
    with refused() as refusal:
        TRIES[name]()
    assert refusal.comes_from(name.split()[1]), refusal


# --- Rows ---------------------------------------------------------------------------------------------------------

SAVED = {"state": "SAVED", "customer": "cus_1", "payment_method": "pm_1", "saved_at": now()}


def card(**columns: Any) -> SavedCard:
    entry = columns.pop("entry", None) or make_entry(make_paid_tournament())
    values = {"agreed_minor": 2500, "currency": "eur", "session_expires_at": now(), "created_at": now()}
    return SavedCard.objects.create(entry=entry, **{**values, "due_at": now(), **columns})


def dispute(**columns: Any) -> Dispute:
    values = {"stripe_id": "du_1", "amount_minor": 2500, "currency": "eur", "reason": "fraudulent"}
    payment = make_payment(State.CAPTURED)
    return Dispute.objects.create(
        payment=payment, **{**values, "status": "needs_response", "opened_at": now(), **columns}
    )


def review(**columns: Any) -> Review:
    entry = make_entry(make_paid_tournament())
    return Review.objects.create(entry=entry, score=100, signals=[], opened_at=now(), **columns)


def decided() -> Review:
    by = make_staff()
    return review(state=ReviewState.APPROVED, decided_at=now(), decided_by=by, reason="a friend of mine")


def signal_rule() -> SignalRule:
    return SignalRule.objects.create(code=Signal.CARD, limit=3, points=100)


def line() -> LedgerLine:
    return LedgerLine.objects.create(
        stripe_id="txn_1", category="charge", amount_minor=2500, fee_minor=103, net_minor=2397, currency="eur",
        booked_at=now(), available_at=now(),
    )  # fmt: skip


def reconciliation() -> Reconciliation:
    return Reconciliation.objects.create(kind="RECENT", since=now() - HOUR, until=now(), started_at=now())


def discrepancy() -> Discrepancy:
    return Discrepancy.objects.create(
        kind=Finding.STATE, object_id="pi_1", says="They differ.", first_seen_at=now(), last_seen_at=now()
    )


def letter() -> DeadLetter:
    return DeadLetter.objects.create(kind=LetterKind.MAIL, reference="mail 1", cause="bounced", failed_at=now())


# --- Cards on file ------------------------------------------------------------------------------------------------


@breaks("savedcard savedcard_session_with_its_address")
def _() -> None:
    change(card(), checkout_session="cs_1")


@breaks("savedcard savedcard_known_exactly_when_it_was_saved")
def _() -> None:
    change(card(), state="SAVED")


@breaks("savedcard savedcard_ended_at_exactly_when_ended")
def _() -> None:
    change(card(), state="DROPPED")


@breaks("savedcard savedcard_charged_only_while_saved")
def _() -> None:
    change(card(), charge_due_at=now())


@breaks("savedcard savedcard_due_while_asked")
def _() -> None:
    change(card(), due_at=None)


@breaks("savedcard savedcard_failure_code_with_its_message")
def _() -> None:
    change(card(), failure_code="card_declined")


@breaks("savedcard savedcard_one_live_per_entry")
def _() -> None:
    copy(card())


@breaks("savedcard state_machine")
def _() -> None:
    change(card(**SAVED), state="ASKED", payment_method=None, saved_at=None)


@breaks("savedcard identity")
def _() -> None:
    change(card(), agreed_minor=5000)


@breaks("savedcard never_deleted")
def _() -> None:
    remove(card())


# --- Disputes -----------------------------------------------------------------------------------------------------


@breaks("dispute dispute_status_known")
def _() -> None:
    change(dispute(), status="settled over a beer")


@breaks("dispute dispute_amount_positive")
def _() -> None:
    change(dispute(), amount_minor=0)


@breaks("dispute dispute_ended_at_exactly_when_ended")
def _() -> None:
    change(dispute(), status="won")


@breaks("dispute identity")
def _() -> None:
    change(dispute(), stripe_id="du_2")


@breaks("dispute never_deleted")
def _() -> None:
    remove(dispute())


def test_what_a_chargeback_took_is_not_given_back_too() -> None:
    found = dispute(amount_minor=2000)
    back = make_refund(found.payment, amount_minor=501)
    with refused() as refusal:
        change(back, state="PENDING", stripe_id="re_1")
    assert refusal.comes_from("at_most_what_was_paid")
    rest = make_refund(found.payment, amount_minor=500)
    change(rest, state="PENDING", stripe_id="re_2")


# --- Reviews ------------------------------------------------------------------------------------------------------


@breaks("signalrule signalrule_code_known")
def _() -> None:
    change(signal_rule(), code="HOROSCOPE")


@breaks("signalrule signalrule_limit_positive")
def _() -> None:
    change(signal_rule(), limit=0)


@breaks("review review_state_known")
def _() -> None:
    by = make_staff()
    copy(review(), state="ASLEEP", decided_at=now(), decided_by_id=by.pk, reason="why not")


@breaks("review review_decided_by_somebody_with_a_reason")
def _() -> None:
    change(review(), state="REJECTED")


@breaks("review review_one_open_per_entry")
def _() -> None:
    copy(review())


@breaks("review state_machine")
def _() -> None:
    change(decided(), state="REJECTED")


@breaks("review identity")
def _() -> None:
    change(review(), entry_id=make_entry(make_paid_tournament()).pk)


@breaks("review never_deleted")
def _() -> None:
    remove(review())


# --- The books ----------------------------------------------------------------------------------------------------


@breaks("ledgerline ledgerline_net_is_amount_less_fee")
def _() -> None:
    copy(line(), stripe_id="txn_2", net_minor=2500)


@breaks("ledgerline never_deleted")
def _() -> None:
    remove(line())


@breaks("ledgerline never_changed")
def _() -> None:
    change(line(), source="ch_1")


@breaks("reconciliation reconciliation_of_some_time")
def _() -> None:
    change(reconciliation(), until=now() - 2 * HOUR)


@breaks("reconciliation reconciliation_one_at_work")
def _() -> None:
    copy(reconciliation())


@breaks("discrepancy discrepancy_kind_known")
def _() -> None:
    change(discrepancy(), kind="MOOD")


@breaks("discrepancy discrepancy_resolved_with_a_word")
def _() -> None:
    change(discrepancy(), resolved_at=now())


@breaks("discrepancy discrepancy_open_once")
def _() -> None:
    copy(discrepancy())


@breaks("discrepancy never_deleted")
def _() -> None:
    remove(discrepancy())


# --- Dead letters -------------------------------------------------------------------------------------------------


@breaks("deadletter deadletter_kind_known")
def _() -> None:
    change(letter(), kind="OTHER")


@breaks("deadletter deadletter_state_known")
def _() -> None:
    copy(letter(), state="LOST", decided_at=now(), decided_by_id=make_staff().pk, reason="x", reference="mail 2")


@breaks("deadletter deadletter_has_a_cause")
def _() -> None:
    change(letter(), cause="")


@breaks("deadletter deadletter_decided_by_somebody_with_a_reason")
def _() -> None:
    change(letter(), state="DISMISSED")


@breaks("deadletter deadletter_open_once")
def _() -> None:
    copy(letter())


@breaks("deadletter state_machine")
def _() -> None:
    found = letter()
    change(found, state="DISMISSED", decided_at=now(), decided_by_id=make_staff().pk, reason="a typo")
    change(found, state="RETRIED")


@breaks("deadletter never_deleted")
def _() -> None:
    remove(letter())
