"""Comparing with Stripe goes on: over many pages, through 429 and death, with others at work, and nothing is done twice."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from payments import services
from payments.gateway import Gateway, Listing
from payments.models import Discrepancy, Reconciliation, Refund
from payments.services import reconciling
from payments.services.reconciling import comparing, repairing, running
from registrations.services import leave_queue
from tests.builders import now
from tests.payments.comparisons import HOUR, LATER, begin, cancelled, listed, reconcile, state
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

pytestmark = pytest.mark.django_db(transaction=True)


def many_sessions(till: Till, number: int) -> None:
    for _ in range(number):
        till.shop.session(metadata={"order": "of another shop"})


def test_several_pages_are_gone_through_and_none_is_left_out(till: Till) -> None:
    first, last = till.start(make_offer()), None
    till.pay(first)
    many_sessions(till, 205)
    last = till.start(make_offer())
    till.pay(last)

    run = begin()
    pages: list[tuple[str, int]] = []
    reconciling.go_on(
        reconciliation_id=run.pk, pages=1000, tell=lambda told: pages.append((told.cursor["list"], told.seen))
    )

    run.refresh_from_db()
    assert pages[:3] == [("sessions", 100), ("sessions", 200), ("intents", 207)]
    assert (run.seen, run.repaired) == (209, 2)
    assert [state(payment)[0] for payment in (first, last)] == ["AUTHORISED"] * 2


def test_when_stripe_wants_fewer_calls_it_pauses_and_goes_on_at_the_page(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    many_sessions(till, 110)
    run = begin()
    till.fail("/v1/checkout/sessions", 429, times=1, method="GET")

    again_at = reconciling.go_on(reconciliation_id=run.pk)

    run.refresh_from_db()
    assert again_at == run.taken_until
    assert again_at
    assert again_at > now()
    assert (run.ended_at, run.seen) == (None, 0)
    assert run.error
    assert reconciling.go_on(reconciliation_id=run.pk) is None  # not before its time
    Reconciliation.objects.update(taken_until=None)
    till.fail("/v1/payment_intents", 429, times=2, method="GET")
    first_pause = reconciling.go_on(reconciliation_id=run.pk)
    run.refresh_from_db()
    assert run.cursor["list"] == "intents"
    assert first_pause
    Reconciliation.objects.update(taken_until=None)
    second_pause = reconciling.go_on(reconciliation_id=run.pk)
    assert second_pause
    assert second_pause > first_pause
    Reconciliation.objects.update(taken_until=None)
    assert reconciling.go_on(reconciliation_id=run.pk) is None
    run.refresh_from_db()
    assert run.ended_at
    assert run.error == ""
    assert run.seen == 112
    assert state(payment)[0] == "AUTHORISED"


class Killed(BaseException):
    """No code of ours catches it, as none runs in a killed process."""


def test_killed_in_the_middle_of_a_page_it_does_that_page_again(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    paid = [till.start(make_offer()) for _ in range(3)]
    for payment in paid:
        till.pay(payment)
    run, real = begin(), repairing.look_at
    done: list[int] = []

    def dies_after_the_first(*, payment_id: int) -> None:
        if done:
            raise Killed
        done.append(payment_id)
        real(payment_id=payment_id)

    monkeypatch.setattr(repairing, "look_at", dies_after_the_first)
    with pytest.raises(Killed):
        reconciling.go_on(reconciliation_id=run.pk)
    monkeypatch.setattr(repairing, "look_at", real)
    run.refresh_from_db()
    assert (run.ended_at, run.seen) == (None, 0)

    assert reconciling.go_on(reconciliation_id=run.pk) is None  # it is left to the dead worker for a while
    Reconciliation.objects.update(taken_until=now() - HOUR)
    reconciling.go_on(reconciliation_id=run.pk)

    run.refresh_from_db()
    assert run.ended_at
    assert {state(payment)[0] for payment in paid} == {"AUTHORISED"}
    run_due()
    check_money()
    check_against_stripe(till)


def test_it_makes_room_after_some_pages(till: Till) -> None:
    run = begin()
    assert reconciling.go_on(reconciliation_id=run.pk, pages=2)
    run.refresh_from_db()
    assert (run.cursor, run.taken_until) == ({"list": "refunds"}, None)


def test_two_workers_share_no_page(till: Till) -> None:
    paid = [till.start(make_offer()) for _ in range(4)]
    for payment in paid:
        till.pay(payment)
    run = begin()
    one = lambda: reconciling.go_on(reconciliation_id=run.pk, pages=1000)  # noqa: E731
    assert together(one, one) == [None, None]
    run.refresh_from_db()
    assert run.ended_at
    assert run.seen == 8


def test_control_without_the_hold_pages_are_counted_twice(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the hold on a run spares us; the test above would find it."""
    till.start(make_offer())
    run = begin()
    both_have_it = threading.Barrier(2)

    class NoHold(running._Hold):
        @classmethod
        def of(cls, run_id: int) -> "running._Hold | None":
            both_have_it.wait(10)
            return cls(run_id, now())

        def keep(self, **changes: object) -> bool:
            if "ended_at" in changes:
                both_have_it.wait(10)
            Reconciliation.objects.filter(pk=self.run_id).update(**changes)
            return "ended_at" not in changes

    monkeypatch.setattr(running, "_Hold", NoHold)
    monkeypatch.setattr(running, "_stripes_page", _after_both_are_there(running._stripes_page, threading.Barrier(2)))
    one = lambda: reconciling.go_on(reconciliation_id=run.pk, pages=1000)  # noqa: E731
    together(one, one)
    run.refresh_from_db()
    assert run.seen != 1


def _after_both_are_there(real: Any, gate: threading.Barrier) -> Any:
    def page(*args: Any) -> Any:
        found = real(*args)
        gate.wait(10)
        return found

    return page


def test_two_comparisons_of_different_kinds_at_once_repair_once(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    till.shop.v1.refunds.create({"payment_intent": till.captured(make_offer()).intent, "amount": 700})
    span = {"since": now() - HOUR, "until": now() + LATER}
    runs = [
        reconciling.begin(kind=kind, account="", **span).pk
        for kind in (Reconciliation.Kind.RECENT, Reconciliation.Kind.NIGHTLY)
    ]
    calls = [lambda pk=pk: reconciling.go_on(reconciliation_id=pk, pages=1000) for pk in runs]
    assert together(*calls) == [None, None]
    assert listed() == []
    assert Refund.objects.get().amount_minor == 700
    run_due()
    check_money()


def test_two_that_begin_at_once_are_at_one(till: Till) -> None:
    first, second = together(begin, begin)
    assert first == second
    assert Reconciliation.objects.count() == 1


def test_in_the_middle_of_a_rush_nothing_is_listed_in_passing(till: Till) -> None:
    """Players pay, leave and are refunded while it compares."""
    entries = [make_offer() for _ in range(6)]
    busy = [lambda entry=entry: _whole_life(till, entry) for entry in entries]
    compare = lambda: [reconcile() for _ in range(4)]  # noqa: E731
    results = together(compare, *busy)
    assert not [answer for answer in results if isinstance(answer, Exception)], results
    assert Discrepancy.objects.count() == 0
    run_due()
    check_money()
    check_against_stripe(till)


def _whole_life(till: Till, entry: Any) -> None:
    payment = till.start(entry)
    till.pay(payment)
    services.settle_payment(payment_id=payment.pk)
    services.capture_payment(payment_id=payment.pk)
    services.refund_payment(refund_id=cancelled(payment).pk)


def test_a_page_costs_the_same_statements_however_full_it_is(till: Till) -> None:
    payments = [till.start(make_offer(make_paid_tournament())) for _ in range(5)]
    items = Gateway().page(Listing.SESSIONS, since=now() - HOUR, until=now() + HOUR).items
    assert {item.id for item in items} == {payment.checkout_session for payment in payments}
    for found in (items[:1], items):
        with CaptureQueriesContext(connection) as captured:
            assert comparing.differences("", found) == []
        assert len(captured) == 1


def test_planned_runs_cover_all_accounts_and_take_up_what_was_left(till: Till, settings: Any) -> None:
    offer = make_offer()
    organization = offer.tournament.organization
    organization.stripe_account = "acct_123"
    organization.save()
    left = begin()

    ids = reconciling.begin_planned(Reconciliation.Kind.RECENT)

    runs = Reconciliation.objects.filter(pk__in=ids)
    assert {(run.kind, run.stripe_account) for run in runs} == {
        ("RECENT", ""), ("RECENT", "acct_123"), ("BY_HAND", "")
    }  # fmt: skip
    assert left.pk in ids
    recent = runs.filter(kind="RECENT").first()
    assert recent
    assert recent.until - recent.since == timedelta(hours=2)
    assert recent.until < now()
    assert reconciling.begin_planned(Reconciliation.Kind.RECENT) == ids
    settings.STRIPE_SECRET_KEY = ""
    assert reconciling.accounts() == []


def test_leaving_while_paying_is_no_difference(till: Till) -> None:
    entry = make_offer()
    payment = till.start(entry)
    leave_queue(account=account_of(entry), public_id=entry.public_id)
    reconcile()
    run_due()
    assert state(payment)[0] == "FAILED"
    assert (reconcile().found, listed()) == (0, [])
