"""From an offer to a confirmed seat: deadlines, holds, and what a declined card or a failed capture leaves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from registrations import services
from registrations.models import QueueEntry
from registrations.rules import State
from tests.builders import make_entry, make_staff, make_tournament, now
from tournaments.models import Tournament
from vgchub.errors import RefusedError

pytestmark = pytest.mark.django_db

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
FEE: dict[str, Any] = {"fee_minor": 4000, "payment_minutes": 10}


def offered(
    *, ends_in: timedelta = 5 * MINUTE, held_for: timedelta = 25 * MINUTE, tournament: Any = FEE, **fields: Any
) -> QueueEntry:
    """An entry with an open offer in a tournament with a fee."""
    fields |= {"offer_expires_at": now() + ends_in, "hold_until": now() + held_for}
    return make_entry(make_tournament(**tournament), state=State.OFFERED, **fields)


def take_up(entry: QueueEntry) -> QueueEntry:
    return services.take_up_offer(account=entry.player.account, public_id=entry.public_id)


def again(entry: QueueEntry) -> QueueEntry:
    entry.refresh_from_db()
    return entry


def about(moment: datetime | None, other: datetime) -> bool:
    """Whether two moments are the same, but for the time that the test itself took."""
    assert moment is not None
    return abs(moment - other) < timedelta(seconds=30)


# --- Taking up -----------------------------------------------------------------------------------------------


def test_take_up_offer_leaves_at_least_the_time_to_pay() -> None:
    entry = take_up(offered(ends_in=MINUTE))
    assert about(entry.offer_expires_at, now() + 10 * MINUTE)
    assert entry.checkout_at is not None
    assert entry.state == State.OFFERED


def test_take_up_offer_does_not_shorten_a_long_offer() -> None:
    entry = offered(ends_in=40 * HOUR, held_for=41 * HOUR)
    before = entry.offer_expires_at
    assert take_up(entry).offer_expires_at == before


def test_take_up_offer_never_extends_past_the_hold() -> None:
    entry = offered(ends_in=MINUTE, held_for=3 * MINUTE)
    assert take_up(entry).offer_expires_at == entry.hold_until


def test_take_up_offer_again_changes_nothing() -> None:
    entry = take_up(offered(ends_in=MINUTE))
    QueueEntry.objects.filter(pk=entry.pk).update(offer_expires_at=now() + 2 * MINUTE)
    before = QueueEntry.objects.values().get()
    take_up(entry)
    assert QueueEntry.objects.values().get() == before


@pytest.mark.parametrize("tournament", [FEE, {}])
def test_take_up_offer_after_its_end_is_refused_also_before_the_clock_came(tournament: dict[str, Any]) -> None:
    entry = offered(ends_in=-timedelta(seconds=1), tournament=tournament)
    before = QueueEntry.objects.values().get()
    with pytest.raises(services.OfferOverError):
        take_up(entry)
    assert QueueEntry.objects.values().get() == before


def test_take_up_offer_of_a_free_tournament_confirms() -> None:
    entry = take_up(offered(tournament={}))
    assert (entry.state, entry.offer_expires_at, entry.hold_until) == (State.CONFIRMED, None, None)
    assert entry.seat is not None
    assert about(entry.confirmed_at, now())


def test_one_click_on_a_free_seat_costs_few_statements() -> None:
    entry = offered(tournament={})
    with CaptureQueriesContext(connection) as queries:
        take_up(entry)
    # A savepoint's two; the entry, the time, the confirmation, the entry as it is now, its mail.
    assert len(queries) == 7


def test_take_up_offer_of_who_need_not_pay_confirms() -> None:
    entry = offered()
    services.waive_fee(public_id=entry.public_id, by=make_staff(), reason="A judge.")
    assert take_up(entry).state == State.CONFIRMED


def test_take_up_offer_in_a_pause_is_judged_by_when_the_pause_began() -> None:
    """A pause costs nobody a minute, so the deadline stands still: the same minute is left as when it began."""
    entry = offered(ends_in=-9 * MINUTE, held_for=11 * MINUTE)
    Tournament.objects.update(paused_at=now() - 10 * MINUTE)
    taken = take_up(entry)
    assert taken.checkout_at is not None
    assert about(taken.offer_expires_at, now())  # ten minutes from when the pause began
    services.resume_tournament(tournament_id=entry.tournament_id, by=make_staff())
    assert about(again(entry).offer_expires_at, now() + 10 * MINUTE)


def test_take_up_offer_of_a_free_tournament_in_a_pause_confirms() -> None:
    entry = offered(ends_in=-9 * MINUTE, tournament={"paused_at": now() - 10 * MINUTE})
    assert take_up(entry).state == State.CONFIRMED


def test_take_up_offer_that_was_over_when_the_pause_began_is_refused() -> None:
    entry = offered(ends_in=-11 * MINUTE, tournament={"paused_at": now() - 10 * MINUTE})
    with pytest.raises(services.OfferOverError):
        take_up(entry)


# --- A declined card -----------------------------------------------------------------------------------------


def test_extend_for_retry_leaves_ten_more_minutes() -> None:
    entry = offered(ends_in=MINUTE, checkout_at=now())
    services.extend_for_retry(entry_id=entry.pk)
    assert about(again(entry).offer_expires_at, now() + 10 * MINUTE)


def test_extend_for_retry_stays_within_the_hold_however_often() -> None:
    entry = offered(ends_in=MINUTE, held_for=4 * MINUTE, checkout_at=now())
    for _ in range(3):
        services.extend_for_retry(entry_id=entry.pk)
    assert again(entry).offer_expires_at == entry.hold_until


def test_extend_for_retry_takes_no_time_away() -> None:
    entry = offered(ends_in=HOUR, held_for=2 * HOUR, checkout_at=now())
    before = entry.offer_expires_at
    services.extend_for_retry(entry_id=entry.pk)
    assert again(entry).offer_expires_at == before


def test_extend_for_retry_gives_nothing_without_a_checkout() -> None:
    entry = offered()
    before = entry.offer_expires_at
    services.extend_for_retry(entry_id=entry.pk)
    assert again(entry).offer_expires_at == before


# --- Lapsing -------------------------------------------------------------------------------------------------

PAST, FUTURE = -MINUTE, MINUTE


@pytest.mark.parametrize(
    ("offer_ends", "hold_ends", "in_checkout", "by_clock", "by_payments"),
    [
        (FUTURE, FUTURE, False, False, False),
        (FUTURE, FUTURE, True, False, False),
        (PAST, FUTURE, False, True, True),
        (PAST, FUTURE, True, False, True),  # the player may be paying: payments ask Stripe first
        (PAST, PAST, True, True, True),  # whatever happens
    ],
)
@pytest.mark.parametrize("who", ["clock", "payments"])
def test_lapse_ends_what_is_due(
    *,
    offer_ends: timedelta,
    hold_ends: timedelta,
    in_checkout: bool,
    by_clock: bool,
    by_payments: bool,
    who: str,
) -> None:
    entry = offered(ends_in=offer_ends, held_for=hold_ends, checkout_at=now() if in_checkout else None)
    if who == "clock":
        assert services.lapse_offers(tournament_id=entry.tournament_id) == by_clock
    else:
        assert services.lapse_offer(entry_id=entry.pk) is by_payments
    assert (again(entry).state == State.PASSED) == (by_clock if who == "clock" else by_payments)


def test_lapse_gives_the_seat_free_and_keeps_place_and_number() -> None:
    entry = offered(ends_in=-MINUTE)
    place, offer_number = entry.place, entry.offer_number
    services.lapse_offers(tournament_id=entry.tournament_id)
    again(entry)
    assert (entry.seat, entry.offer_expires_at, entry.hold_until, entry.checkout_at) == (None, None, None, None)
    assert (entry.place, entry.offer_number, entry.ended_at) == (place, offer_number, None)


def test_lapse_a_second_time_is_for_good() -> None:
    entry = offered(ends_in=-MINUTE)
    services.lapse_offers(tournament_id=entry.tournament_id)
    services.step_back_in(account=entry.player.account, public_id=entry.public_id)
    assert services.offer_seats(tournament_id=entry.tournament_id) == 1
    QueueEntry.objects.filter(pk=entry.pk).update(offer_expires_at=now() - MINUTE)
    services.lapse_offers(tournament_id=entry.tournament_id)
    again(entry)
    assert entry.state == State.LAPSED
    assert entry.ended_at is not None
    with pytest.raises(services.NotInQueueError):
        services.step_back_in(account=entry.player.account, public_id=entry.public_id)


def test_lapse_touches_no_other_tournament() -> None:
    entry, other = offered(ends_in=-MINUTE), offered(ends_in=-MINUTE)
    assert services.lapse_offers(tournament_id=entry.tournament_id) == 1
    assert again(other).state == State.OFFERED


# --- Stepping back in ----------------------------------------------------------------------------------------


def step_back_in(entry: QueueEntry) -> QueueEntry:
    return services.step_back_in(account=entry.player.account, public_id=entry.public_id)


def test_step_back_in_returns_to_the_old_place_before_who_came_later() -> None:
    tournament = make_tournament()
    passed, later = make_entry(tournament, state=State.PASSED), make_entry(tournament)
    entry = step_back_in(passed)
    assert (entry.state, entry.place) == (State.WAITING, passed.place)
    assert list(QueueEntry.objects.in_line()) == [passed, later]


def test_step_back_in_twice_is_once() -> None:
    entry = step_back_in(make_entry(make_tournament(), state=State.PASSED))
    assert step_back_in(entry).stepped_back_at == entry.stepped_back_at


def test_step_back_in_a_second_time_is_refused_whatever_else_went_wrong() -> None:
    """A second miss is LAPSED, so this row is never made; the rule holds by itself all the same."""
    entry = make_entry(make_tournament(), state=State.PASSED, stepped_back_at=now())
    with pytest.raises(RefusedError):
        step_back_in(entry)
    assert again(entry).state == State.PASSED


def test_step_back_in_goes_on_after_joining_has_closed() -> None:
    entry = make_entry(make_tournament(opens_in=-72 * HOUR), state=State.PASSED)
    assert step_back_in(entry).state == State.WAITING


@pytest.mark.parametrize("settings", [{"opens_in": -120 * HOUR}, {"closed_at": now()}, {"cancelled_at": now()}])
def test_step_back_in_is_refused_once_registration_is_over(settings: dict[str, Any]) -> None:
    entry = make_entry(make_tournament(**settings), state=State.PASSED)
    with pytest.raises(services.ClosedError):
        step_back_in(entry)
    assert again(entry).state == State.PASSED


# --- Confirmed, and not after all ----------------------------------------------------------------------------


def test_confirm_entry_with_a_payment_counts_as_long_as_the_seat_is_held() -> None:
    entry = offered(ends_in=-9 * MINUTE, held_for=-MINUTE, checkout_at=now() - 20 * MINUTE)
    assert services.confirm_entry(entry_id=entry.pk, paid=True).state == State.CONFIRMED


def test_confirm_entry_without_a_payment_has_to_be_in_time() -> None:
    entry = offered(ends_in=-MINUTE, tournament={})
    with pytest.raises(services.OfferOverError):
        services.confirm_entry(entry_id=entry.pk)


def test_reopen_offer_leaves_the_seat_and_a_fresh_deadline() -> None:
    entry = take_up(offered())
    seat, number = entry.seat_id, entry.offer_number
    services.confirm_entry(entry_id=entry.pk, paid=True)
    assert services.reopen_offer(entry_id=entry.pk)
    again(entry)
    assert (entry.state, entry.seat_id, entry.offer_number) == (State.OFFERED, seat, number)
    assert (entry.confirmed_at, entry.checkout_at) == (None, None)
    assert about(entry.offer_expires_at, now() + 20 * MINUTE)
    assert about(entry.hold_until, now() + 40 * MINUTE)


def test_reopen_offer_outside_the_rush_counts_by_hours_and_never_ends_in_the_night() -> None:
    """A capture may fail at three in the morning; twenty minutes would be over before anybody wakes up."""
    to_eleven_at_night = (23 - now().hour) % 24 or 24
    lottery = {**FEE, "mode": "LOTTERY", "late_offer_hours": to_eleven_at_night, "time_zone": "UTC", "drawn_at": now()}
    entry = take_up(offered(tournament={**lottery, "opens_in": -72 * HOUR}))
    services.confirm_entry(entry_id=entry.pk, paid=True)
    services.reopen_offer(entry_id=entry.pk)
    again(entry)
    assert entry.offer_expires_at is not None
    assert entry.offer_expires_at > now() + to_eleven_at_night * HOUR - HOUR
    assert (entry.offer_expires_at.hour, entry.offer_expires_at.minute) == (8, 0)
    assert about(entry.hold_until, entry.offer_expires_at + 20 * MINUTE)


def mails_now_due(entry: QueueEntry) -> list[str]:
    """Which mails are due; they are then sent."""
    due = entry.notices.filter(mailed_at=None)
    kinds = sorted(due.values_list("kind", flat=True))
    due.update(mailed_at=now())
    return kinds


def test_reopen_offer_lets_each_turn_of_events_be_told_again() -> None:
    """Two captures fail and the third payment holds: the last that the player hears is that the seat is confirmed."""
    entry, told = offered(), []
    for _ in range(2):
        services.confirm_entry(entry_id=entry.pk, paid=True)
        told += mails_now_due(entry)
        services.reopen_offer(entry_id=entry.pk)
        told += mails_now_due(entry)
    services.confirm_entry(entry_id=entry.pk, paid=True)
    services.confirm_entry(entry_id=entry.pk, paid=True)
    told += mails_now_due(entry)
    assert told == ["CONFIRMED", "UNSEATED", "CONFIRMED", "UNSEATED", "CONFIRMED"]
    assert entry.notices.count() == 2


def test_cancel_entry_gives_the_seat_free_and_keeps_when_it_was_confirmed() -> None:
    entry = make_entry(make_tournament(seats=1), state=State.CONFIRMED)
    services.cancel_entry(entry_id=entry.pk, reason="Ill.")
    again(entry)
    assert (entry.seat, entry.checkout_at) == (None, None)
    assert entry.confirmed_at is not None
    assert entry.division.seats.free().count() == 1


def test_the_databases_clock_decides() -> None:
    """A web server whose clock is wrong by years neither lapses nor prolongs anything."""
    entry = offered()
    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC)):
        assert services.lapse_offers(tournament_id=entry.tournament_id) == 0
        assert take_up(entry).state == State.OFFERED
    assert about(again(entry).checkout_at, now())


# --- Without the fee -----------------------------------------------------------------------------------------


def test_waive_fee_is_refused_once_a_checkout_has_begun() -> None:
    entry = take_up(offered())
    with pytest.raises(services.NotInQueueError):
        services.waive_fee(public_id=entry.public_id, by=make_staff(), reason="A judge.")


def test_waive_fee_says_who_and_why() -> None:
    entry, staff = make_entry(make_tournament(**FEE)), make_staff()
    waived = services.waive_fee(public_id=entry.public_id, by=staff, reason="A judge.")
    assert (waived.waived_by, waived.waiver_reason) == (staff, "A judge.")
