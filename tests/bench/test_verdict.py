"""A benchmark's figures are judged by their names, and counted so that what they count can be seen in them."""

import pytest

from bench.aftermath import Struck, aftermath, struck_by
from bench.charge import became_of as winners_became
from bench.rushing import became_of as seats_became
from bench.verdict import ZERO, broken


def test_figures_that_have_to_be_0_may_be() -> None:
    assert broken({**dict.fromkeys(ZERO, 0), "given_up": False, "rate": 7, "steps": {"join": {"requests": 3}}}) == []


@pytest.mark.parametrize("name", ZERO)
def test_each_of_them_fails_it_wherever_it_stands(name: str) -> None:
    assert broken({name: 1}) == [f"{name}: 1"]
    assert broken({"strikes": {"web is killed": {name: -1}}}) == [f"strikes, web is killed, {name}: -1"]


def test_errors_are_expected_where_a_fault_is_asked_for_and_nothing_else_is() -> None:
    assert broken({"errors": 3, "unsold": 1, "fault": "kill-web"}) == ["unsold: 1"]
    assert broken({"errors": 3}) == ["errors: 3"]


@pytest.mark.parametrize(
    ("entries", "oversold", "unsold"),
    [
        ({"CONFIRMED": 7, "WAITING": 3}, 0, 0),
        ({"CONFIRMED": 7, "OFFERED": 1, "WAITING": 3}, 1, 0),
        ({"CONFIRMED": 9}, 2, 0),
        ({"CONFIRMED": 4, "OFFERED": 3, "WAITING": 1}, 0, 3),
        ({"CONFIRMED": 4, "PASSED": 1}, 0, 0),  # nobody wants the others
    ],
)
def test_more_entries_than_seats_are_oversold(entries: dict[str, int], oversold: int, unsold: int) -> None:
    became = seats_became(7, entries)
    assert (became["confirmed"], became["oversold"], became["unsold"]) == (entries["CONFIRMED"], oversold, unsold)


def test_winners_are_counted_once_each_whatever_their_payments() -> None:
    """`b` was refused, then charged; `c` was refused; of `d` nobody knows; the simulator alone charged `e`, our rows alone `f`."""
    became = winners_became(6, {"a": 2, "b": 1, "e": 1}, captured={"a", "b", "f"}, failed={"b", "c"})
    assert became == {"charged": 2, "declined": 1, "charged_twice": 1, "lost": 3}


@pytest.mark.parametrize(
    ("sent", "broke", "strike"),
    [
        (90, 95, None),
        (99, 101, 0),  # under way when it struck
        (99, 221, 0),  # timed out
        (111, 112, 0),
        (111, 121, 1),  # under way when the next one struck
        (111, 231, 0),  # not broken by the next one: it had no answer before
        (130, 250, 1),
    ],
)
def test_a_failed_request_counts_for_one_strike(sent: float, broke: float, strike: int | None) -> None:
    assert struck_by([100, 120], sent, broke) == strike


@pytest.mark.parametrize("without_stripe", [True, False])
def test_only_without_stripe_taking_up_may_be_put_off(*, without_stripe: bool) -> None:
    struck = Struck("x", {}, 100.0, ends=112, lost=0, without_stripe=without_stripe)
    cost = aftermath([struck], {"failed": [(115, 116, "take up: 503"), (101, 102, "join: 0")], "looks": []})["x"]
    assert (cost["failed"], cost["failed_after_10_s"]) == ((1, 0) if without_stripe else (2, 1))
    assert cost.get("put_off", 0) == without_stripe


def test_what_was_sent_ten_seconds_after_a_strike_may_not_fail_however_late_it_did() -> None:
    strikes = [Struck(name, {}, at, ends=at + 12, lost=0) for name, at in (("web", 100.0), ("live", 120.0))]
    failed = [(99, 101, "join: 0"), (111, 231, "join: TimeoutError"), (150, 151, "page: 500"), (125, 126, "page: 500")]
    cost = aftermath(strikes, {"failed": failed, "looks": []})
    assert (cost["web"]["failed"], cost["web"]["failed_after_10_s"], cost["web"]["normal_s"]) == (2, 1, 11)
    assert (cost["live"]["failed"], cost["live"]["failed_after_10_s"]) == (2, 1)
