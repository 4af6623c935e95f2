"""Worker and beat: the tasks as they are named in the schedule, run where they are called."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.conf import LazySettings
from django.db.models.functions import Now
from djstripe.models import WebhookEventTrigger

from payments import services, tasks
from payments.models import Payment, SavedCard, StripeEvent
from payments.services import planning, releasing, sweeping
from registrations.rules import State
from registrations.services import lapse_offer, offer_seats
from tests.builders import make_entry, make_organization, make_staff, now
from tests.payments.cards import file_card, make_lottery
from tests.payments.till import (
    Till,
    account_of,
    check_against_stripe,
    check_money,
    let_offer_run_out,
    make_offer,
    make_paid_tournament,
    run_due,
    skip_pauses,
)

SCHEDULED = {
    "bury_failed_mails",
    "charge_due_cards",
    "forget_deliveries",
    "look_for_fraud",
    "reconcile_nightly",
    "reconcile_recent",
    "sweep",
    "sweep_cards",
    "sweep_seats",
}
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at_once() -> Iterator[None]:
    """Tasks run where they are asked for, also those that a commit wakes."""
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = False


def test_what_is_in_the_schedule_exists(settings: LazySettings) -> None:
    scheduled = {str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    ours = {name for name in scheduled if name.startswith("payments.")}
    assert ours == {f"payments.tasks.{name}" for name in SCHEDULED}
    assert ours <= set(current_app.tasks)


def test_a_confirmation_wakes_its_capture(till: Till, at_once: None) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    services.settle_payment(payment_id=payment.pk)
    payment.refresh_from_db()
    assert payment.state == "CAPTURED"


def test_a_cancellation_wakes_its_refund(till: Till, at_once: None) -> None:
    payment = till.captured(make_offer())
    services.cancel_and_refund(account=account_of(payment.entry), public_id=payment.entry.public_id)
    assert payment.refunds.get().state == "SUCCEEDED"


def test_the_sweep_finds_a_payment_of_which_nobody_told(till: Till, at_once: None) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    skip_pauses()
    tasks.sweep()
    payment.refresh_from_db()
    assert payment.state == "CAPTURED"


def test_the_sweep_ends_what_ran_out_and_what_was_given_up(till: Till, at_once: None) -> None:
    late, left = till.start(make_offer()), till.start(make_offer())
    let_offer_run_out(late.entry)
    Payment.objects.filter(pk=late.pk).update(due_at=Now())
    type(left.entry).objects.filter(pk=left.entry_id).update(
        state=State.LEFT, seat=None, offer_expires_at=None, hold_until=None, checkout_at=None, ended_at=Now()
    )
    tasks.sweep()
    assert set(Payment.objects.values_list("state", flat=True)) == {"FAILED"}
    assert till.session(late).status == till.session(left).status == "expired"


def fails_for(real: Callable[..., Any], broken: object, name: str) -> Callable[..., Any]:
    """The service, but that one row breaks it: `name` is the argument that says which."""

    def service(*args: Any, **given: Any) -> Any:
        if (given.get(name) or args[0]) == broken:
            raise ValueError("this row is broken")
        return real(*args, **given)

    return service


def test_a_row_that_breaks_holds_nothing_else_of_the_sweep_up(
    till: Till, at_once: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = [till.start(make_offer()) for _ in range(2)]
    late = [make_offer(checkout_at=now()) for _ in range(2)]
    paid = till.start(make_offer())
    till.pay(paid)
    for payment in left:
        type(payment.entry).objects.filter(pk=payment.entry_id).update(
            state=State.LEFT, seat=None, offer_expires_at=None, hold_until=None, checkout_at=None, ended_at=Now()
        )
    for entry in late:
        let_offer_run_out(entry)
    skip_pauses()
    monkeypatch.setattr(releasing, "release_payment", fails_for(releasing.release_payment, left[0], "payment"))
    monkeypatch.setattr(sweeping, "lapse_offer", fails_for(lapse_offer, late[0].pk, "entry_id"))

    tasks.sweep()

    for row in (*left, *late, paid):
        row.refresh_from_db()
    assert [payment.released_at is not None for payment in left] == [False, True]
    assert [entry.state for entry in late] == [State.OFFERED, State.PASSED]
    assert paid.state == "CAPTURED"
    assert caplog.text.count("ValueError: this row is broken") == 2


def test_a_card_that_breaks_holds_up_no_other(till: Till, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, other = winners_to_plan(till)
    monkeypatch.setattr(planning, "_say_instead_of_the_offer", fails_for(lambda *_: None, broken, "card"))
    tasks.charge_due_cards()
    assert SavedCard.objects.filter(charge_due_at__isnull=False).get() == other


def winners_to_plan(till: Till) -> list[SavedCard]:
    """Two cards whose entries were offered a seat a moment ago, in the order of the offers."""
    tournament = make_lottery(seats=2)
    cards = [file_card(till, make_entry(tournament)) for _ in range(2)]
    assert offer_seats(tournament_id=tournament.pk) == 2
    return cards


def test_the_sweep_handles_an_event_whose_worker_died(till: Till, at_once: None) -> None:
    payment = till.start(make_offer())
    till.pay(payment)
    event = till.shop.v1.events.list({"type": "checkout.session.completed"}).data[0]
    StripeEvent.objects.create(
        stripe_id=event.id,
        type=event.type,
        object_id=event.data.object.id,
        payment=payment,
        received_at=Now(),
        due_at=Now() - timedelta(minutes=1),
        attempts=1,
    )
    Payment.objects.filter(pk=payment.pk).update(due_at=Now() + timedelta(hours=1))
    tasks.sweep()
    payment.refresh_from_db()
    assert payment.state == "CAPTURED"


def test_the_sweep_goes_on_with_a_tournament_half_cancelled(till: Till, at_once: None) -> None:
    payment = till.captured(make_offer())
    type(payment.entry.tournament).objects.update(cancelled_at=Now())
    tasks.sweep_seats()
    assert payment.refunds.get().state == "SUCCEEDED"


def test_an_event_about_something_else_is_put_aside(till: Till) -> None:
    for metadata in ({}, {"payment": "1"}, {"payment": "x" * 30, "entry": "1"}, {"payment": "9" * 30}):
        session = till.shop.session(metadata=metadata)
        till.shop.v1.checkout.sessions.expire(session.id)
    till.deliver()
    assert set(StripeEvent.objects.values_list("payment", flat=True)) == {None}
    assert not StripeEvent.objects.filter(handled_at=None).exists()


def test_an_event_is_handled_later_when_stripe_is_away(till: Till) -> None:
    payment = till.start(make_offer())
    till.pay(payment, "4000000000000002")
    till.fail("/v1/payment_intents/*")
    till.deliver()
    event = StripeEvent.objects.get()
    assert (event.handled_at, event.attempts) == (None, 1)
    run_due()
    payment.refresh_from_db()
    assert payment.failure_code == "generic_decline"


def test_an_organization_is_paid_on_its_own_stripe_account(till: Till) -> None:
    tournament = make_paid_tournament(organization=make_organization(stripe_account="acct_1ClubOfDortmund"))
    payment = till.captured(make_offer(tournament))
    assert payment.stripe_account == "acct_1ClubOfDortmund"
    assert till.intents() == []  # nothing on the platform's own
    theirs = till.shop.v1.payment_intents.retrieve(payment.intent, {}, {"stripe_account": "acct_1ClubOfDortmund"})
    assert theirs.amount_received == 2500
    services.cancel_tournament(tournament_id=tournament.pk, by=make_staff(), reason="storm")
    run_due()
    assert payment.refunds.get().state == "SUCCEEDED"
    check_money()
    check_against_stripe(till)


def test_the_bodies_of_old_deliveries_are_forgotten(at_once: None) -> None:
    for _ in range(2):
        WebhookEventTrigger.objects.create(remote_ip="127.0.0.1", headers={}, body="{}")
    newest = WebhookEventTrigger.objects.latest("pk")
    WebhookEventTrigger.objects.exclude(pk=newest.pk).update(created=Now() - timedelta(days=31))
    tasks.forget_deliveries()
    assert WebhookEventTrigger.objects.get() == newest
