"""Giving a paid seat back: the rule's amount, once, whatever fails on the way; and a cancelled tournament."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from payments import services
from payments.models import Refund
from payments.rules import refund_terms
from payments.services import refunding
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import NotInQueueError
from tests.builders import make_staff, make_tournament, now
from tests.payments.till import (
    Till,
    account_of,
    check_against_stripe,
    check_money,
    make_offer,
    make_paid_tournament,
    run_due,
    skip_pauses,
    states,
    told,
)
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db(transaction=True)


def cancel(entry: QueueEntry, expected_minor: int | None = None) -> QueueEntry:
    return services.cancel_and_refund(
        account=account_of(entry), public_id=entry.public_id, expected_minor=expected_minor
    )


def test_a_cancelled_seat_is_refunded_in_full(till: Till) -> None:
    payment = till.captured(make_offer())
    cancel(payment.entry, 2500)
    assert states(payment) == ("CAPTURED", State.CANCELLED)
    assert payment.refunds.get().state == "DUE"
    run_due()
    refund = payment.refunds.get()
    assert (refund.state, refund.amount_minor, refund.by) == ("SUCCEEDED", 2500, account_of(payment.entry))
    assert "CANCELLED" in told(payment.entry)
    check_money()
    check_against_stripe(till)


def test_the_kept_percentage_is_kept(till: Till) -> None:
    payment = till.captured(make_offer(make_paid_tournament(fee_minor=2599, refund_kept_percent=10)))
    cancel(payment.entry)
    run_due()
    payment.refresh_from_db()
    assert (payment.kept_minor, payment.refunds.get().amount_minor) == (259, 2340)
    check_money()
    check_against_stripe(till)


def test_after_the_deadline_nothing_goes_back_and_the_page_says_so_first(till: Till) -> None:
    payment = till.captured(make_offer(make_paid_tournament(refund_until=now() - timedelta(hours=1))))
    with pytest.raises(services.RefundChangedError):
        cancel(payment.entry, 2500)
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    cancel(payment.entry, 0)
    run_due()
    assert not payment.refunds.exists()
    check_money()


def test_a_seat_given_back_before_the_capture_is_never_charged(till: Till) -> None:
    payment = till.authorised(make_offer())
    cancel(payment.entry)
    run_due()
    assert states(payment) == ("VOIDED", State.CANCELLED)
    assert not payment.refunds.exists()
    check_against_stripe(till)


def test_what_is_kept_is_captured_before_the_rest_goes_back(till: Till) -> None:
    payment = till.authorised(make_offer(make_paid_tournament(refund_kept_percent=20)))
    cancel(payment.entry)
    run_due()
    assert states(payment) == ("CAPTURED", State.CANCELLED)
    assert payment.refunds.get().amount_minor == 2000
    check_money()
    check_against_stripe(till)


def test_a_capture_that_overtakes_the_cancellation_is_refunded(till: Till) -> None:
    payment = till.authorised(make_offer())
    till.shop.v1.payment_intents.capture(payment.intent)  # as if our call were under way
    cancel(payment.entry)
    run_due()
    assert states(payment) == ("CAPTURED", State.CANCELLED)
    assert payment.refunds.get().amount_minor == 2500
    check_money()
    check_against_stripe(till)


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_refund_is_made_once_whatever_is_answered(till: Till, status: int, when: str) -> None:
    payment = till.captured(make_offer(make_paid_tournament(refund_kept_percent=60)))
    cancel(payment.entry)
    till.fail("/v1/refunds", status=status, when=when)
    run_due()
    assert payment.refunds.get().state == "SUCCEEDED"
    assert len(till.shop.v1.refunds.list().data) == 1
    check_money()
    check_against_stripe(till)


def test_a_refund_that_stripe_refuses_is_left_to_a_person(till: Till) -> None:
    payment = till.captured(make_offer())
    till.shop.v1.refunds.create({"payment_intent": payment.intent})  # by somebody, at Stripe
    cancel(payment.entry)
    run_due()
    refund = payment.refunds.get()
    assert (refund.state, refund.failure_code) == ("FAILED", "charge_already_refunded")


def test_a_refused_refund_is_tried_again_once_its_cause_is_gone(till: Till) -> None:
    payment = till.captured(make_offer(make_paid_tournament(refund_kept_percent=10)))
    cancel(payment.entry)
    till.fail("/v1/refunds", status=400, code="insufficient_funds")
    run_due()
    failed = payment.refunds.get()
    assert failed.state == "FAILED"
    staff = make_staff()
    again = services.retry_refund(refund_id=failed.pk, by=staff, reason="The balance is filled up.")
    with pytest.raises(services.NothingToRefundError):
        services.retry_refund(refund_id=failed.pk, by=staff, reason="twice")
    run_due()
    again.refresh_from_db()
    assert (again.state, again.amount_minor, again.by) == ("SUCCEEDED", 2250, staff)
    check_money()
    check_against_stripe(till)


def test_a_refund_that_went_through_is_not_made_again(till: Till) -> None:
    payment = till.captured(make_offer())
    cancel(payment.entry)
    run_due()
    with pytest.raises(services.NothingToRefundError):
        services.retry_refund(refund_id=payment.refunds.get().pk, by=make_staff(), reason="to be sure")


def test_staff_refund_again_in_the_admin(till: Till, client: Client) -> None:
    payment = till.captured(make_offer())
    cancel(payment.entry)
    till.fail("/v1/refunds", status=400)
    run_due()
    client.force_login(make_staff())
    failed = payment.refunds.get()
    change = client.get(reverse("admin:payments_refund_change", args=[failed.pk]))
    assert f"/admin/payments/refund/{failed.pk}/retry" in change.content.decode()
    answer = client.post(f"/admin/payments/refund/{failed.pk}/retry/", {"reason": "The bank is back."}, follow=True)
    assert "A new refund is on its way" in answer.content.decode()
    assert payment.refunds.filter(state="DUE").count() == 1


def test_cancelling_again_changes_nothing(till: Till) -> None:
    payment = till.captured(make_offer())
    for _ in range(3):
        assert cancel(payment.entry).state == State.CANCELLED
    run_due()
    assert payment.refunds.count() == 1


def test_only_a_confirmed_seat_is_cancelled(till: Till) -> None:
    with pytest.raises(NotInQueueError):
        cancel(make_offer())


def test_a_free_seat_is_cancelled_without_money(till: Till) -> None:
    entry = make_offer(make_tournament())
    services.start_payment(account=account_of(entry), public_id=entry.public_id)
    assert cancel(entry, 0).state == State.CANCELLED
    assert not Refund.objects.exists()


def test_cancel_tournament_gives_everybody_the_money_back(till: Till) -> None:
    tournament = make_paid_tournament(seats=5, refund_kept_percent=50, refund_until=now() - timedelta(days=1))
    captured, authorised, open_one, offered = (make_offer(tournament) for _ in range(4))
    payments = [till.captured(captured), till.authorised(authorised), till.start(open_one)]
    services.cancel_tournament(tournament_id=tournament.pk, by=make_staff(), reason="storm")
    run_due()
    assert [states(payment) for payment in payments] == [
        ("CAPTURED", State.CANCELLED),
        ("VOIDED", State.CANCELLED),
        ("FAILED", State.CLOSED),
    ]
    assert payments[0].refunds.get().amount_minor == 2500
    offered.refresh_from_db()
    assert offered.state == State.CLOSED
    check_money()
    check_against_stripe(till)


def test_cancelling_a_tournament_goes_on_where_it_was_killed(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    tournament = make_paid_tournament(seats=4)
    payments = [till.captured(make_offer(tournament)) for _ in range(4)]
    services.cancel_tournament(tournament_id=tournament.pk, by=make_staff(), reason="storm")
    with monkeypatch.context() as patch:
        done = iter([True, True])
        real = services.cancelling._cancel_one
        patch.setattr(services.cancelling, "BATCH", 2)
        patch.setattr(services.cancelling, "_cancel_one", lambda pk: next(done) and real(pk))
        with pytest.raises((StopIteration, RuntimeError)):
            services.cancel_confirmed_entries(tournament_id=tournament.pk)
    cancelled = QueueEntry.objects.filter(tournament=tournament, state=State.CANCELLED)
    assert cancelled.count() == 2
    run_due()
    assert cancelled.count() == 4
    assert Refund.objects.filter(state="SUCCEEDED").count() == len(payments)
    check_money()
    check_against_stripe(till)


def test_a_payment_that_comes_in_while_its_tournament_is_cancelled_is_voided(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    services.cancel_tournament(tournament_id=payment.entry.tournament_id, by=make_staff(), reason="storm")
    till.deliver()
    run_due()
    assert states(payment) == ("VOIDED", State.CLOSED)
    check_against_stripe(till)


def test_a_capture_failing_for_good_in_a_cancelled_tournament_offers_nothing(till: Till) -> None:
    payment = till.authorised(make_offer())
    Tournament.objects.filter(pk=payment.entry.tournament_id).update(cancelled_at=Now())
    till.fail("/v1/payment_intents/*/capture", status=402, times=10)
    for _ in range(5):
        skip_pauses()
        services.capture_payment(payment_id=payment.pk)
    assert states(payment) == ("FAILED", State.CANCELLED)


def test_terms_are_what_is_then_done(till: Till) -> None:
    cache.clear()
    payment = till.captured(make_offer(make_paid_tournament(refund_kept_percent=33)))
    entry = QueueEntry.objects.select_related("tournament").get(pk=payment.entry_id)
    terms = refunding.cancellation_terms(entry)
    cancel(entry, terms.refund_minor)
    assert payment.refunds.get().amount_minor == terms.refund_minor == 1675


@pytest.mark.parametrize(
    ("amount", "percent", "step", "refund"),
    [(2500, 33, 1, 1675), (12340, 33, 10, 8270), (12340, 0, 10, 12340), (12340, 100, 10, 0), (250000, 33, 100, 167500)],
)
def test_a_refund_is_rounded_for_the_player_to_what_cards_can_pay(
    amount: int, percent: int, step: int, refund: int
) -> None:
    terms = refund_terms(amount_minor=amount, kept_percent=percent, refund_until=None, now=now(), step_minor=step)
    assert (terms.refund_minor, terms.kept_minor) == (refund, amount - refund)
