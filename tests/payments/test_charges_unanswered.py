"""Charges whose answer was lost, came too late or never: one charge at most, and no money without a seat."""

from datetime import timedelta

import pytest

from payments import services
from payments.gateway import Gateway
from payments.models import Payment, SavedCard
from registrations.rules import State
from registrations.services import (
    lapse_offers,
    leave_queue,
)
from tests.payments.cards import (
    DECLINES_LATER,
    calls_are_over,
    charge,
    fresh,
    run_cards,
    time_has_come,
    winner,
    winners,
)
from tests.payments.till import (
    Till,
    account_of,
    check_against_stripe,
    check_money,
    let_hold_run_out,
    let_offer_run_out,
    run_due,
    states,
    told,
)

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)


# --- When Stripe or a worker is away -------------------------------------------------------------------------


def lost_answer(till: Till, *, when: str) -> Payment:
    """A charge that was called for and whose answer was lost, `after` or `before` it was done."""
    card = winner(till)
    till.fail("/v1/payment_intents", status=503, when=when, method="POST")
    payment = charge(card)
    assert states(payment) == ("CREATED", State.OFFERED)
    return payment


@pytest.mark.parametrize("when", ["after", "before"])
def test_a_charge_without_an_answer_is_made_once(till: Till, when: str) -> None:
    payment = lost_answer(till, when=when)
    run_cards()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    assert len(till.intents()) == 1
    check_money()
    check_against_stripe(till)


def test_an_error_that_a_key_replays_is_gone_around(till: Till) -> None:
    card = winner(till)
    till.fail("/v1/payment_intents", status=500, method="POST")
    payment = charge(card)
    run_cards()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)
    assert payment.session_number == 2
    assert len(till.intents()) == 1


def test_without_an_answer_the_offer_is_held_and_nobody_pays_twice(till: Till) -> None:
    payment = lost_answer(till, when="after")
    entry = payment.entry
    let_offer_run_out(entry)
    assert lapse_offers(tournament_id=entry.tournament_id) == 0
    with pytest.raises(services.CardChargingError):
        till.start(entry)
    with pytest.raises(services.CardChargingError):
        services.remove_card(account=account_of(entry), public_id=entry.public_id)
    run_cards()
    assert states(payment) == ("CAPTURED", State.CONFIRMED)


def test_a_charge_that_never_got_through_is_given_up_with_the_offer(till: Till) -> None:
    payment = lost_answer(till, when="before")
    let_offer_run_out(payment.entry)
    run_cards()
    assert states(payment) == ("FAILED", State.PASSED)
    assert till.intents() == []


def test_nobody_is_given_up_while_a_call_may_be_on_its_way(till: Till) -> None:
    payment = lost_answer(till, when="before")
    let_offer_run_out(payment.entry)
    services.settle_charge(payment_id=payment.pk)
    assert states(payment) == ("CREATED", State.OFFERED)
    calls_are_over()
    services.settle_charge(payment_id=payment.pk)
    assert states(payment) == ("FAILED", State.PASSED)


@pytest.mark.parametrize("how", ["left", "hold"])
def test_a_charge_found_after_the_seat_was_given_up_is_voided(till: Till, how: str) -> None:
    payment = lost_answer(till, when="after")
    if how == "left":
        leave_queue(account=account_of(payment.entry), public_id=payment.entry.public_id)
    else:
        let_hold_run_out(payment.entry)
        assert lapse_offers(tournament_id=payment.entry.tournament_id) == 1
    run_cards()
    assert payment.pk == Payment.objects.get(state="VOIDED").pk
    assert till.intent(payment).status == "canceled"
    assert "VOIDED" in told(payment.entry)
    check_money()
    check_against_stripe(till)


def test_an_authorisation_of_a_payment_that_had_ended_is_let_go(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker was asleep for minutes between its row and its call, and the card is still on file."""
    card = time_has_come(winner(till))
    real = Gateway.charge_card

    def late(gateway: object, order: object, *, key: str) -> object:
        leave_queue(account=account_of(card.entry), public_id=card.entry.public_id)
        calls_are_over()
        run_due(1)
        return real(gateway, order, key=key)  # type: ignore[arg-type]

    monkeypatch.setattr(Gateway, "charge_card", late)
    services.charge_card(card_id=card.pk)
    assert card.payments.get().state == "FAILED"
    assert till.intents()[0].status == "canceled"


def test_a_capture_that_fails_for_good_asks_the_player_and_charges_nobody_again(till: Till) -> None:
    card = winner(till)
    payment = charge(card)
    till.shop.v1.payment_intents.cancel(payment.intent)
    run_cards()
    assert states(payment) == ("FAILED", State.OFFERED)
    assert "UNSEATED" in told(card.entry)
    assert (card.payments.count(), fresh(card).charge_due_at) == (1, None)


def test_a_batch_charges_all_that_are_due(till: Till) -> None:
    cards = winners(till, 12)
    bad = winner(till, alias=DECLINES_LATER)
    time_has_come(bad)
    run_cards()
    assert set(Payment.objects.values_list("state", "entry__state")) == {
        ("CAPTURED", "CONFIRMED"),
        ("FAILED", "OFFERED"),
    }
    assert SavedCard.objects.filter(pk__in=[card.pk for card in cards], state="DETACHED").count() == 12
    check_money()
    check_against_stripe(till)
