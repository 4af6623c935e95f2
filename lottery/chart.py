"""The odds as a person reads them: rows of a table, bars of a chart. Pure but for the language of the request."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from lottery.odds import Odds, Row
from vgchub.words import number

# In units of the chart's view box: a phone shows them about as pixels.
WIDTH = 360
BAR_ROW = 46
LABEL = 36  # characters that fit beside the longest chance


@dataclass(frozen=True)
class Bar:
    """`y` is the top of its row, `length` how much of the width is filled."""

    label: str
    chance: str
    y: int
    length: int


@dataclass(frozen=True)
class Chart:
    width: int
    height: int
    bars: tuple[Bar, ...]


def percent(chance: float, error: float | None = None) -> str:
    """A chance between 0.0 and 1.0: 4.7%, or 4.71% ± 0.02 if simulated; never 0% or 100% of what may still happen or fail."""
    if error:
        return _("{percent}% ± {error}").format(
            percent=_decimal(chance * 100, 2), error=_decimal(max(0.01, error * 100), 2)
        )
    if chance in {0, 1}:
        return f"{chance * 100:.0f}%"
    if chance < 0.001:
        return _("less than {percent}%").format(percent=_decimal(0.1))
    if chance > 0.999:
        return _("more than {percent}%").format(percent=_decimal(99.9))
    return f"{_decimal(chance * 100)}%"


def _decimal(value: float, places: int = 1) -> str:
    return number_format(round(value, places), decimal_pos=places, force_grouping=True)


def label(row: Row) -> str:
    """VIP, 4 tickets"""
    tickets = ngettext("%(n)d ticket", "%(n)d tickets", row.tickets) % {"n": row.tickets}
    return f"{row.group}, {tickets}" if row.group else tickets


def chart(odds: Odds) -> Chart:
    """One bar for each row, below each other."""
    bars = tuple(
        Bar(
            Truncator(label(row)).chars(LABEL),
            percent(row.chance, row.error),
            place * BAR_ROW,
            round(row.chance * WIDTH),
        )
        for place, row in enumerate(odds.rows)
    )
    return Chart(WIDTH, len(bars) * BAR_ROW, bars)


def columns() -> list[str]:
    return [_("Who"), _("Entries"), _("Chance of a seat"), _("Expected seats")]


def cells(odds: Odds) -> Sequence[list[str]]:
    """The rows of the table, under `columns()`."""
    return [
        [label(row), number(row.count), percent(row.chance, row.error), _decimal(row.expected)] for row in odds.rows
    ]
