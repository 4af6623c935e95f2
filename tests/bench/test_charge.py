"""`bin/bench charge`: every card once, also by the worker that comes after the one that was killed."""

import pytest

from tests.bench.test_bench import run


@pytest.mark.slow
def test_winners_are_charged_once_though_a_worker_is_killed() -> None:
    figures = run("charge", "--winners", "30")
    assert (figures["winners"], figures["charged"], figures["declined"]) == (30, 27, 3)
    assert figures["charged_twice"] == figures["lost"] == figures["ledger_difference_minor"] == 0
    assert figures["total_s"] > 0
