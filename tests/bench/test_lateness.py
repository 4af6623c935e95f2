"""The crowd measures how late the line is by its last reader, and what nobody was shown is as late as the run is long."""

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from bench.crowd.lines import KEPT, Lines, Published


@pytest.fixture
def clock() -> Iterator[Any]:
    with patch("bench.crowd.lines.time.monotonic") as monotonic:
        yield monotonic


def line(*, waiting: int = 0, offered: int = 0, confirmed: int = 0, blocks: dict[str, str] | None = None) -> bytes:
    numbers = {"waiting": waiting, "offered": offered, "confirmed": confirmed}
    return json.dumps({"kind": "line", "head": {"divisions": {"1": numbers}}, "blocks": blocks or {}}).encode()


def personal(number: int) -> bytes:
    return json.dumps({"kind": "entry.changed", "entry": str(number)}).encode()


class Crowd:
    """Some pages of one run."""

    def __init__(self, clock: Any, pages: int = 2) -> None:
        self.clock, self.published = clock, Published()
        self.pages = [Lines(self.published) for _ in range(pages)]

    def show(self, at: float, payload: bytes, *pages: int, broadcast: bool = True) -> None:
        self.clock.return_value = at
        for page in pages:
            self.pages[page].read(payload, broadcast=broadcast)


def test_the_last_page_that_shows_a_join_or_a_payment_says_how_late_it_was(clock: Any) -> None:
    crowd = Crowd(clock)
    crowd.show(11, line(waiting=2), 0)
    crowd.show(13, line(waiting=2), 1)
    crowd.show(21, line(waiting=1, offered=1), 0, 1)
    crowd.show(34, line(waiting=1, confirmed=1), 0, 1)
    assert crowd.published.lag([10, 10.5], [], ends=50) == 3
    assert crowd.published.lag([10, 10.5], [30], ends=50) == 4
    assert crowd.published.spread() == 2


def test_a_line_that_stands_still_is_late_until_the_end(clock: Any) -> None:
    crowd = Crowd(clock)
    crowd.show(11, line(waiting=1), 0, 1)
    assert crowd.published.lag([10, 12], [], ends=50) == 38
    crowd.show(20, line(offered=1), 0, 1)
    assert crowd.published.lag([10], [30], ends=50) == 20
    assert Published().lag([10], [], ends=50) == 40


def test_joins_count_until_the_first_offers_are_shown(clock: Any) -> None:
    """Afterwards players leave the line, so that its numbers don't say any more who is counted."""
    crowd = Crowd(clock)
    crowd.show(11, line(waiting=1), 0, 1)
    crowd.show(14, line(waiting=1, offered=1), 0, 1)
    crowd.show(40, line(waiting=1), 0, 1)
    assert crowd.published.lag([10, 12, 13, 20], [], ends=50) == 2


def test_ten_thousand_personal_texts_do_not_make_a_line_new_that_is_on_its_way(clock: Any) -> None:
    crowd = Crowd(clock)
    crowd.show(11, line(waiting=1), 0)
    for number in range(KEPT + 1):
        crowd.show(12, personal(number), 0, 1)
    crowd.show(19, line(waiting=1), 1)
    assert (crowd.published.lag([10], [], ends=50), crowd.published.spread()) == (9, 8)


def test_what_a_page_shows_already_is_not_late_when_it_is_sent_once_more(clock: Any) -> None:
    """As after Redis was flushed; with other blocks, or the same."""
    crowd = Crowd(clock)
    crowd.show(11, line(waiting=1), 0, 1)
    crowd.show(30, line(waiting=1), 0, 1)
    crowd.show(31, line(waiting=1, blocks={"1:0:0": "gA=="}), 0, 1)
    assert crowd.published.lag([10], [], ends=50) == 1


def test_the_greeting_of_a_socket_says_nothing_about_lateness_and_brings_its_page_up_to_date(clock: Any) -> None:
    crowd = Crowd(clock)
    crowd.show(11, line(waiting=1), 0)
    assert crowd.pages[1].shown is not crowd.published.latest
    crowd.show(19, line(waiting=1, blocks={"1:0:0": "gA=="}), 1, broadcast=False)
    assert crowd.pages[1].shown is crowd.pages[0].shown is crowd.published.latest
    assert crowd.published.lag([10], [], ends=50) == 1
