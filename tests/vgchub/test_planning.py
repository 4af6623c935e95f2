"""What a tournament takes: the arithmetic, the command, and the tables in the documentation that it has made."""

import re
from dataclasses import asdict
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from vgchub import planning
from vgchub.planning import Cost, NoPlanError, Plan, plan

PERFORMANCE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"

players = st.integers(1, 1_000_000)


def test_plan_follows_from_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JOIN_WEB_MS", "OWN_PAGE_WEB_MS", "SHARED_PAGE_WEB_MS"):
        monkeypatch.setattr(planning, name, Cost(10.0, "a test"))
    found = plan(60_000, 500, 10)
    joins = 60_000 / 600 * planning.PEAK
    assert found.joins == joins
    assert found.own_pages == joins * planning.OWN_PAGES
    milliseconds = 10.0 * joins * (1 + planning.OWN_PAGES + planning.SHARED_PAGES)
    assert found.web_pods == -(-milliseconds // (1000 * planning.USED * planning.WEB_CORES))
    assert found.sockets == 60_000
    assert found.live_pods * planning.LIVE_SOCKETS >= 60_000
    assert found.sold_out_minutes == 0.5


def test_smallest_tournament_has_two_of_each_process() -> None:
    found = plan(1, 1, 1)
    assert (found.web_pods, found.live_pods, found.worker_pods, found.clock_pods) == (2, 2, 2, 2)
    assert found.connections == 2 * (16 + 4 + 2 + 1)
    assert list(planning.advice(found)) == []


@given(players, players, st.integers(1, 1000))
def test_more_players_never_take_less(some: int, more: int, minutes: int) -> None:
    less, greater = (asdict(plan(number, 700, minutes)) for number in sorted((some, more)))
    # The sockets of more players may be spread over more pods.
    assert all(less[name] <= greater[name] for name in less.keys() - {"live_mb"})


@given(players, st.floats(1, 1000), st.floats(1, 1000))
def test_more_minutes_never_take_more(number: int, some: float, more: float) -> None:
    shorter, longer = (plan(number, 700, minutes) for minutes in sorted((some, more)))
    for name in ("joins", "own_pages", "web_pods", "connections", "statements", "database_cores", "redis_cores"):
        assert getattr(longer, name) <= getattr(shorter, name)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ((0, 700, 5), "players has to be from 1 to 100,000,000, not 0."),
        ((10**9, 700, 5), "players has to be from 1 to 100,000,000, not 1,000,000,000."),
        ((10, -1, 5), "seats has to be from 1 to 10,000,000, not -1."),
        ((10, 700, 0.5), "minutes has to be from 1 to 10,080, not 0.5."),
        ((10, 700, float("nan")), "minutes has to be from 1 to 10,080, not nan."),
    ],
)
def test_what_is_no_tournament_is_refused_in_words(asked: tuple[int, int, float], sentence: str) -> None:
    with pytest.raises(NoPlanError, match=re.escape(sentence)):
        plan(*asked)
    with pytest.raises(CommandError, match=re.escape(sentence)):
        said(*asked)


def test_what_is_no_number_is_refused_too() -> None:
    with pytest.raises(CommandError, match="invalid int value: 'many'"):
        call_command("plan", "--players=many", "--seats=1", "--minutes=1")


def test_every_cost_says_where_it_was_measured() -> None:
    costs = [value for value in vars(planning).values() if isinstance(value, Cost)]
    assert len(costs) > 10
    assert all(cost.value > 0 and cost.source for cost in costs)


def test_what_is_too_much_for_one_machine_is_said() -> None:
    sentences = " ".join(planning.advice(plan(50_000_000, 700, 1)))
    assert "One PostgreSQL" in sentences
    assert "One Redis" in sentences
    assert "Gbit/s" in sentences


def test_tables_of_the_documentation_are_what_the_command_says() -> None:
    told = re.findall(
        r"```\n\$ manage\.py plan --players (\d+) --seats (\d+) --minutes (\d+)\n(.*?)```",
        PERFORMANCE.read_text(),
        re.DOTALL,
    )
    assert [int(number) for number, *_rest in told] == [10_000, 100_000, 1_000_000]
    for number, seats, minutes, text in told:
        assert said(int(number), int(seats), float(minutes)) == text


def said(number: int, seats: int, minutes: float) -> str:
    """What the command prints."""
    printed = StringIO()
    call_command("plan", players=number, seats=seats, minutes=minutes, stdout=printed)
    return printed.getvalue()


def test_plan_has_a_line_for_all_that_it_reckons() -> None:
    rows = dict(planning.table(plan(100_000, 700, 10)))
    assert len(rows) >= 14
    assert all(rows.values())
    assert isinstance(plan(1, 1, 1), Plan)
