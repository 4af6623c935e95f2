"""Staff and organizers give a part back, or take the seat back; what a bank sends back is told to somebody."""

from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from post_office.models import Email

from payments import services
from payments.models import Payment, Refund
from payments.queries import SETTLED, cancellation_progress, left_of
from payments.queries.refunds import RefundSum
from payments.rules import State as Paid
from registrations.models import Notice, QueueEntry
from registrations.rules import State
from registrations.services import NotInQueueError, waive_fee
from registrations.services.notices import send_due_notices
from reports import ledger
from reports.invariants import violations
from reports.queries import timeline
from tests.builders import make_organization, make_organizer, make_staff
from tests.payments.rows import make_payment
from tests.payments.till import (
    Till,
    account_of,
    check_against_stripe,
    check_money,
    make_offer,
    make_paid_tournament,
    run_due,
    told,
)

pytestmark = pytest.mark.django_db(transaction=True)
PENDING, SENT_BACK = "4000000000007726", "4000000000005126"


def captured_with(till: Till, number: str, entry: QueueEntry | None = None) -> Payment:
    payment = till.start(entry or make_offer())
    assert till.pay(payment, number).status_code == 303
    services.settle_payment(payment_id=payment.pk)
    services.capture_payment(payment_id=payment.pk)
    payment.refresh_from_db()
    assert payment.state == "CAPTURED"
    return payment


def cancel(entry: QueueEntry) -> None:
    services.cancel_and_refund(account=account_of(entry), public_id=entry.public_id)


def holds(till: Till) -> None:
    check_money()
    check_against_stripe(till)
    assert [sentence for sentence in violations() if sentence.split(":")[0] in ("I4", "I5", "I6")] == []


def test_a_part_goes_back_and_the_seat_stays(till: Till) -> None:
    payment, staff = till.captured(make_offer()), make_staff()
    refund = services.refund_part(payment_id=payment.pk, amount_minor=1000, by=staff, reason="The start was late.")
    run_due()
    refund.refresh_from_db()
    payment.entry.refresh_from_db()
    assert (refund.state, refund.by, payment.entry.state) == ("SUCCEEDED", staff, State.CONFIRMED)
    assert "€10.00 goes back, and the seat stays." in [moment.text for moment in timeline(payment.entry)]
    holds(till)


def test_some_has_to_stay_with_the_seat(till: Till) -> None:
    payment, staff = till.captured(make_offer()), make_staff()
    services.refund_part(payment_id=payment.pk, amount_minor=1500, by=staff, reason="late")
    for amount in (1000, 1001, 2500):
        with pytest.raises(services.TooMuchError, match=r"€10\.00 is left"):
            services.refund_part(payment_id=payment.pk, amount_minor=amount, by=staff, reason="late")
    for amount in (0, -5):
        with pytest.raises(services.NothingToRefundError):
            services.refund_part(payment_id=payment.pk, amount_minor=amount, by=staff, reason="late")
    run_due()
    holds(till)


def test_a_seat_that_is_cancelled_after_a_part_went_back_gives_back_the_rest(till: Till) -> None:
    payment = till.captured(make_offer(make_paid_tournament(refund_kept_percent=10)))
    services.refund_part(payment_id=payment.pk, amount_minor=500, by=make_staff(), reason="late")
    run_due()
    cancel(payment.entry)
    run_due()
    payment.refresh_from_db()
    assert payment.kept_minor == 200  # ten percent of what was left
    assert sorted(payment.refunds.values_list("amount_minor", flat=True)) == [500, 1800]
    holds(till)


@pytest.mark.parametrize(("amount", "kept"), [(2500, 0), (1000, 1500), (0, 2500)])
def test_a_seat_taken_back_goes_to_the_queue_with_its_refund_decided(till: Till, amount: int, kept: int) -> None:
    payment = till.captured(make_offer())
    seat = payment.entry.seat
    entry = services.take_seat_back(payment_id=payment.pk, amount_minor=amount, by=make_staff(), reason="Cheating.")
    payment.refresh_from_db()
    assert (entry.state, payment.kept_minor) == (State.CANCELLED, kept)
    assert seat is not None
    assert type(seat).objects.free().filter(pk=seat.pk).exists()
    assert sum(payment.refunds.values_list("amount_minor", flat=True)) == amount
    run_due()
    holds(till)


def test_an_authorised_seat_taken_back_in_full_is_never_charged(till: Till) -> None:
    payment = till.authorised(make_offer())
    services.take_seat_back(payment_id=payment.pk, amount_minor=2500, by=make_staff(), reason="Double entry.")
    run_due()
    payment.refresh_from_db()
    assert (payment.state, payment.refunds.count()) == ("VOIDED", 0)
    holds(till)


def test_a_seat_is_taken_back_once_and_not_for_more_than_is_left(till: Till) -> None:
    payment, staff = till.captured(make_offer()), make_staff()
    with pytest.raises(services.TooMuchError):
        services.take_seat_back(payment_id=payment.pk, amount_minor=2501, by=staff, reason="?")
    services.take_seat_back(payment_id=payment.pk, amount_minor=2500, by=staff, reason="rules")
    with pytest.raises(NotInQueueError):
        services.take_seat_back(payment_id=payment.pk, amount_minor=2500, by=staff, reason="rules")
    with pytest.raises(services.NothingToRefundError):
        services.refund_part(payment_id=payment.pk, amount_minor=1, by=staff, reason="rules")


def test_the_player_is_told_once_what_goes_back_and_why(till: Till) -> None:
    payment = captured_with(till, PENDING)
    services.refund_part(payment_id=payment.pk, amount_minor=1000, by=make_staff(), reason="The start was late.")
    assert "REFUNDED" not in told(payment.entry)
    run_due()
    refund = payment.refunds.get()
    notice = Notice.objects.get(entry=payment.entry, kind="REFUNDED")
    assert (refund.state, notice.offer_number) == ("PENDING", refund.pk)
    till.shop.control("clock", advance=120)
    run_due()
    refund.refresh_from_db()
    assert refund.state == "SUCCEEDED"
    while send_due_notices():
        pass
    mail = Email.objects.get(subject="€10.00 goes back to you")
    assert "Why: The start was late." in mail.message
    holds(till)


def test_a_refund_that_the_bank_sends_back_is_told_to_the_organizer(till: Till) -> None:
    payment = captured_with(till, SENT_BACK)
    cancel(payment.entry)
    run_due()
    assert payment.refunds.get().state == "SUCCEEDED"
    till.shop.control("clock", advance=120)
    till.deliver()
    refund = payment.refunds.get()
    assert refund.state == "FAILED"
    mail = Email.objects.get(subject__contains="A refund of €25.00 failed")
    assert mail.to == ["desk@organizers.example"]
    assert reverse("admin:payments_refund_change", args=[refund.pk]) in mail.message


def test_a_failed_goodwill_refund_is_not_retried_into_an_unpaid_seat(till: Till) -> None:
    payment, staff = till.captured(make_offer()), make_staff()
    failed = services.refund_part(payment_id=payment.pk, amount_minor=1500, by=staff, reason="late")
    till.fail("/v1/refunds", status=400, code="insufficient_funds")
    run_due()
    services.refund_part(payment_id=payment.pk, amount_minor=1000, by=staff, reason="late")
    with pytest.raises(services.TooMuchError):
        services.retry_refund(refund_id=failed.pk, by=staff, reason="again")
    run_due()
    holds(till)


def test_what_stays_with_a_seat_is_not_settled_another_way(till: Till) -> None:
    payment, staff = till.captured(make_offer()), make_staff()
    failed = services.refund_part(payment_id=payment.pk, amount_minor=1500, by=staff, reason="late")
    till.fail("/v1/refunds", status=400, code="insufficient_funds")
    run_due()
    with pytest.raises(services.NothingToRefundError):
        services.settle_another_way(refund_id=failed.pk, by=staff, reason="in cash")


def test_a_failed_refund_is_settled_another_way_once_whatever_else_is_left(till: Till) -> None:
    """Of two that failed, settling the one leaves the other owed."""
    payment, staff = till.captured(make_offer()), make_staff()
    part = services.refund_part(payment_id=payment.pk, amount_minor=700, by=staff, reason="late")
    till.fail("/v1/refunds", status=400, code="insufficient_funds")
    run_due()
    till.fail("/v1/refunds", status=400, code="insufficient_funds")
    services.take_seat_back(payment_id=payment.pk, amount_minor=2500, by=staff, reason="rules")
    run_due()

    assert services.settle_another_way(refund_id=part.pk, by=staff, reason="in cash") == 700
    for refused in (services.settle_another_way, services.retry_refund):
        with pytest.raises(services.NothingToRefundError):
            refused(refund_id=part.pk, by=staff, reason="in cash")
    payment.refresh_from_db()
    assert left_of(payment) == 1800


def test_an_organizer_settles_a_failed_refund_in_the_admin(till: Till, client: Client) -> None:
    payment = till.captured(make_offer())
    till.fail("/v1/refunds", status=400, code="insufficient_funds")
    cancel(payment.entry)
    run_due()
    refund = payment.refunds.get()
    there = reverse("admin:payments_refund_another_way", args=[refund.pk])
    client.force_login(make_organizer(payment.entry.tournament.organization))
    assert (
        "Given back another way"
        in client.get(reverse("admin:payments_refund_change", args=[refund.pk])).content.decode()
    )
    assert client.post(there, {"reason": ""}).status_code == 200
    page = client.post(there, {"reason": "By bank transfer."}, follow=True)
    assert "€25.00 is settled" in page.content.decode()
    payment.refresh_from_db()
    refund.refresh_from_db()
    assert (payment.kept_minor, refund.settled_minor, violations()) == (2500, 2500, [])
    for refused in (services.settle_another_way, services.retry_refund):
        with pytest.raises(services.NothingToRefundError):
            refused(refund_id=refund.pk, by=make_staff(), reason="Once more.")
    (total,) = ledger.totals(payment.entry.tournament_id)
    assert (total.balance.another_way_minor, total.balance.kept_minor, total.balance.refunded_minor) == (2500, 0, 0)
    assert cancellation_progress(payment.entry.tournament_id).refunds == [RefundSum(SETTLED, "eur", 1, 2500)]
    timeline = client.get(reverse("entry_staff", args=[payment.entry.public_id])).content.decode()
    assert "€25.00 was given back another way." in timeline
    shown = client.get(reverse("admin:payments_payment_change", args=[payment.pk])).content.decode()
    assert "€25.00" in shown
    assert "(&#x27;" not in shown  # a label's pair is not for tables


def test_a_waived_seat_is_cancelled_without_money(till: Till) -> None:
    entry = make_offer()
    waive_fee(public_id=entry.public_id, by=make_staff(), reason="Judge")
    services.start_payment(account=account_of(entry), public_id=entry.public_id)
    cancel(entry)
    run_due()
    entry.refresh_from_db()
    assert (entry.state, Refund.objects.count(), Payment.objects.count()) == (State.CANCELLED, 0, 0)


# --- The admin ------------------------------------------------------------------------------------------------


def test_an_organizer_refunds_a_part_in_the_admin(till: Till, client: Client) -> None:
    payment = till.captured(make_offer())
    client.force_login(make_organizer(payment.entry.tournament.organization))
    there = reverse("admin:payments_payment_refund_part", args=[payment.pk])
    assert there in client.get(reverse("admin:payments_payment_change", args=[payment.pk])).content.decode()
    assert "€25.00 is left." in client.get(there).content.decode()
    refused = client.post(there, {"amount": "25.00", "reason": "late"})
    assert "Some of it has to stay" in str(refused.context["form"].errors["amount"])
    assert 'value="25.00"' in refused.content.decode()
    sent = {"amount": "10.50", "reason": "late", "once": "abc"}
    for _again in range(2):
        client.post(there, sent)
    assert payment.refunds.get().amount_minor == 1050


def test_an_organizer_takes_a_seat_back_in_the_admin(till: Till, client: Client) -> None:
    payment = till.captured(make_offer())
    client.force_login(make_organizer(payment.entry.tournament.organization))
    there = reverse("admin:payments_payment_take_back", args=[payment.pk])
    client.post(there, {"amount": "20", "reason": "Cheating."})
    payment.refresh_from_db()
    payment.entry.refresh_from_db()
    assert (payment.entry.state, payment.kept_minor, payment.refunds.get().amount_minor) == (State.CANCELLED, 500, 2000)
    assert there not in client.get(reverse("admin:payments_payment_change", args=[payment.pk])).content.decode()


def test_somebody_elses_organizer_and_a_player_decide_nothing(till: Till, client: Client) -> None:
    payment = till.captured(make_offer())
    for account in (make_organizer(make_organization("Theirs")), account_of(payment.entry)):
        client.force_login(account)
        for name in ("refund_part", "take_back"):
            there = reverse(f"admin:payments_payment_{name}", args=[payment.pk])
            assert client.post(there, {"amount": "1", "reason": "mine"}).status_code in (302, 403, 404)
    assert not payment.refunds.exists()


def test_the_list_of_payments_costs_the_same_for_many(client: Client, django_assert_num_queries: Any) -> None:
    client.force_login(make_staff())
    for _number in range(4):
        make_payment(Paid.CAPTURED)
    there = reverse("admin:payments_payment_changelist")
    client.get(there)
    with django_assert_num_queries(4):
        client.get(there)


# --- A whole tournament ---------------------------------------------------------------------------------------


def test_the_progress_of_a_cancelled_tournament_is_shown_to_its_organizers_alone(till: Till, client: Client) -> None:
    tournament = make_paid_tournament(seats=4)
    payments = [till.captured(make_offer(tournament)) for _ in range(3)]
    till.shop.control("disputes", payment_intent=payments[0].intent)
    till.deliver()
    type(tournament).objects.filter(pk=tournament.pk).update(cancelled_at=Now())
    client.force_login(make_organizer(tournament.organization))
    there = reverse("admin:tournaments_tournament_refunds", args=[tournament.pk])
    assert there in client.get(reverse("admin:tournaments_tournament_change", args=[tournament.pk])).content.decode()
    assert cancellation_progress(tournament.pk).seats == 3
    assert 'http-equiv="refresh"' in client.get(there).content.decode()

    run_due()
    progress = cancellation_progress(tournament.pk)
    assert [(one.stage, one.count, one.minor) for one in progress.refunds] == [
        ("FROZEN", 1, 2500),
        ("SUCCEEDED", 2, 5000),
    ]
    assert (progress.seats, progress.open_payments, progress.is_done) == (0, 0, True)
    page = client.get(there).content.decode()
    assert "€50.00" in page
    assert 'http-equiv="refresh"' not in page

    client.force_login(make_organizer(make_organization("Theirs")))
    assert client.get(there).status_code == 404
