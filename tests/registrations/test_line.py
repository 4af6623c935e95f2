"""The published line gives everybody the exact position: held against counting, for any places and lanes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from registrations.line import (
    Expected,
    Flow,
    Lane,
    Line,
    bitmap,
    block_of,
    chance_of_seat,
    counted_up_to,
    expected_seats,
    minutes_to_wait,
    pack,
    position,
    unpack,
)

DIVISION = 7
places = st.sets(st.integers(-5000, 5000), max_size=200)


def line_of(lanes: dict[int, set[int]]) -> Line:
    line = Line()
    for priority, waiting in lanes.items():
        for block in {block_of(place) for place in waiting}:
            in_block = [place for place in waiting if block_of(place) == block]
            line.replace(Lane.of(DIVISION, priority), block, bitmap(in_block))
    return line


@given(general=places, vip=places)
def test_position_from_the_published_line_is_the_counted_one(general: set[int], vip: set[int]) -> None:
    line = line_of({0: general, 3: vip})
    head = line.head(DIVISION)
    served = [(3, place) for place in sorted(vip)] + [(0, place) for place in sorted(general)]
    for counted, (priority, place) in enumerate(served, start=1):
        bits = line.lanes[Lane.of(DIVISION, priority)][block_of(place)]
        assert position(head, unpack(pack(bits)), priority, place) == counted
    assert line.waiting_counts()[DIVISION] == len(served)


@given(general=places, vip=places, newer=places)
def test_a_place_that_is_newer_than_the_published_line_is_counted_from_its_last_block(
    general: set[int], vip: set[int], newer: set[int]
) -> None:
    head = line_of({0: general, 3: vip}).head(DIVISION)
    for place in newer - general:
        known = counted_up_to(head, 0, place)
        if known is None:
            assert all(block_of(place) < block_of(other) for other in general)
        else:
            first_place, before = known
            counted = len(vip) + sum(other < place for other in general)
            assert before + sum(first_place <= other < place for other in general) == counted


@given(places)
def test_other_divisions_don_t_count(waiting: set[int]) -> None:
    line = line_of({0: waiting})
    line.replace(Lane.of(DIVISION + 1, 9), 0, bitmap([1, 2, 3]))
    assert line.waiting_counts()[DIVISION] == len(waiting)
    assert all(lane["lane"] == 0 for lane in line.head(DIVISION))


def test_a_place_in_an_unknown_block_has_no_position() -> None:
    assert position(line_of({0: {5}}).head(DIVISION), 0, 0, 99_999) is None
    assert position(line_of({0: {5}}).head(DIVISION), 0, 1, 5) is None


def test_replacing_says_whether_anything_moved_and_forgets_empty_blocks() -> None:
    line, lane = Line(), Lane.of(DIVISION, 0)
    assert not line.replace(lane, 0, 0)
    assert line.replace(lane, 0, bitmap([3]))
    assert not line.replace(lane, 0, bitmap([3]))
    assert line.replace(lane, 0, 0)
    assert line.head(DIVISION) in ([], [{"lane": 0, "blocks": []}])


@given(
    st.builds(
        Flow,
        free=st.integers(0, 700),
        offered=st.integers(0, 700),
        confirmed=st.integers(0, 700),
        taken_up=st.integers(0, 700),
        missed=st.integers(0, 700),
        cancelled=st.just(0),
    ),
    st.integers(0, 700),
    st.integers(1, 20_000),
)
def test_chance_is_a_share_and_never_better_further_back(flow: Flow, given_back: int, place: int) -> None:
    expected = expected_seats(replace(flow, cancelled=min(given_back, flow.taken_up)))
    assert 0 <= chance_of_seat(place + 1, expected) <= chance_of_seat(place, expected) <= 1


def test_chance_is_certain_where_nothing_is_left_to_chance() -> None:
    assert [chance_of_seat(n, Expected(2, 0)) for n in (1, 2, 3)] == [1, 1, 0]


def test_free_seats_make_the_head_of_the_line_sure() -> None:
    expected = expected_seats(Flow(free=500, offered=0, confirmed=0, taken_up=0, missed=0, cancelled=0))
    assert chance_of_seat(400, expected) > 0.999
    assert chance_of_seat(3420, expected) < 0.001


def test_wait_is_the_pace_of_the_window() -> None:
    assert minutes_to_wait(50, offers_in_window=100, window_minutes=10) == 5
    assert minutes_to_wait(50, offers_in_window=0, window_minutes=10) is None
