"""When a tournament is in which phase, and who belongs where: pure functions on plain values."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from accounts.rules import PlayerFacts

LONGEST_LINE = 1000
PLAYER_ID = re.compile(r"[0-9]{3,16}")


class Phase(StrEnum):
    """Where a tournament stands, computed from its times."""

    DRAFT = "DRAFT"  # not published
    ANNOUNCED = "ANNOUNCED"  # nobody can join yet
    PREQUEUE = "PREQUEUE"  # joining, before opens_at (fair start, or an early lane)
    OPEN = "OPEN"  # joining
    CLOSED = "CLOSED"  # no more joining; offers go on
    OVER = "OVER"  # no more offers
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class Times:
    """The times that decide a phase; all aware."""

    published_at: datetime | None
    first_join_at: datetime
    opens_at: datetime
    closes_at: datetime
    offers_end_at: datetime
    cancelled_at: datetime | None


def phase(times: Times, now: datetime) -> Phase:
    """Periods are half-open: at `opens_at` it is open, at `closes_at` it is closed."""
    if times.published_at is None or now < times.published_at:
        return Phase.DRAFT
    if times.cancelled_at is not None:
        return Phase.CANCELLED
    borders = (
        (times.offers_end_at, Phase.OVER),
        (times.closes_at, Phase.CLOSED),
        (times.opens_at, Phase.OPEN),
        (times.first_join_at, Phase.PREQUEUE),
    )
    return next((name for begins, name in borders if now >= begins), Phase.ANNOUNCED)


@dataclass(frozen=True)
class JoinLimits:
    """How many joins a minute a tournament takes: of one player, from one address (accounts whose e-mail is not verified,
    and those whose is), and in all; None is any number."""

    player: int = 5
    address: int = 10
    address_verified: int = 3000
    ceiling: int | None = None


@dataclass(frozen=True)
class DivisionBounds:
    """Born on or after `born_from` and on or before `born_to`; None has no bound on that side."""

    id: int
    code: str
    born_from: date | None
    born_to: date | None

    def admits(self, birth_date: date) -> bool:
        return (self.born_from is None or self.born_from <= birth_date) and (
            self.born_to is None or birth_date <= self.born_to
        )


def division_for(birth_date: date, divisions: Iterable[DivisionBounds]) -> DivisionBounds | None:
    """The one division that admits a birth date (divisions of a tournament never overlap)."""
    return next((division for division in divisions if division.admits(birth_date)), None)


@dataclass(frozen=True)
class Criteria:
    """What a priority group asks for. All that is set must hold; a group with nothing set admits only listed members."""

    min_championship_points: int | None = None
    max_best_placement: int | None = None
    countries: frozenset[str] = frozenset()
    divisions: frozenset[str] = frozenset()
    min_seasons_played: int | None = None

    @property
    def empty(self) -> bool:
        return self == Criteria()

    def hold(self, player: PlayerFacts, division: str) -> bool:
        placement = player.best_placement
        return all(
            (
                self.min_championship_points is None or player.championship_points >= self.min_championship_points,
                self.max_best_placement is None or (placement is not None and placement <= self.max_best_placement),
                not self.countries or player.country in self.countries,
                not self.divisions or division in self.divisions,
                self.min_seasons_played is None or player.seasons_played >= self.min_seasons_played,
            )
        )


@dataclass(frozen=True)
class Group:
    """A priority group as joining sees it."""

    id: int
    name: str
    priority: int
    tickets: int
    opens_early_minutes: int
    criteria: Criteria

    def admits(self, player: PlayerFacts, division: str) -> bool:
        if self.id in player.memberships:
            return True
        return not self.criteria.empty and self.criteria.hold(player, division)


def group_for(player: PlayerFacts, division: str, groups: Iterable[Group]) -> Group | None:
    """The group a player counts in: highest priority, then most tickets, then by name; None is general."""
    admitting = (group for group in groups if group.admits(player, division))
    return min(admitting, key=lambda group: (-group.priority, -group.tickets, group.name), default=None)


def overlapping(divisions: Iterable[DivisionBounds]) -> list[tuple[str, str]]:
    """Pairs of division codes that would both admit somebody."""
    ordered = sorted(divisions, key=lambda division: division.born_from or date.min)
    return [
        (first.code, second.code)
        for index, first in enumerate(ordered)
        for second in ordered[index + 1 :]
        if (second.born_from or date.min) <= (first.born_to or date.max)
        and (first.born_from or date.min) <= (second.born_to or date.max)
    ]


@dataclass(frozen=True)
class MemberList:
    """What a list of Player IDs holds: the good ones, once each, and the bad lines as (line number, what stands there)."""

    player_ids: frozenset[str]
    bad: tuple[tuple[int, str], ...]


def decoded(content: bytes) -> str:
    """The text of a CSV file as spreadsheets write it; Player IDs are digits, so an odd letter elsewhere does no harm."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def member_list(text: str) -> MemberList:
    """Read Player IDs from CSV: of the column `player_id` if the first line names one, else of the first column.

    Comma, semicolon or tab; any line ends; empty lines are passed over.
    """
    lines = text.removeprefix("\ufeff").replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    delimiter = max(",;\t", key=lines[0].count)
    rows = [
        (number, next(csv.reader([line[:LONGEST_LINE]], delimiter=delimiter), []))
        for number, line in enumerate(lines, start=1)
    ]
    column, rows = _header(rows)
    values = [
        (number, row[column].strip() if column < len(row) else "") for number, row in rows if any(map(str.strip, row))
    ]
    good = frozenset(value for _number, value in values if PLAYER_ID.fullmatch(value))
    return MemberList(good, tuple((number, value[:40]) for number, value in values if value not in good))


def _header(rows: list[tuple[int, list[str]]]) -> tuple[int, list[tuple[int, list[str]]]]:
    """Which column holds the Player ID, and the rows without the header."""
    first = [cell.strip().casefold().replace(" ", "_") for cell in rows[0][1]] if rows else []
    if not first or any(PLAYER_ID.fullmatch(cell) for cell in first):
        return 0, rows
    return (first.index("player_id"), rows[1:]) if "player_id" in first else (0, rows)
