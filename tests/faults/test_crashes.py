"""Offering, taking up, confirming, capturing, refunding, sealing, drawing and lapsing, killed at each of their steps.

Whoever comes next (the clock, a sweep, the same player once more) brings it to the end that it would have had.
"""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from lottery import services as draws
from lottery.drawing import rank
from lottery.models import Draw
from lottery.queries import ranking, sealed_entries
from lottery.services import running
from payments import services as payments
from payments.gateway import Gateway
from payments.models import Payment, Refund
from registrations.clock import serve, tournaments_to_serve
from registrations.models import Notice, QueueEntry
from registrations.rules import State
from registrations.services import notices
from reports.history import broken_blocks
from reports.models import HistoryBlock
from reports.services import seal_history
from tests.builders import make_entry, make_tournament
from tests.faults.crashing import crash_at_every_step
from tests.lottery.draws import opened, sealed
from tests.payments.conftest import simulator_port, till
from tests.payments.till import (
    Till,
    account_of,
    check_against_stripe,
    check_money,
    let_offer_run_out,
    make_offer,
    make_paid_tournament,
    run_due,
)
from tests.sealing import note_all_history, seal_all_history
from tournaments.models import Tournament

__all__ = ["simulator_port", "till"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def clock_ticks() -> None:
    """What the next clock does first."""
    for tournament_id in tournaments_to_serve():
        serve(tournament_id)


def states(tournament: Tournament) -> list[str]:
    return list(QueueEntry.objects.filter(tournament=tournament).order_by("number").values_list("state", flat=True))


def mails(tournament: Tournament) -> list[str]:
    """The kinds of mail that are due to the tournament's players."""
    return sorted(Notice.objects.filter(entry__tournament=tournament).values_list("kind", flat=True))


def committing_before(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    """Split a service's transaction in two: what was done before this function is called is committed then."""
    function = getattr(module, name)

    def after_a_commit(*args: Any, **kwargs: Any) -> Any:
        assert connection.in_atomic_block
        connection.connection.commit()
        return function(*args, **kwargs)

    monkeypatch.setattr(module, name, after_a_commit)


# --- Offers --------------------------------------------------------------------------------------------------


def waiting_for_seats() -> Tournament:
    tournament = make_tournament(seats=2)
    for _ in range(3):
        make_entry(tournament)
    return tournament


def serves(tournament: Tournament) -> None:
    serve(tournament.pk)


def two_are_offered(tournament: Tournament) -> None:
    clock_ticks()
    assert states(tournament) == [State.OFFERED, State.OFFERED, State.WAITING]
    assert mails(tournament) == ["ENDING", "ENDING", "OFFERED", "OFFERED"]


def test_offering_that_dies_at_any_step_is_done_by_the_next_clock() -> None:
    assert crash_at_every_step(waiting_for_seats, serves, two_are_offered) >= 10


def with_an_offer_that_ran_out() -> Tournament:
    tournament = make_tournament(seats=1)
    let_offer_run_out(make_entry(tournament, state=State.OFFERED))
    make_entry(tournament)
    return tournament


def its_seat_goes_to_the_next(tournament: Tournament) -> None:
    clock_ticks()
    assert states(tournament) == [State.PASSED, State.OFFERED]
    assert mails(tournament) == ["ENDING", "OFFERED", "PASSED"]


def test_lapsing_that_dies_at_any_step_is_done_by_the_next_clock() -> None:
    assert crash_at_every_step(with_an_offer_that_ran_out, serves, its_seat_goes_to_the_next) >= 12


def test_lapsing_in_two_transactions_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a mail that never comes."""
    committing_before(monkeypatch, notices, "due")
    with pytest.raises(AssertionError, match=r"after a death at step .*'PASSED'"):
        crash_at_every_step(with_an_offer_that_ran_out, serves, its_seat_goes_to_the_next)


# --- Money ---------------------------------------------------------------------------------------------------


def starts_payment(entry: QueueEntry) -> str | None:
    return payments.start_payment(account=account_of(entry), public_id=entry.public_id)


def check_paid(till: Till, entry: QueueEntry) -> None:
    """One payment, captured once, for a confirmed seat; and nobody can pay again."""
    assert entry.payments.get().state == Payment.State.CAPTURED
    assert states(entry.tournament) == [State.CONFIRMED]
    assert statuses(till, entry) == ["complete"]
    check_money()
    check_against_stripe(till)


def statuses(till: Till, entry: QueueEntry) -> list[str]:
    """How the checkout pages stand that were made for an entry."""
    pages = till.shop.v1.checkout.sessions.list({"limit": 100}).data
    return [page.status for page in pages if page.client_reference_id == entry.public_id]


def pays_after_all(till: Till) -> Callable[[QueueEntry], None]:
    """The player presses the button again, and pays."""

    def recover(entry: QueueEntry) -> None:
        starts_payment(entry)
        till.pay(entry.payments.live().get())
        run_due()
        check_paid(till, entry)

    return recover


def test_taking_up_that_dies_at_any_step_is_begun_again_by_the_player(till: Till) -> None:
    assert crash_at_every_step(make_offer, starts_payment, pays_after_all(till)) >= 12


def test_taking_up_with_another_key_each_time_would_be_noticed(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """By two checkout pages for one seat, each of which could be paid."""
    call = Gateway._call
    monkeypatch.setattr(Gateway, "_call", lambda gateway, ask, _key="": call(gateway, ask, secrets.token_hex(8)))
    with pytest.raises(AssertionError, match="'complete'"):
        crash_at_every_step(make_offer, starts_payment, pays_after_all(till))


def test_taking_up_that_dies_at_any_step_lapses_if_the_player_never_comes_back(till: Till) -> None:
    def recover(entry: QueueEntry) -> None:
        let_offer_run_out(entry)
        clock_ticks()
        run_due()
        assert states(entry.tournament) == [State.PASSED]
        assert set(entry.payments.values_list("state", flat=True)) <= {Payment.State.FAILED}
        known = entry.payments.exclude(checkout_session=None)
        assert "open" not in [till.session(payment).status for payment in known]

    assert crash_at_every_step(make_offer, starts_payment, recover) >= 12


def paid(till: Till) -> Callable[[], tuple[QueueEntry, str]]:
    """An entry that was paid a moment ago, and Stripe's event that says so."""

    def arrange() -> tuple[QueueEntry, str]:
        entry = make_offer()
        till.pay(till.start(entry))
        event = till.shop.v1.events.list({"type": "checkout.session.completed", "limit": 1}).data[0].to_dict()
        payments.receive_event(event)
        return entry, event["id"]

    return arrange


def test_confirming_that_dies_at_any_step_is_done_by_a_sweep(till: Till) -> None:
    def handles_event(scene: tuple[QueueEntry, str]) -> None:
        payments.handle_stripe_event(stripe_id=scene[1])

    def recover(scene: tuple[QueueEntry, str]) -> None:
        run_due()
        check_paid(till, scene[0])
        assert mails(scene[0].tournament) == ["CONFIRMED"]

    assert crash_at_every_step(paid(till), handles_event, recover) >= 15


def test_capturing_that_dies_at_any_step_takes_the_money_once(till: Till) -> None:
    def captures(payment: Payment) -> None:
        payments.capture_payment(payment_id=payment.pk)

    def recover(payment: Payment) -> None:
        run_due()
        check_paid(till, payment.entry)

    assert crash_at_every_step(lambda: till.authorised(make_offer()), captures, recover) >= 6


def test_refunding_that_dies_at_any_step_gives_the_money_back_once(till: Till) -> None:
    def cancels(payment: Payment) -> None:
        entry = payment.entry
        payments.cancel_and_refund(account=account_of(entry), public_id=entry.public_id)
        payments.refund_payment(refund_id=payment.refunds.get().pk)

    def recover(payment: Payment) -> None:
        entry = payment.entry
        payments.cancel_and_refund(account=account_of(entry), public_id=entry.public_id)
        run_due()
        assert states(entry.tournament) == [State.CANCELLED]
        assert payment.refunds.get().state == Refund.State.SUCCEEDED
        check_money()
        check_against_stripe(till)

    assert crash_at_every_step(lambda: till.captured(make_offer()), cancels, recover) >= 18


def test_lapsing_a_checkout_that_dies_at_any_step_is_done_by_a_sweep(till: Till) -> None:
    def arrange() -> Payment:
        tournament = make_paid_tournament(seats=1)
        payment = till.start(make_offer(tournament))
        make_entry(tournament)
        let_offer_run_out(payment.entry)
        return payment

    def settles(payment: Payment) -> None:
        payments.settle_payment(payment_id=payment.pk)

    def recover(payment: Payment) -> None:
        run_due()
        clock_ticks()
        assert states(payment.entry.tournament) == [State.PASSED, State.OFFERED]
        assert statuses(till, payment.entry) == ["expired"]
        check_money()

    assert crash_at_every_step(arrange, settles, recover) >= 10


# --- Draws and history ---------------------------------------------------------------------------------------


def look_for_draws(draw: Draw) -> None:
    """What the next look of the worker does, and what comes of it."""
    for due, work in (
        (draws.due_to_seal, draws.seal_draw),
        (draws.due_to_draw, draws.run_draw),
        (draws.due_to_bundle, draws.write_bundle),
    ):
        for draw_id in due():
            work(draw_id=draw_id)
    draw.refresh_from_db()
    assert (draw.state, draw.entrants) == (Draw.State.DRAWN, 3)
    assert list(ranking(draw)) == rank(bytes.fromhex(draw.seed), list(sealed_entries(draw)))
    assert draw.files.count() == 2


def seals(draw: Draw) -> None:
    draws.seal_draw(draw_id=draw.pk)


def draws_and_publishes(draw: Draw) -> None:
    draws.run_draw(draw_id=draw.pk)
    draws.write_bundle(draw_id=draw.pk)


def test_sealing_that_dies_at_any_step_is_done_by_the_next_look() -> None:
    assert crash_at_every_step(opened, seals, look_for_draws) >= 20


def test_drawing_that_dies_at_any_step_is_done_by_the_next_look() -> None:
    assert crash_at_every_step(sealed, draws_and_publishes, look_for_draws) >= 20


def test_drawing_in_two_transactions_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    committing_before(monkeypatch, running, "_place")
    with pytest.raises(AssertionError, match="after a death at step"):
        crash_at_every_step(sealed, draws_and_publishes, look_for_draws)


def test_sealing_history_that_dies_at_any_step_leaves_the_chain_whole() -> None:
    def arrange() -> QueueEntry:
        entry = make_entry(make_tournament())
        note_all_history()
        return entry

    def recover(entry: QueueEntry) -> None:
        seal_all_history()
        last = HistoryBlock.objects.order_by("number").last()
        with connection.cursor() as cursor:
            cursor.execute("SELECT max(pgh_id) FROM registrations_queueentryevent WHERE pgh_obj_id = %s", [entry.pk])
            newest = cursor.fetchone()[0]
        assert last is not None
        assert last.sealed_to["registrations_queueentryevent"] >= newest
        assert list(broken_blocks()) == []

    assert crash_at_every_step(arrange, lambda _entry: seal_history(), recover) >= 6
