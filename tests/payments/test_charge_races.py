"""Winners' cards charged by several at once, or by a process that dies: each once. Every guard has a control without it."""

import secrets
import threading
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

import pytest
from django.db import transaction

from payments import services
from payments.gateway import Gateway
from payments.models import Payment, SavedCard
from payments.rules import State as Money
from payments.services import charging, planning, releasing, settling, sweeping
from payments.services.locking import lock_payment
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import NotInQueueError, lapse_offers, leave_queue
from tests.builders import make_entry
from tests.faults.crashing import crash_at_every_step
from tests.payments.cards import (
    DECLINES_LATER,
    calls_are_over,
    fresh,
    make_lottery,
    run_cards,
    save_on_page,
    time_has_come,
    winner,
    winners,
)
from tests.payments.test_races import times_authorised
from tests.payments.till import (
    Till,
    account_of,
    check_against_stripe,
    check_money,
    let_offer_run_out,
    run_due,
)
from tests.payments.together import together
from tests.processes import processes_at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

WINNERS = 12


def work_off() -> list[int]:
    """What a worker does with the batch: take what is due, charge each. Returns what it took."""
    taken: list[int] = []
    while found := sweeping.take_due_charges():
        taken += found
        for card_id in found:
            services.charge_card(card_id=card_id)
    return taken


def check_each_charged_once(till: Till, count: int) -> None:
    run_cards()
    assert Payment.objects.filter(state=Money.CAPTURED).count() == Payment.objects.count() == count
    intents = till.intents()
    assert len(intents) == count
    assert {intent.status for intent in intents} == {"succeeded"}
    check_money()
    check_against_stripe(till)


# --- Two workers on one batch --------------------------------------------------------------------------------


def test_two_workers_on_one_batch_charge_each_once(till: Till) -> None:
    cards = winners(till, WINNERS)
    taken: list[Any] = processes_at_once(work_off, work_off, work_off)
    assert sorted(chain.from_iterable(taken)) == sorted(card.pk for card in cards)
    assert Payment.objects.count() == WINNERS
    check_each_charged_once(till, WINNERS)


def test_without_taking_two_work_at_the_same_cards_and_charge_each_once(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What taking spares is the work; what is charged is one for each, by the lock whose control stands below."""
    cards = winners(till, WINNERS)
    due = [card.pk for card in cards]
    monkeypatch.setattr(sweeping, "take_due_charges", partial(next, iter([due, []]), []))
    taken: list[Any] = processes_at_once(work_off, work_off)
    assert sorted(chain.from_iterable(taken)) == sorted(due * 2)
    check_each_charged_once(till, WINNERS)


def test_skipping_what_is_locked_no_card_is_waited_for_nor_taken_twice(till: Till) -> None:
    cards = winners(till, 4)
    first, second = together(sweeping.take_due_charges, sweeping.take_due_charges)
    assert sorted(first + second) == sorted(card.pk for card in cards)
    assert sweeping.take_due_charges() == []


def test_the_same_card_charged_by_four_at_once_makes_one_payment(till: Till) -> None:
    card = time_has_come(winner(till))
    assert together(*[partial(services.charge_card, card_id=card.pk)] * 4) == [None] * 4
    assert fresh(card).charges == 1
    check_each_charged_once(till, 1)


def test_control_without_the_locks_two_believe_to_be_first(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then only the database's own rule, one live payment for an entry, is left."""
    card = time_has_come(winner(till))
    both_have_read = threading.Barrier(2)

    def unlocked(card_id: int) -> SavedCard:
        found = SavedCard.objects.select_related("entry__tournament__organization", "entry__player").get(pk=card_id)
        both_have_read.wait(10)
        return found

    monkeypatch.setattr(charging, "lock_card", unlocked)
    outcomes = together(*[partial(services.charge_card, card_id=card.pk)] * 2)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["IntegrityError", "NoneType"]


def twice_settled(till: Till) -> int:
    """An unanswered call that never got through, settled by two at the same moment; how many intents there are then."""
    card = time_has_come(winner(till))
    till.fail("/v1/payment_intents", status=503, method="POST")
    services.charge_card(card_id=card.pk)
    payment = card.payments.get()
    together(*[partial(services.settle_charge, payment_id=payment.pk)] * 2)
    run_cards()
    return len(till.intents())


def at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both look before either calls."""
    both_have_looked, real = threading.Barrier(2), Gateway.find_intent

    def find(gateway: Gateway, customer: str, *, metadata: dict[str, str]) -> Any:
        found = real(gateway, customer, metadata=metadata)
        if not both_have_looked.broken and found is None:
            both_have_looked.wait(10)
        return found

    monkeypatch.setattr(Gateway, "find_intent", find)


def test_two_that_repeat_one_call_have_one_key_and_one_intent(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    at_the_same_moment(monkeypatch)
    assert twice_settled(till) == 1
    check_each_charged_once(till, 1)


def test_control_without_the_key_a_repeated_call_charges_twice(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    at_the_same_moment(monkeypatch)
    real = Gateway._call
    monkeypatch.setattr(Gateway, "_call", lambda gateway, ask, _key="": real(gateway, ask, secrets.token_hex(8)))
    assert twice_settled(till) == 2


# --- A charge against what else may happen -------------------------------------------------------------------


def charge_with(
    card: SavedCard,
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> None:
    """Charge a card, and let something happen while Stripe is asked: `before` or `after` it has made up its mind."""
    real = Gateway.charge_card

    def slowly(gateway: Gateway, charge: Any, *, key: str) -> Any:
        before()
        intent = real(gateway, charge, key=key)
        after()
        return intent

    with monkeypatch.context() as patch:
        patch.setattr(Gateway, "charge_card", slowly)
        services.charge_card(card_id=card.pk)


def outcome(card: SavedCard) -> tuple[str, str]:
    """What became of the card's only charge, and of its entry."""
    return card.payments.get().state, QueueEntry.objects.get(pk=card.entry_id).state


@pytest.mark.parametrize("when", ["before", "after"])
def test_declining_while_the_card_is_charged_takes_no_money(
    till: Till, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    card = time_has_come(winner(till))
    charge_with(card, monkeypatch, **{when: partial(_decline, card.entry)})
    run_cards()
    assert outcome(card) == (Money.VOIDED, State.LEFT)
    check_money()
    check_against_stripe(till)


def test_declining_first_charges_nothing_and_last_is_refused(till: Till) -> None:
    declined, charged = time_has_come(winner(till)), time_has_come(winner(till))
    _decline(declined.entry)
    for card in (declined, charged):
        services.charge_card(card_id=card.pk)
    with pytest.raises(NotInQueueError):
        _decline(charged.entry)
    run_cards()
    assert not declined.payments.exists()
    assert outcome(charged) == (Money.CAPTURED, State.CONFIRMED)
    check_against_stripe(till)


def test_control_a_charge_that_does_not_look_at_its_seat_takes_the_money_of_who_declined(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes back, but should never have been taken. Both are away: the look with the record, and the sweep's."""
    monkeypatch.setattr(settling, "release_payment", lambda payment, *, reason: None)  # noqa: ARG005
    monkeypatch.setattr(releasing, "release_orphans", lambda *, captured: 0)  # noqa: ARG005
    card = time_has_come(winner(till))
    charge_with(card, monkeypatch, after=partial(_decline, card.entry))
    run_cards()
    assert outcome(card) == (Money.CAPTURED, State.LEFT)


def test_many_who_decline_while_the_batch_is_charged_keep_no_money_without_a_seat(till: Till) -> None:
    cards = winners(till, 8)
    together(
        *[partial(services.charge_card, card_id=card.pk) for card in cards],
        *[partial(_decline, card.entry) for card in cards],
    )
    run_cards()
    outcomes = set(QueueEntry.objects.values_list("state", flat=True))
    assert outcomes <= {State.LEFT, State.CONFIRMED}
    assert set(Payment.objects.values_list("state", "entry__state")) <= {
        ("CAPTURED", State.CONFIRMED),
        ("VOIDED", State.LEFT),
        ("FAILED", State.LEFT),
    }
    check_money()
    check_against_stripe(till)


def _decline(entry: QueueEntry) -> object:
    return leave_queue(account=account_of(entry), public_id=entry.public_id)


# --- Stripe's word before our own record ---------------------------------------------------------------------


def test_a_capture_and_its_webhook_before_our_record_of_the_charge(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep has found the charge at Stripe and captured it, and the event of that is handled, before the charge's answer."""

    def others() -> None:
        run_due(2)
        till.deliver("payment_intent.succeeded")

    card = time_has_come(winner(till))
    charge_with(card, monkeypatch, after=others)
    assert outcome(card) == (Money.CAPTURED, State.CONFIRMED)
    assert times_authorised(card.payments.get()) == 1
    check_each_charged_once(till, 1)


def test_an_event_before_the_charge_gets_through_waits_for_its_answer(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The offer ran out as well: still nothing is given up, since the call may be on its way."""
    card = time_has_come(winner(till))
    charge_with(card, monkeypatch, before=partial(looked_at_too_late, card))
    run_cards()
    assert outcome(card) == (Money.CAPTURED, State.CONFIRMED)
    check_money()
    check_against_stripe(till)


def test_control_ending_a_charge_whose_call_is_on_its_way_charges_for_a_seat_that_is_gone(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_waits() -> None:
        calls_are_over()
        looked_at_too_late(card)

    card = time_has_come(winner(till))
    charge_with(card, monkeypatch, before=nobody_waits)
    run_cards()
    assert outcome(card) == (Money.FAILED, State.PASSED)
    assert [intent.status for intent in till.intents()] == ["canceled"]  # it was authorised, and let go


def looked_at_too_late(card: SavedCard) -> None:
    let_offer_run_out(card.entry)
    services.settle_charge(payment_id=card.payments.get().pk)


def offers_lost_by_a_late_refusal(till: Till, monkeypatch: pytest.MonkeyPatch) -> int:
    """The webhook of a refusal is handled, and the next charge begun, before the refused call's own answer.

    The offer's time is over then, and the next charge has no answer yet. Returns how many offers lapse under it.
    """
    card = time_has_come(winner(till, alias=DECLINES_LATER))

    def others() -> None:
        till.deliver("payment_intent.payment_failed")
        assert outcome(card) == (Money.FAILED, State.OFFERED)
        till.fail("/v1/payment_intents", status=503, method="POST")
        services.charge_card(card_id=time_has_come(card).pk)

    charge_with(card, monkeypatch, after=others)
    assert list(card.payments.order_by("pk").values_list("state", flat=True)) == [Money.FAILED, Money.CREATED]
    let_offer_run_out(card.entry)
    return lapse_offers(tournament_id=card.entry.tournament_id)


def test_a_refusals_webhook_before_our_record_of_it_is_the_only_refusal(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offers_lost_by_a_late_refusal(till, monkeypatch) == 0


def test_control_refusing_again_what_was_refused_loses_the_seat_that_is_being_paid(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_refused_yet(payment_id: int) -> Payment:
        payment = lock_payment(payment_id)
        payment.state = Money.CREATED
        return payment

    monkeypatch.setattr(charging, "lock_payment", not_refused_yet)
    assert offers_lost_by_a_late_refusal(till, monkeypatch) == 1


# --- Other ways to pay, and plans ----------------------------------------------------------------------------


def test_paying_by_hand_against_the_charge_pays_one_way(till: Till) -> None:
    cards = winners(till, 6)
    together(
        *[partial(services.charge_card, card_id=card.pk) for card in cards],
        *[partial(services.start_payment, account=account_of(c.entry), public_id=c.entry.public_id) for c in cards],
    )
    assert Payment.objects.live().count() == Payment.objects.count() == 6
    for payment in Payment.objects.filter(card=None):
        till.pay(payment)
    check_each_charged_once(till, 6)


def test_taking_the_card_off_against_the_charge(till: Till) -> None:
    cards = winners(till, 6)
    together(
        *[partial(services.charge_card, card_id=card.pk) for card in cards],
        *[partial(services.remove_card, account=account_of(c.entry), public_id=c.entry.public_id) for c in cards],
    )
    run_cards()
    for card in cards:
        charged = card.payments.filter(state=Money.CAPTURED).count()
        assert charged == card.payments.count() == (QueueEntry.objects.get(pk=card.entry_id).state == State.CONFIRMED)
    assert set(SavedCard.objects.values_list("state", flat=True)) == {"DETACHED"}
    check_money()
    check_against_stripe(till)


def forget_the_plan(card: SavedCard) -> None:
    """As if its winner had just been offered the seat."""
    card.entry.notices.filter(kind="WON").delete()
    SavedCard.objects.filter(pk=card.pk).update(charge_due_at=None)


def test_plans_made_by_two_are_one(till: Till) -> None:
    card = winner(till)
    forget_the_plan(card)
    assert sum(together(services.plan_charges, services.plan_charges)) == 1
    assert card.entry.notices.filter(kind="WON").count() == 1


def test_control_without_the_lock_both_plan_what_neither_has_planned(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each has the mail sent, whether the other's is sent already or not."""
    forget_the_plan(winner(till))
    both_have_looked, real = threading.Barrier(2), planning.is_agreed

    def late(card: SavedCard) -> bool:
        both_have_looked.wait(30)
        return real(card)

    unlocked = SavedCard.objects.select_related("entry__tournament", "entry__player")
    monkeypatch.setattr(planning, "lock_card", lambda card_id: unlocked.get(pk=card_id))
    monkeypatch.setattr(planning, "is_agreed", late)
    assert sum(together(services.plan_charges, services.plan_charges)) == 2


# --- Killed at any step --------------------------------------------------------------------------------------


def charges(card: SavedCard) -> None:
    services.charge_card(card_id=card.pk)


def recovering(till: Till) -> Callable[[SavedCard], None]:
    def recover(card: SavedCard) -> None:
        time_has_come(card)  # a worker that died before its row leaves the card due
        run_cards()
        payment = card.payments.get()
        assert (payment.state, payment.entry.state) == (Money.CAPTURED, State.CONFIRMED)
        assert [one.status for one in till.intents() if one.metadata["payment"] == str(payment.pk)] == ["succeeded"]
        assert fresh(card).state == "DETACHED"
        check_money()
        check_against_stripe(till)

    return recover


def test_charging_that_dies_at_any_step_charges_once(till: Till) -> None:
    assert crash_at_every_step(lambda: time_has_come(winner(till)), charges, recovering(till)) >= 15


def test_charging_before_its_row_is_committed_would_be_noticed(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a death between Stripe's yes and the commit leaves a charge that nobody knows of; earlier ones do no harm."""
    begin = charging._begin

    def asks_first(card_id: int) -> Payment | None:
        with transaction.atomic():
            payment = begin(card_id)
            if payment is not None:
                charging._ask_stripe(payment, Gateway(payment.stripe_account))
        return None

    monkeypatch.setattr(charging, "_begin", asks_first)
    with pytest.raises(AssertionError, match=r"after a death at step \d\d: .*Payment matching query does not exist"):
        crash_at_every_step(lambda: time_has_come(winner(till)), charges, recovering(till))


def test_being_refused_dies_at_any_step_and_is_refused_once(till: Till) -> None:
    def arrange() -> SavedCard:
        return time_has_come(winner(till, alias=DECLINES_LATER))

    def recover(card: SavedCard) -> None:
        if not card.payments.exists():
            time_has_come(card)
        run_cards()
        payment = card.payments.get()
        assert (payment.state, payment.failure_code) == (Money.FAILED, "generic_decline")
        assert (fresh(card).charges, fresh(card).charge_due_at is None) == (1, False)
        assert QueueEntry.objects.get(pk=card.entry_id).checkout_at is None

    assert crash_at_every_step(arrange, charges, recover) >= 12


def test_saving_a_card_dies_at_any_step_and_is_asked_for_again(till: Till) -> None:
    def asks(entry: QueueEntry) -> None:
        services.ask_for_card(account=account_of(entry), public_id=entry.public_id)

    def recover(entry: QueueEntry) -> None:
        url = services.ask_for_card(account=account_of(entry), public_id=entry.public_id)
        assert save_on_page(url).status_code == 303
        run_cards(1)
        assert entry.cards.get().state == "SAVED"

    assert crash_at_every_step(lambda: make_entry(make_lottery(drawn=False)), asks, recover) >= 10
