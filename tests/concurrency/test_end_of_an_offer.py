"""The last moment of an offer: a player who is in time keeps the seat, whoever comes second finds nothing to do."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError

from registrations import services
from registrations.models import QueueEntry
from registrations.rules import State
from tests.builders import make_entry, make_staff, make_tournament, now
from tests.concurrency.actors import Actor, all_at_once, done_but_not_committed, sleep_until
from tournaments.models import Tournament

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LEAD = 4 * SECOND  # time enough to take it up


def offered(*, fee_minor: int = 4000, ends_in: timedelta = LEAD) -> QueueEntry:
    """An offer that ends in a few seconds."""
    expires_at = datetime.now(UTC) + ends_in
    return make_entry(
        make_tournament(seats=1, fee_minor=fee_minor),
        state=State.OFFERED,
        offer_expires_at=expires_at,
        hold_until=expires_at + 20 * MINUTE,
    )


def ran_out(**settings: int) -> QueueEntry:
    return offered(ends_in=-MINUTE, **settings)


def lapses(entry: QueueEntry) -> Callable[[], int]:
    return lambda: services.lapse_offers(tournament_id=entry.tournament_id)


def takes_up(entry: QueueEntry) -> Callable[[], QueueEntry]:
    return lambda: services.take_up_offer(account=entry.player.account, public_id=entry.public_id)


def confirms_paid(entry: QueueEntry) -> Callable[[], QueueEntry]:
    return lambda: services.confirm_entry(entry_id=entry.pk, paid=True)


def pauses(tournament: Tournament) -> Callable[[], None]:
    staff = make_staff()
    return lambda: services.pause_tournament(tournament_id=tournament.pk, by=staff)


def lapse_after(entry: QueueEntry, act: Callable[[], QueueEntry]) -> int:
    """`act` is done in time but not committed when the offer's time is up and the clock comes. Returns how many it lapsed."""
    assert entry.offer_expires_at is not None
    with done_but_not_committed(act):
        sleep_until(entry.offer_expires_at)
        clock = Actor(lapses(entry))
        assert clock.waits()
    return clock.result()


def state_of(entry: QueueEntry) -> State:
    return State(QueueEntry.objects.values_list("state", flat=True).get(pk=entry.pk))


# --- Taking up -----------------------------------------------------------------------------------------------


def test_take_up_offer_in_the_last_seconds_keeps_the_seat() -> None:
    entry = offered()
    assert lapse_after(entry, takes_up(entry)) == 0
    assert state_of(entry) == State.OFFERED


def test_lapse_offers_by_a_list_read_before_takes_the_seat_of_who_is_paying(lapsing_what_was_read_before: None) -> None:
    entry = offered()
    assert lapse_after(entry, takes_up(entry)) == 1
    assert state_of(entry) == State.PASSED


def test_take_up_offer_that_waited_for_the_lapse_is_refused() -> None:
    entry = ran_out()
    with done_but_not_committed(lapses(entry)) as lapsed:
        # Its clock is the database's: it is late already, and doesn't wait to hear so.
        late = Actor(takes_up(entry))
        late.waits()
    assert lapsed == 1
    with pytest.raises(services.OfferOverError):
        late.result()
    assert state_of(entry) == State.PASSED


# --- Confirming ----------------------------------------------------------------------------------------------


def test_free_seat_confirmed_in_the_last_seconds_stays_confirmed() -> None:
    entry = offered(fee_minor=0)
    assert lapse_after(entry, takes_up(entry)) == 0
    assert state_of(entry) == State.CONFIRMED


def test_lapse_offers_by_a_list_read_before_hits_the_state_machine(lapsing_what_was_read_before: None) -> None:
    entry = offered(fee_minor=0)
    with pytest.raises(DatabaseError, match="Invalid transition"):
        lapse_after(entry, takes_up(entry))
    assert state_of(entry) == State.CONFIRMED


def test_confirm_entry_with_a_payment_beats_the_lapse_it_came_before() -> None:
    entry = ran_out(fee_minor=0)
    QueueEntry.objects.filter(pk=entry.pk).update(hold_until=now() - SECOND, checkout_at=now() - 5 * MINUTE)
    with done_but_not_committed(confirms_paid(entry)):
        clock = Actor(lapses(entry))
        assert clock.waits()
    assert (clock.result(), state_of(entry)) == (0, State.CONFIRMED)


def test_confirm_entry_with_a_payment_after_the_lapse_is_refused() -> None:
    entry = ran_out()
    with done_but_not_committed(lapses(entry)):
        payment = Actor(confirms_paid(entry))
        assert payment.waits()
    with pytest.raises(services.OfferOverError):
        payment.result()
    assert state_of(entry) == State.PASSED


def test_return_page_and_webhook_confirm_once() -> None:
    entry = offered(fee_minor=0, ends_in=MINUTE)
    outcomes = all_at_once(*[confirms_paid(entry)] * 4)
    assert outcomes == [entry] * 4
    assert entry.notices.count() == 1


def test_lapse_by_two_clocks_counts_once() -> None:
    entry = ran_out()
    assert sorted(all_at_once(*[lapses(entry)] * 4)) == [0, 0, 0, 1]  # type: ignore[type-var]
    assert entry.notices.count() == 1


def test_cancel_and_reject_at_once_end_a_confirmed_seat_once() -> None:
    entry, staff = make_entry(make_tournament(seats=1), state=State.CONFIRMED), make_staff()
    with done_but_not_committed(lambda: services.cancel_entry(entry_id=entry.pk)):
        rejecting = Actor(lambda: services.reject_entry(public_id=entry.public_id, by=staff, reason="A double."))
        assert rejecting.waits()
    with pytest.raises(services.NotInQueueError):
        rejecting.result()
    assert state_of(entry) == State.CANCELLED


# --- Pausing -------------------------------------------------------------------------------------------------


def test_lapse_offers_that_waited_for_a_pause_lapses_nothing() -> None:
    entry = ran_out()
    with done_but_not_committed(pauses(entry.tournament)):
        clock = Actor(lapses(entry))
        assert clock.waits()
    assert (clock.result(), state_of(entry)) == (0, State.OFFERED)


def test_lapse_offers_without_its_lock_lapses_in_a_pause(without_row_lock: None) -> None:
    entry = ran_out()
    with done_but_not_committed(pauses(entry.tournament)):
        clock = Actor(lapses(entry))
        clock.waits()
    assert (clock.result(), state_of(entry)) == (1, State.PASSED)


def test_offer_seats_that_waited_for_a_pause_offers_nothing() -> None:
    entry = make_entry(make_tournament(seats=1))
    with done_but_not_committed(pauses(entry.tournament)):
        admitter = Actor(lambda: services.offer_seats(tournament_id=entry.tournament_id))
        assert admitter.waits()
    assert (admitter.result(), state_of(entry)) == (0, State.WAITING)


def test_resume_by_two_organizers_adds_the_paused_time_once() -> None:
    entry, staff = offered(ends_in=MINUTE), make_staff()
    Tournament.objects.filter(pk=entry.tournament_id).update(paused_at=now() - 10 * MINUTE)
    resume = lambda: services.resume_tournament(tournament_id=entry.tournament_id, by=staff)  # noqa: E731
    assert all_at_once(*[resume] * 3) == [None] * 3
    before = entry.offer_expires_at
    entry.refresh_from_db()
    assert before is not None
    assert entry.offer_expires_at is not None
    assert timedelta(minutes=10) <= entry.offer_expires_at - before < timedelta(minutes=11)
