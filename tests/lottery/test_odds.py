"""The odds are the exact ones: held against published tables, against counting every order, and against draws that were played."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.drawing import Division, Entry, How, Reserve, allocate, rank
from lottery.odds import Odds, chance, odds, odds_in_time, simulated_odds

PUBLISHED = json.loads((Path(__file__).parent / "odds.json").read_text())["cases"]
Key = tuple[str | None, int]  # group and tickets
Entrants = dict[Key, int]

# Two groups that compete for their reserves, one that is sure of its own, and the rest.
MIXED: Entrants = {
    (None, 1): 14,
    (None, 3): 4,
    (None, 8): 2,
    ("vip", 1): 5,
    ("vip", 4): 3,
    ("local", 2): 6,
    ("crew", 1): 2,
}
MIXED_RESERVES = {"vip": 2, "local": 3, "crew": 3}
MIXED_OPEN = 6

small_fields = st.dictionaries(
    st.tuples(st.sampled_from([None, "vip", "local"]), st.integers(1, 4)), st.integers(1, 3), max_size=4
).filter(lambda entrants: sum(entrants.values()) <= 7)
small_reserves = st.dictionaries(st.sampled_from(["vip", "local"]), st.integers(0, 4))
fields = st.dictionaries(
    st.tuples(st.sampled_from([None, "vip", "local", "crew"]), st.integers(1, 64)), st.integers(0, 300), max_size=8
)
reserves = st.dictionaries(st.sampled_from(["vip", "local", "crew"]), st.integers(0, 400))


def by_class(table: Odds) -> dict[Key, float]:
    return {(row.group, row.tickets): row.chance for row in table.rows}


def seats_given(table: Odds) -> float:
    return math.fsum(row.expected for row in table.rows)


def counted_chances(open_seats: int, kept: Mapping[str, int], entrants: Entrants) -> dict[Key, float]:
    """By walking down every possible order: the next of the order is of a class with probability tickets / all tickets left."""

    @cache
    def seated(left: tuple[tuple[Key, int], ...], free: tuple[tuple[str | None, int], ...]) -> dict[Key, float]:
        """How many of each class get a seat from here on, on average."""
        result = dict.fromkeys(entrants, 0.0)
        seats = dict(free)
        weight = sum(tickets * count for (_, tickets), count in left)
        for key, count in left:
            if not count:
                continue
            group, tickets = key
            taken = group if seats.get(group) else None
            found = bool(seats[taken])
            remaining = {**dict(left), key: count - 1}
            ending = seated(tuple(remaining.items()), tuple({**seats, taken: seats[taken] - found}.items()))
            for other, number in ending.items():
                result[other] += (number + (found and other == key)) * tickets * count / weight
        return result

    seats: dict[str | None, int] = {None: open_seats} | dict(kept)
    everybody = seated(tuple(entrants.items()), tuple(seats.items()))
    return {key: everybody[key] / count for key, count in entrants.items()}


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: case["name"])
def test_published_tables_are_reproduced_to_the_digit(case: dict[str, Any]) -> None:
    """They were simulated by those who published them, so half a digit gets a fiftieth more: 78.8 stands there for 78.8502."""
    entrants: Entrants = {(None, int(tickets)): count for tickets, count in case["entrants_by_tickets"].items()}
    table = odds(case["seats"], {}, entrants)
    percent = {str(row.tickets): row.chance * 100 for row in table.rows}
    assert percent == pytest.approx(case["published_percent"], abs=0.051)
    assert table.exact


@given(st.integers(0, 8), small_reserves, small_fields)
@settings(deadline=None)
def test_chances_are_those_of_counting_every_order(open_seats: int, kept: dict[str, int], entrants: Entrants) -> None:
    assert by_class(odds(open_seats, kept, entrants)) == pytest.approx(
        counted_chances(open_seats, kept, entrants), abs=1e-8
    )


@given(st.integers(0, 1500), reserves, fields, st.booleans())
@settings(deadline=None, max_examples=50)
def test_chances_of_all_add_up_to_the_seats(
    open_seats: int, kept: dict[str, int], entrants: Entrants, released: bool
) -> None:
    """Exactly: reserves to their groups, open seats to those who are left, none to nobody."""
    members: Counter[str | None] = Counter()
    for (group, _), count in entrants.items():
        members[group] += count
    reserved = sum(min(seats, members[group]) for group, seats in kept.items())
    unused = sum(kept.values()) - reserved
    left = members.total() - reserved
    table = odds(open_seats, kept, entrants, releases_reserved=released)
    assert seats_given(table) == pytest.approx(reserved + min(left, open_seats + unused * released), abs=1e-6)
    assert table.entrants == members.total()


@given(st.integers(0, 1500), reserves, fields)
@settings(deadline=None, max_examples=25)
def test_more_tickets_never_lower_the_chance(open_seats: int, kept: dict[str, int], entrants: Entrants) -> None:
    rows = odds(open_seats, kept, entrants).rows
    for fewer, more in pairwise(rows):
        if fewer.group == more.group:
            assert fewer.chance <= more.chance + 1e-8


@given(st.integers(0, 1500), reserves, fields)
@settings(deadline=None, max_examples=25)
def test_one_more_seat_never_lowers_a_chance(open_seats: int, kept: dict[str, int], entrants: Entrants) -> None:
    before, after = by_class(odds(open_seats, kept, entrants)), by_class(odds(open_seats + 1, kept, entrants))
    assert all(before[key] <= after[key] + 1e-8 for key in before)


@pytest.mark.parametrize("tickets", [1, 64])
@pytest.mark.parametrize(("seats", "others"), [(1, 1), (3, 4), (700, 9_999), (999_999, 999_999), (400_000, 999_999)])
def test_among_equals_the_chance_is_seats_by_entrants(tickets: int, seats: int, others: int) -> None:
    assert chance(seats, tickets, {tickets: others}) == pytest.approx(seats / (others + 1), abs=1e-8)


@pytest.mark.parametrize("others", [{1: 1}, {64: 3, 1: 5}, {2: 500_000, 64: 500_000}])
def test_one_seat_is_won_with_tickets_by_all_tickets(others: dict[int, int]) -> None:
    all_tickets = 3 + sum(tickets * count for tickets, count in others.items())
    assert chance(1, 3, others) == pytest.approx(3 / all_tickets, abs=1e-8)


def test_a_million_entrants_share_the_seats() -> None:
    entrants: Entrants = {(None, 1): 700_000, ("vip", 2): 200_000, (None, 4): 100_000}
    assert seats_given(odds(60_000, {"vip": 10_000}, entrants)) == pytest.approx(70_000, abs=1e-2)


def test_nothing_to_share_and_nobody_to_share_it() -> None:
    assert odds(0, {}, {}).rows == odds(5, {"vip": 2}, {}).rows == ()
    assert odds(5, {}, {(None, 1): 0}).rows == ()
    assert by_class(odds(0, {}, {(None, 1): 4, ("vip", 2): 1})) == {(None, 1): 0, ("vip", 2): 0}
    assert by_class(odds(9, {}, {(None, 1): 4, ("vip", 2): 1})) == {(None, 1): 1, ("vip", 2): 1}
    assert chance(0, 5, {}) == 0
    assert chance(1, 5, {}) == 1


def test_a_reserve_as_large_as_its_group_makes_it_sure_and_leaves_the_open_seats_to_the_rest() -> None:
    table = by_class(odds(2, {"vip": 4}, {(None, 1): 8, ("vip", 3): 4}))
    assert table == pytest.approx({("vip", 3): 1, (None, 1): 0.25})


def test_reserved_seats_that_nobody_is_left_to_take_help_the_rest_only_when_the_rules_open_them() -> None:
    entrants: Entrants = {(None, 1): 8, ("vip", 3): 2}
    kept = {"vip": 4, "local": 1}
    assert by_class(odds(1, kept, entrants))[None, 1] == pytest.approx(1 / 8)
    assert by_class(odds(1, kept, entrants, releases_reserved=True))[None, 1] == pytest.approx(4 / 8)


def test_without_open_seats_each_group_draws_for_its_own() -> None:
    table = by_class(odds(0, {"vip": 1, "local": 2}, {(None, 9): 5, ("vip", 1): 4, ("local", 1): 8}))
    assert table == pytest.approx({(None, 9): 0, ("vip", 1): 1 / 4, ("local", 1): 2 / 8})


def test_a_reserve_helps_its_group() -> None:
    entrants: Entrants = {(None, 1): 90, ("vip", 1): 10}
    table = by_class(odds(9, {"vip": 1}, entrants))
    assert table["vip", 1] > 0.1 > table[None, 1]


def p_value(chi_square: float, degrees: int) -> float:
    """How often chance alone deviates that much; the closed form for an even number of degrees of freedom."""
    assert degrees % 2 == 0
    half = chi_square / 2
    return math.exp(-half) * math.fsum(half**i / math.factorial(i) for i in range(degrees // 2))


def test_p_values_are_those_of_the_tables() -> None:
    assert p_value(5.991, 2) == pytest.approx(0.05, abs=1e-4)
    assert p_value(22.458, 6) == pytest.approx(0.001, abs=1e-5)


@cache
def seats_in_real_draws(draws: int) -> dict[Key, tuple[int, int]]:
    """(watched, seated) of each class. One entry is watched in each draw, in turn, so that what is counted is independent."""
    entries = [
        Entry(f"{number:024x}", "masters", *key)
        for number, key in enumerate(key for key, count in MIXED.items() for _ in range(count))
    ]
    groups = {entry.id: entry.group for entry in entries}
    division = Division(
        "masters",
        MIXED_OPEN + sum(MIXED_RESERVES.values()),
        tuple(Reserve(group, seats) for group, seats in MIXED_RESERVES.items()),
    )
    counts = dict.fromkeys(MIXED, (0, 0))
    for draw in range(draws):
        ranking = rank(hashlib.sha256(f"odds {draw}".encode()).digest(), entries)
        allocated = dict(allocate(division, [(entry_id, groups[entry_id]) for _, entry_id in ranking]))
        watched = entries[draw % len(entries)]
        before, seated = counts[watched.group, watched.tickets]
        got = allocated[watched.id] is not How.WAITLIST
        counts[watched.group, watched.tickets] = (before + 1, seated + got)
    return counts


def chi_square(counts: dict[Key, tuple[int, int]], expected: dict[Key, float]) -> tuple[float, int]:
    """(chi-square, degrees of freedom) of the classes that are neither sure of a seat nor without a chance."""
    terms = [
        (seated - watched * expected[key]) ** 2 / (watched * expected[key] * (1 - expected[key]))
        for key, (watched, seated) in counts.items()
        if 0 < expected[key] < 1
    ]
    return math.fsum(terms), len(terms)


def test_twenty_thousand_real_draws_agree_with_the_odds() -> None:
    counts = seats_in_real_draws(20_000)
    exact = by_class(odds(MIXED_OPEN, MIXED_RESERVES, MIXED))
    assert exact["crew", 1] == 1
    assert counts["crew", 1][0] == counts["crew", 1][1]
    assert p_value(*chi_square(counts, exact)) > 0.001


def test_real_draws_would_not_agree_with_odds_that_are_slightly_wrong() -> None:
    """Seats by tickets, reserves that help nobody, and one seat too few: each is seen."""
    counts = seats_in_real_draws(20_000)
    seats = MIXED_OPEN + sum(MIXED_RESERVES.values())
    tickets = sum(key[1] * count for key, count in MIXED.items())
    by_tickets = {key: min(0.99, seats * key[1] / tickets) for key in MIXED}
    without_reserves = by_class(odds(seats, {}, MIXED))
    one_less = by_class(odds(MIXED_OPEN - 1, MIXED_RESERVES, MIXED))
    for wrong in (by_tickets, without_reserves, one_less):
        statistic, terms = chi_square(counts, wrong)
        assert p_value(statistic, terms + terms % 2) < 0.001


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_played_draws_come_out_as_the_exact_odds_say(seed: int) -> None:
    exact = odds(MIXED_OPEN, MIXED_RESERVES, MIXED)
    played = simulated_odds(MIXED_OPEN, MIXED_RESERVES, MIXED, draws=20_000, seed=seed)
    assert (exact.exact, played.exact, played.draws) == (True, False, 20_000)
    for truth, seen in zip(exact.rows, played.rows, strict=True):
        assert (truth.group, truth.tickets, truth.count) == (seen.group, seen.tickets, seen.count)
        assert seen.error is not None
        assert abs(seen.chance - truth.chance) <= 4 * seen.error + 1e-12


def test_played_draws_with_the_same_seed_are_the_same() -> None:
    first, again = (simulated_odds(MIXED_OPEN, MIXED_RESERVES, MIXED, draws=50, seed=7) for _ in range(2))
    assert first == again != simulated_odds(MIXED_OPEN, MIXED_RESERVES, MIXED, draws=50, seed=8)
    assert seats_given(first) == pytest.approx(MIXED_OPEN + 2 + 3 + 2)


def test_played_draws_of_nobody_are_empty() -> None:
    assert simulated_odds(3, {}, {}, draws=5, seed=1).rows == ()


def test_a_page_gets_the_exact_odds_as_long_as_few_groups_have_reserves() -> None:
    assert odds_in_time(MIXED_OPEN, MIXED_RESERVES, MIXED) == odds(MIXED_OPEN, MIXED_RESERVES, MIXED)
    four = dict.fromkeys("abcd", 2)
    entrants: Entrants = {(None, 1): 20} | {(name, 1): 3 for name in "abcde"}
    assert odds_in_time(3, {**four, "e": 0}, entrants).exact
    assert odds_in_time(3, {**four, "e": 2}, entrants).draws == 2000
    assert odds_in_time(3, {**four, "e": 2}, {(None, 1): 60_000}, releases_reserved=True).draws == 50
    assert odds_in_time(3, {**four, "e": 2}, {}).rows == ()


def test_a_page_gets_played_odds_where_the_exact_ones_do_not_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lottery.odds.MOST_HALVINGS", 0)
    monkeypatch.setattr("lottery.odds.PRECISION", 0.0)
    with pytest.raises(ArithmeticError):
        odds(MIXED_OPEN, MIXED_RESERVES, MIXED)
    assert odds_in_time(MIXED_OPEN, MIXED_RESERVES, MIXED).draws == 2000
