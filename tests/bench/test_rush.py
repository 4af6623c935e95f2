"""A small rush, played over HTTP and sockets against the real processes, until every seat is paid for."""

import pytest

from tests.bench.test_bench import run


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fair_start", "first_come"])
def test_a_rush_ends_with_every_seat_confirmed_and_nothing_gone_wrong(mode: str) -> None:
    figures = run("rush", "--players", "60", "--seats", "5", "--seconds", "5", "--mode", mode)
    assert (figures["errors"], figures["joined"], figures["confirmed"]) == (0, 60, 5), figures
    assert (figures["oversold"], figures["unsold"]) == (0, 0)
    assert figures["steps"].keys() >= {"page", "socket", "join", "queue page", "take up", "pay"}
    assert figures["line_lag_s"] > 0
