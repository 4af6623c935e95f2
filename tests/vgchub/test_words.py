"""How numbers, money and times read."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from vgchub import words

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (213, "213th"), (3420, "3,420th")],
)
def test_ordinal(value: int, text: str) -> None:
    assert words.ordinal(value) == text


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (2500, "eur", "€25.00"),
        (123456, "usd", "$1,234.56"),
        (3000, "jpy", "¥3,000"),
        (2500, "chf", "CHF 25.00"),
        (2500, "kwd", "KWD 2.500"),
        (-103, "eur", "-€1.03"),
        (-103, "chf", "-CHF 1.03"),
    ],
)
def test_money_counts_the_smallest_unit_of_its_currency(minor: int, currency: str, text: str) -> None:
    assert words.money(minor, currency) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 sec"),
        (59.9, "59 sec"),
        (725, "12 min 5 sec"),
        (7260, "2 hr 1 min"),
        (86400, "1 day 0 hr"),
        (2 * 86400 + 7200, "2 days 2 hr"),
    ],
)
def test_duration_rounds_down_and_is_never_negative(seconds: float, text: str) -> None:
    assert words.duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (0.004, "less than 1%"), (0.113, "11%"), (0.996, "more than 99%"), (1, "100%")]
)
def test_percent_calls_nothing_impossible_or_certain_that_is_not(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_moment_is_told_by_the_venues_clock_and_says_so() -> None:
    assert words.moment(datetime(2026, 11, 28, 19, tzinfo=UTC), BERLIN, now=NOW) == (
        "Saturday 28 November at 20:00 (Berlin time)"
    )


def test_moment_of_another_year_says_the_year() -> None:
    when = datetime(2027, 1, 1, 12, tzinfo=UTC)
    assert words.day_and_time(when, BERLIN, now=NOW) == "Friday 1 January 2027 at 13:00"


def test_moment_of_the_venues_today_says_so_with_its_seconds() -> None:
    assert words.day_and_time(datetime(2026, 11, 22, 20, 24, 10, tzinfo=UTC), BERLIN, now=NOW) == "today at 21:24:10"


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (datetime(2026, 11, 22, 22, 59, 59, tzinfo=UTC), "23:59:59"),
        (datetime(2026, 11, 22, 23, 4, 10, tzinfo=UTC), "Monday 23 November at 00:04:10"),
    ],
)
def test_deadline_says_its_day_unless_that_is_today(when: datetime, text: str) -> None:
    assert words.deadline(when, BERLIN, now=NOW) == text


@pytest.mark.parametrize(("zone", "name"), [("UTC", "UTC"), ("America/Argentina/Buenos_Aires", "Buenos Aires time")])
def test_zone_name(zone: str, name: str) -> None:
    assert words.zone_name(ZoneInfo(zone)) == name
