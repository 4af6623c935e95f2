"""The pure rules of the queue: how long an offer lasts, and who gets which seat."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.rules import (
    CARD_RETRY_MINUTES,
    ENDED,
    LIVE,
    NIGHT_BEGINS,
    NIGHT_ENDS,
    SEATED,
    TRANSITIONS,
    FreeSeat,
    InLine,
    OfferRules,
    State,
    match_seats,
    offer_deadlines,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 6, 10, 12, 0, tzinfo=BERLIN)


# A tournament in Berlin whose rush begins at NOON.
RULES = OfferRules(
    rush_from=NOON,
    rush_minutes=120,
    offer_minutes=10,
    late_offer_hours=48,
    payment_minutes=10,
    always_late=False,
    zone=BERLIN,
)


@pytest.mark.parametrize(
    ("made_at", "lasts"),
    [
        (NOON - timedelta(minutes=30), timedelta(minutes=10)),  # an early lane
        (NOON, timedelta(minutes=10)),
        (NOON + timedelta(minutes=120) - timedelta(microseconds=1), timedelta(minutes=10)),
        (NOON + timedelta(minutes=120), timedelta(hours=48)),
        (NOON + timedelta(days=9), timedelta(hours=48)),
    ],
)
def test_offer_deadlines_are_minutes_in_the_rush_and_hours_afterwards(made_at: datetime, lasts: timedelta) -> None:
    assert offer_deadlines(RULES, made_at).expires_at - made_at == lasts


def test_offer_deadlines_of_a_lottery_know_no_rush() -> None:
    assert offer_deadlines(replace(RULES, always_late=True), NOON).expires_at == NOON + timedelta(hours=48)


def test_offer_deadlines_hold_the_seat_for_paying_and_one_declined_card() -> None:
    deadlines = offer_deadlines(replace(RULES, payment_minutes=15), NOON)
    assert deadlines.hold_until - deadlines.expires_at == timedelta(minutes=15 + CARD_RETRY_MINUTES)


@pytest.mark.parametrize(
    ("would_end", "ends"),
    [
        (time(21, 59, 59), (0, time(21, 59, 59))),
        (time(22, 0), (1, time(8, 0))),
        (time(23, 59), (1, time(8, 0))),
        (time(0, 0), (0, time(8, 0))),
        (time(7, 59, 59), (0, time(8, 0))),
        (time(8, 0), (0, time(8, 0))),
        (time(13, 0), (0, time(13, 0))),
    ],
)
def test_offer_deadlines_late_never_end_in_the_night_of_the_venue(would_end: time, ends: tuple[int, time]) -> None:
    day = datetime(2026, 6, 20).date()  # noqa: DTZ001  a date alone
    made_at = datetime.combine(day, would_end, BERLIN) - timedelta(hours=48)
    later, at = ends
    expected = datetime.combine(day + timedelta(days=later), at, BERLIN)
    assert offer_deadlines(RULES, made_at).expires_at == expected


def test_offer_deadlines_night_is_the_venues_own() -> None:
    evening_in_berlin = datetime(2026, 6, 20, 23, 0, tzinfo=BERLIN)
    made_at = evening_in_berlin - timedelta(hours=48)
    in_new_york = replace(RULES, zone=ZoneInfo("America/New_York"))  # there it is 17:00
    assert offer_deadlines(in_new_york, made_at).expires_at == evening_in_berlin


@pytest.mark.parametrize(
    ("made_at", "ends_at"),
    [
        # The clocks went forward on 29 March: 08:00 is 06:00 UTC from then on.
        (datetime(2026, 3, 27, 2, 30, tzinfo=UTC), datetime(2026, 3, 29, 6, 0, tzinfo=UTC)),
        (datetime(2026, 3, 27, 6, 30, tzinfo=UTC), datetime(2026, 3, 29, 6, 30, tzinfo=UTC)),
        # And back on 25 October: 08:00 is 07:00 UTC.
        (datetime(2026, 10, 23, 6, 30, tzinfo=UTC), datetime(2026, 10, 25, 7, 0, tzinfo=UTC)),
        (datetime(2026, 10, 23, 20, 30, tzinfo=UTC), datetime(2026, 10, 25, 20, 30, tzinfo=UTC)),
        (datetime(2026, 10, 23, 21, 30, tzinfo=UTC), datetime(2026, 10, 26, 7, 0, tzinfo=UTC)),
    ],
)
def test_offer_deadlines_keep_to_the_wall_clock_when_summer_time_changes(made_at: datetime, ends_at: datetime) -> None:
    assert offer_deadlines(replace(RULES, rush_from=NOON - timedelta(days=365)), made_at).expires_at == ends_at


@given(
    made_at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham", "UTC"]).map(ZoneInfo),
    hours=st.integers(1, 96),
)
def test_offer_deadlines_late_last_at_least_their_hours_and_at_most_a_night_more(
    made_at: datetime, zone: ZoneInfo, hours: int
) -> None:
    ends_at = offer_deadlines(replace(RULES, always_late=True, zone=zone, late_offer_hours=hours), made_at).expires_at
    assert timedelta(hours=hours) <= ends_at - made_at <= timedelta(hours=hours + 11)  # 10, and one when clocks go back
    assert NIGHT_ENDS <= ends_at.astimezone(zone).time() < NIGHT_BEGINS


# --- Who gets which seat -------------------------------------------------------------------------------------

GROUPS = st.sampled_from([None, 1, 2])
LINE = st.lists(GROUPS, max_size=15).map(
    lambda groups: [InLine(id=100 + n, order=(0, n), group_id=group) for n, group in enumerate(groups)]
)
SEATS = st.lists(GROUPS, max_size=12).map(lambda groups: [FreeSeat(id=n, group_id=g) for n, g in enumerate(groups)])
LIMIT = st.integers(0, 20)


@given(line=LINE, seats=SEATS, limit=LIMIT)
def test_match_seats_gives_each_seat_and_each_entry_once_and_never_more_than_the_limit(
    line: list[InLine], seats: list[FreeSeat], limit: int
) -> None:
    pairs = match_seats(line, seats, limit)
    assert len(pairs) <= limit
    assert max(Counter(entry for entry, _ in pairs).values(), default=1) == 1
    assert max(Counter(seat for _, seat in pairs).values(), default=1) == 1


@given(line=LINE, seats=SEATS, limit=LIMIT)
def test_match_seats_keeps_reserved_seats_for_their_group_and_takes_those_first(
    line: list[InLine], seats: list[FreeSeat], limit: int
) -> None:
    entries, reserved = {entry.id: entry for entry in line}, {seat.id: seat.group_id for seat in seats}
    left = Counter(seat.group_id for seat in seats)
    for entry_id, seat_id in match_seats(line, seats, limit):
        group, seat_group = entries[entry_id].group_id, reserved[seat_id]
        assert seat_group in (None, group)
        if seat_group is None and group is not None:
            assert left[group] == 0
        left[seat_group] -= 1


@given(line=LINE, seats=SEATS, limit=LIMIT)
def test_match_seats_keeps_the_order_and_wastes_no_seat(line: list[InLine], seats: list[FreeSeat], limit: int) -> None:
    pairs = match_seats(line, seats, limit)
    order = {entry.id: entry.order for entry in line}
    assert [order[entry] for entry, _ in pairs] == sorted(order[entry] for entry, _ in pairs)
    free = Counter(seat.group_id for seat in seats)
    free.subtract(Counter({seat.id: seat.group_id for seat in seats}[seat] for _, seat in pairs))
    seated = {entry for entry, _ in pairs}
    if len(pairs) < limit:
        for entry in line:
            if entry.id not in seated:
                assert free[None] == 0
                assert entry.group_id is None or free[entry.group_id] == 0


@given(line=LINE, seats=SEATS, limit=LIMIT, seed=st.randoms())
def test_match_seats_passes_over_nobody_who_could_have_had_a_seat_that_somebody_later_got(
    line: list[InLine], seats: list[FreeSeat], limit: int, seed: Random
) -> None:
    seed.shuffle(shuffled := list(line))
    pairs = match_seats(shuffled, seats, limit)
    assert pairs == match_seats(line, seats, limit)  # the order of arrival of the rows says nothing
    given_to, group_of = dict(pairs), {seat.id: seat.group_id for seat in seats}
    for earlier in line:
        if earlier.id in given_to:
            continue
        later = [group_of[given_to[e.id]] for e in line if e.order > earlier.order and e.id in given_to]
        assert None not in later
        assert earlier.group_id is None or earlier.group_id not in later


def test_match_seats_serves_higher_lanes_first() -> None:
    line = [InLine(1, (0, 1), None), InLine(2, (-2, 9), None), InLine(3, (-1, 4), None), InLine(4, (-2, 7), None)]
    assert match_seats(line, [FreeSeat(11, None), FreeSeat(12, None), FreeSeat(13, None)], 10) == [
        (4, 11),
        (2, 12),
        (3, 13),
    ]


def test_match_seats_serves_the_drawn_before_all_who_came_later() -> None:
    line = [InLine(1, (0, 5), None), InLine(2, (0, -1), None), InLine(3, (0, -7), None)]
    assert [entry for entry, _ in match_seats(line, [FreeSeat(n, None) for n in range(3)], 3)] == [3, 2, 1]


# --- States --------------------------------------------------------------------------------------------------


def test_states_are_either_live_or_ended_and_ended_ones_are_never_left() -> None:
    assert set(LIVE) | set(ENDED) == set(State)
    assert not set(LIVE) & set(ENDED)
    assert set(SEATED) < set(LIVE)
    assert not [old for old, _new in TRANSITIONS if old in ENDED]
