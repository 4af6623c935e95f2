"""Winners' cards: when they are charged, what every refusal leads to, and that nobody is charged who did not agree."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from celery import current_app
from django.core.cache import cache
from django.db.models.functions import Now
from post_office.models import Email

from payments import services, tasks
from payments.models import SavedCard
from payments.rules import CHARGE_PAUSES, CHARGED_IN_VAIN, first_charge, next_charge
from payments.services import inbox, sweeping
from registrations.models import Notice, QueueEntry
from registrations.rules import State
from registrations.services import (
    leave_queue,
    offer_seats,
    pause_tournament,
    resume_tournament,
    waive_fee,
)
from registrations.services.notices import send_due_notices
from reports import metrics
from reports.invariants import violations
from simulator.declines import CHECK, DOCUMENTED, NEVER
from tests.builders import make_entry, make_staff, now
from tests.payments.cards import (
    DECLINES_LATER,
    EVERY_TIME,
    charge,
    file_card,
    fresh,
    is_attached,
    make_lottery,
    run_cards,
    time_has_come,
    winner,
)
from tests.payments.till import (
    GOOD,
    Till,
    account_of,
    check_against_stripe,
    check_money,
    states,
    told,
)
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)


# --- The plan ------------------------------------------------------------------------------------------------


def test_a_winner_is_told_and_charged_after_the_hours_to_decline(till: Till) -> None:
    card = winner(till)
    entry = card.entry
    assert card.charge_due_at is not None
    assert card.charge_due_at == (entry.offered_at or now()) + 24 * HOUR
    assert sweeping.take_due_charges() == []
    payment = charge(card)
    assert states(payment) == ("AUTHORISED", State.CONFIRMED)
    run_cards()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    assert fresh(card).state == "DETACHED"
    assert not is_attached(till, card.payment_method)
    assert (payment.card_last4, payment.checkout_session) == ("4242", None)
    check_money()
    check_against_stripe(till)


def test_one_mail_says_that_they_won_and_what_is_charged_when(till: Till) -> None:
    card = winner(till)
    Notice.objects.filter(kind=Notice.Kind.OFFERED).update(due_at=Now())
    send_due_notices()
    (mail,) = Email.objects.all()
    assert "You won a Masters seat" in mail.subject
    assert "(Visa 4242) is charged €25.00" in mail.message
    assert "decline it before that" in mail.message
    assert services.plan_charges() == 0
    assert told(card.entry) == {"OFFERED", "WON", "ENDING"}


def test_who_has_no_card_is_told_of_the_offer_as_always(till: Till) -> None:
    tournament = make_lottery()
    entry = make_entry(tournament)
    offer_seats(tournament_id=tournament.pk)
    assert services.plan_charges() == 0
    Notice.objects.filter(kind=Notice.Kind.OFFERED).update(due_at=Now())
    send_due_notices()
    assert "is yours until" in Email.objects.get().subject
    assert told(entry) == {"OFFERED", "ENDING"}


def test_a_plan_never_shortens_the_hours_to_decline() -> None:
    at = now()
    assert first_charge(offered_at=at, expires_at=at + 48 * HOUR, decline_hours=24) == at + 24 * HOUR
    assert first_charge(offered_at=at, expires_at=at + 25 * HOUR, decline_hours=24) == at + 24 * HOUR
    assert first_charge(offered_at=at, expires_at=at + 25 * HOUR - timedelta(seconds=1), decline_hours=24) is None


def test_who_has_too_little_time_to_decline_is_not_charged_but_asked(till: Till) -> None:
    """Such as a tournament whose hours were written past the form."""
    card = winner(till, make_lottery(late_offer_hours=2))
    assert (card.failure_code, card.needs_player_at is not None) == ("offer_too_short", True)
    assert told(card.entry) >= {"ACTION"}
    run_cards()
    assert not card.payments.exists()


def test_tries_pause_longer_and_longer_and_end_an_hour_before_the_offer() -> None:
    at = now()
    pauses = []
    for charges in range(1, 6):
        again = next_charge(charges=charges, code="insufficient_funds", now=at, expires_at=at + 48 * HOUR)
        pauses.append(again and again - at)
    assert pauses == [*CHARGE_PAUSES, None, None]
    assert next_charge(charges=1, code="do_not_honor", now=at, expires_at=at + 2 * HOUR) == at + HOUR
    assert next_charge(charges=1, code="do_not_honor", now=at, expires_at=at + 2 * HOUR - timedelta(seconds=1)) is None


def test_nothing_is_tried_again_that_stripe_advises_against() -> None:
    advised = {code for code, (_words, advice) in DOCUMENTED.items() if advice in (NEVER, CHECK)}
    assert advised <= CHARGED_IN_VAIN
    assert not CHARGED_IN_VAIN & {"insufficient_funds", "generic_decline", "processing_error", "do_not_honor"}


# --- Refusals ------------------------------------------------------------------------------------------------


def test_a_decline_is_tried_again_until_the_player_has_to_help(till: Till) -> None:
    card = winner(till, alias=DECLINES_LATER)
    for tries in range(1, len(CHARGE_PAUSES) + 2):
        QueueEntry.objects.filter(pk=card.entry_id).update(
            offer_expires_at=Now() + 40 * HOUR, hold_until=Now() + 41 * HOUR
        )
        payment = charge(card)
        assert states(payment) == ("FAILED", State.OFFERED)
        assert payment.intent
        card = fresh(card)
        assert (card.charges, card.entry.checkout_at) == (tries, None)
    assert card.charge_due_at is None
    assert card.needs_player_at is not None
    assert card.payments.count() == 4
    assert "ACTION" in told(card.entry)
    run_cards()
    assert fresh(card).state == "SAVED"
    check_money()
    check_against_stripe(till)


@pytest.mark.parametrize("code", ["lost_card", "expired_card", "fraudulent", "insufficient_funds", "try_again_later"])
def test_each_class_of_decline(till: Till, code: str) -> None:
    card = winner(till)
    till.shop.control("declines", code=code, customer=card.customer)
    payment = charge(card)
    card = fresh(card)
    assert (payment.failure_code, card.failure_code) == (code, code)
    assert (card.charge_due_at is None) == (code in CHARGED_IN_VAIN) == (card.needs_player_at is not None)
    if card.charge_due_at:
        assert states(charge(card)) == ("AUTHORISED", State.CONFIRMED)


def test_who_has_to_approve_gets_a_link_and_pays(till: Till) -> None:
    card = winner(till, alias=EVERY_TIME)
    charge(card)
    card = fresh(card)
    assert (card.failure_code, card.charge_due_at) == ("authentication_required", None)
    Notice.objects.filter(kind=Notice.Kind.ACTION).update(due_at=Now())
    send_due_notices()
    mail = Email.objects.get(subject__contains="pay for your seat yourself")
    assert "Your bank wants you to approve" in mail.message
    assert f"/t/{card.entry.tournament.slug}" in mail.message
    payment = till.start(card.entry)
    assert payment.card is None
    assert till.pay(payment, GOOD).status_code == 303
    run_cards()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    assert fresh(card).state == "DETACHED"
    check_money()
    check_against_stripe(till)


def test_a_card_that_stripe_no_longer_has_is_not_tried_again(till: Till) -> None:
    card = winner(till)
    till.shop.v1.payment_methods.detach(card.payment_method)
    assert states(charge(card)) == ("FAILED", State.OFFERED)
    assert fresh(card).needs_player_at is not None


def test_the_event_of_a_decline_changes_nothing_twice(till: Till) -> None:
    card = winner(till, alias=DECLINES_LATER)
    before = QueueEntry.objects.get(pk=card.entry_id).offer_expires_at
    charge(card)
    till.deliver(*inbox.EVENTS)
    card = fresh(card)
    assert (card.charges, card.entry.offer_expires_at, card.payments.count()) == (1, before, 1)


# --- Nobody is charged who did not agree ---------------------------------------------------------------------


def test_who_declines_in_time_is_not_charged(till: Till) -> None:
    card = winner(till)
    leave_queue(account=account_of(card.entry), public_id=card.entry.public_id)
    time_has_come(card)
    run_cards()
    card = fresh(card)
    assert (card.state, card.entry.state, card.payments.count()) == ("DETACHED", State.LEFT, 0)
    assert till.intents() == []


def test_who_takes_the_card_off_pays_themselves(till: Till) -> None:
    card = winner(till)
    services.remove_card(account=account_of(card.entry), public_id=card.entry.public_id)
    run_cards()
    assert (fresh(card).state, card.payments.count()) == ("DETACHED", 0)
    assert till.start(card.entry).checkout_url


def test_a_higher_price_is_not_charged(till: Till) -> None:
    card = winner(till)
    Tournament.objects.filter(pk=card.entry.tournament_id).update(fee_minor=3000)
    time_has_come(card)
    run_cards()
    card = fresh(card)
    assert (card.payments.count(), card.charge_due_at, card.failure_code) == (0, None, "price_changed")
    assert "€30.00" in card.failure_message
    assert "ACTION" in told(card.entry)
    payment = till.start(card.entry)
    till.pay(payment)
    run_cards()
    assert payment.amount_minor == 3000
    assert states(payment) == ("CAPTURED", State.CONFIRMED)


def test_a_price_raised_before_the_offer_asks_the_player_at_once(till: Till) -> None:
    tournament = make_lottery()
    card = file_card(till, make_entry(tournament), agreed_minor=2000)
    offer_seats(tournament_id=tournament.pk)
    assert services.plan_charges() == 1
    assert services.plan_charges() == 0
    assert fresh(card).charge_due_at is None
    assert told(card.entry) == {"OFFERED", "ENDING", "ACTION"}


def test_a_lower_price_is_what_is_charged(till: Till) -> None:
    card = winner(till)
    Tournament.objects.filter(pk=card.entry.tournament_id).update(fee_minor=1000)
    assert charge(card).amount_minor == 1000


def test_a_waived_fee_is_not_charged(till: Till) -> None:
    card = winner(till)
    waive_fee(public_id=card.entry.public_id, by=make_staff(), reason="A helper")
    time_has_come(card)
    run_cards()
    assert (card.payments.count(), fresh(card).charge_due_at) == (0, None)


def test_nothing_is_charged_in_a_pause(till: Till) -> None:
    card, staff = winner(till), make_staff()
    pause_tournament(tournament_id=card.entry.tournament_id, by=staff)
    time_has_come(card)
    assert sweeping.take_due_charges() == []
    services.charge_card(card_id=card.pk)
    assert card.payments.count() == 0
    resume_tournament(tournament_id=card.entry.tournament_id, by=staff)
    assert states(charge(card)) == ("AUTHORISED", State.CONFIRMED)


def test_who_is_just_paying_another_way_is_not_charged(till: Till) -> None:
    card = winner(till)
    payment = till.start(card.entry)
    time_has_come(card)
    assert sweeping.take_due_charges() == [card.pk]
    services.charge_card(card_id=card.pk)
    assert card.payments.count() == 0
    till.pay(payment)
    run_cards()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    assert (fresh(card).state, card.payments.count()) == ("DETACHED", 0)
    check_against_stripe(till)


def test_when_the_other_way_comes_to_nothing_the_card_is_charged(till: Till) -> None:
    card = winner(till)
    payment = till.start(card.entry)
    time_has_come(card)
    services.charge_card(card_id=card.pk)
    till.shop.v1.checkout.sessions.expire(payment.checkout_session)
    till.deliver()
    assert states(charge(card)) == ("AUTHORISED", State.CONFIRMED)


def test_losers_are_not_charged_and_their_cards_taken_off(till: Till) -> None:
    tournament = make_lottery(seats=1)
    cards = [file_card(till, make_entry(tournament)) for _ in range(3)]
    offer_seats(tournament_id=tournament.pk)
    services.plan_charges()
    for card in cards:
        time_has_come(card)
    run_cards()
    assert [fresh(card).state for card in cards] == ["DETACHED", "SAVED", "SAVED"]
    QueueEntry.objects.filter(tournament=tournament, state=State.WAITING).update(state=State.CLOSED, ended_at=Now())
    run_cards()
    assert [fresh(card).state for card in cards] == ["DETACHED"] * 3
    assert not any(is_attached(till, card.payment_method) for card in cards)
    assert len(till.intents()) == 1


# --- By the workers ------------------------------------------------------------------------------------------


@pytest.fixture
def at_once() -> Iterator[None]:
    """Tasks run where they are asked for, also those that a commit wakes."""
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = False


def test_the_tasks_alone_charge_a_winner_and_take_the_card_off(till: Till, at_once: None) -> None:
    tournament = make_lottery()
    card = file_card(till, make_entry(tournament))
    offer_seats(tournament_id=tournament.pk)
    tasks.charge_due_cards()
    assert (fresh(card).charge_due_at is None, card.payments.count()) == (False, 0)
    time_has_come(card)
    tasks.charge_due_cards()
    assert states(card.payments.get()) == ("CAPTURED", State.CONFIRMED)
    tasks.sweep_cards()
    assert fresh(card).state == "DETACHED"


def test_cards_that_nobody_looks_at_are_reported(till: Till) -> None:
    card = winner(till)
    assert overdue_cards() == ([], 0)
    SavedCard.objects.update(charge_due_at=Now() - HOUR)
    (said,), counted = overdue_cards()
    assert "1 cards on file are due" in said
    assert counted == 1

    tournament, staff = card.entry.tournament, make_staff()
    pause_tournament(tournament_id=tournament.pk, by=staff, reason="The hall has no power.")
    assert overdue_cards() == ([], 0)
    Tournament.objects.update(paused_at=None)
    till.start(card.entry)  # its player pays another way
    assert overdue_cards() == ([], 0)
    SavedCard.objects.update(due_at=Now() - HOUR)
    assert overdue_cards()[1] == 1


def overdue_cards() -> tuple[list[str], float]:
    """What the invariants say of them, and how many /metrics counts."""
    cache.delete("metrics")
    said = [found for found in violations() if "cards on file" in found]
    counted = re.search(r'^vgchub_overdue\{what="cards"\} (\S+)$', metrics.as_text().decode(), re.MULTILINE)
    assert counted
    return said, float(counted[1])
