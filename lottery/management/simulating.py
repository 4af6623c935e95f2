"""manage.py draw simulate: the chances that rules give, without a tournament."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.template.loader import render_to_string

from lottery import chart
from lottery.odds import Odds, Row, odds, simulated_odds

HELP = "The chance of a seat under rules that you try, per group and number of tickets."
MOST_TICKETS = 64
MOST_PLAYERS = 10_000_000
MOST_KEYS = 1_000_000_000  # of all players in all played draws: about a minute


@dataclass(frozen=True)
class Group:
    name: str
    players: int
    tickets: int
    reserved: int


@dataclass(frozen=True)
class Rules:
    """What is tried. The groups are among the players, their reserves among the seats; everybody else has one ticket."""

    players: int
    seats: int
    groups: tuple[Group, ...]
    releases_reserved: bool

    @property
    def open_seats(self) -> int:
        return self.seats - sum(group.reserved for group in self.groups)

    @property
    def reserves(self) -> dict[str, int]:
        return {group.name: group.reserved for group in self.groups}

    @property
    def entrants(self) -> dict[tuple[str | None, int], int]:
        rest = self.players - sum(group.players for group in self.groups)
        return {(None, 1): rest, **{(group.name, group.tickets): group.players for group in self.groups}}


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--players", required=True, metavar="N", help="how many enter, those in groups included")
    parser.add_argument("--seats", metavar="S", help="reserved ones included; one for ten players unless you say so")
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME:PLAYERS:TICKETS:RESERVED",
        help="some of the players, with so many tickets each and so many of the seats reserved; can be repeated",
    )
    parser.add_argument(
        "--release", action="store_true", help="open reserved seats that their group is too small to take"
    )
    parser.add_argument(
        "--draws", default="0", metavar="N", help="also play so many draws, to see the chances come about"
    )
    parser.add_argument("--seed", default="1", metavar="N", help="another one plays other draws (default 1)")
    parser.add_argument("--svg", metavar="FILE", help="write a bar chart there")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(stdout: OutputWrapper, options: Mapping[str, Any]) -> None:
    """Raises CommandError, one line that says what to do, for input that makes no draw."""
    rules = _rules(options)
    draws = _whole("--draws", options["draws"], 0, MOST_KEYS // rules.players)
    seed = _whole("--seed", options["seed"], 0, 2**63)
    asked = (rules.open_seats, rules.reserves, rules.entrants)
    exact = odds(*asked, releases_reserved=rules.releases_reserved)
    played = None
    if draws:
        played = simulated_odds(*asked, releases_reserved=rules.releases_reserved, draws=draws, seed=seed)
    stdout.write(_json(exact, played) if options["json"] else _table(exact, played))
    if options["svg"]:
        _write_chart(Path(options["svg"]), exact)


def _rules(options: Mapping[str, Any]) -> Rules:
    players = _whole("--players", options["players"], 1, MOST_PLAYERS)
    seats = -(-players // 10) if options["seats"] is None else _whole("--seats", options["seats"], 0, MOST_PLAYERS)
    groups = tuple(_group(text) for text in options["group"])
    rules = Rules(players, seats, groups, options["release"])
    if len(rules.reserves) < len(groups):
        raise CommandError("Two groups have the same name: give each its own.")
    if rules.entrants[None, 1] < 0:
        raise CommandError(f"The groups have more than {players} players: raise --players, which counts them too.")
    if rules.open_seats < 0:
        raise CommandError(f"The groups reserve more than {seats} seats: raise --seats, or reserve fewer.")
    return rules


def _group(text: str) -> Group:
    parts = text.split(":")
    if len(parts) != 4 or not parts[0].strip():
        raise CommandError(f"--group {text} has to be NAME:PLAYERS:TICKETS:RESERVED, VIP:200:4:50 for example.")
    name, players, tickets, reserved = parts
    return Group(
        name.strip(),
        _whole(f"PLAYERS of {name}", players, 0, MOST_PLAYERS),
        _whole(f"TICKETS of {name}", tickets, 1, MOST_TICKETS),
        _whole(f"RESERVED of {name}", reserved, 0, MOST_PLAYERS),
    )


def _whole(name: str, text: str | int, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise CommandError(f"{name} has to be a whole number from {least} to {most}, not {text}.")
    return value


def _table(exact: Odds, played: Odds | None) -> str:
    """Aligned by column, the numbers to the right."""
    heads, rows = chart.columns(), chart.cells(exact)
    if played:
        heads.append(f"in {played.draws} draws")
        rows = [[*cells, chart.percent(row.chance, row.error)] for cells, row in zip(rows, played.rows, strict=True)]
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    lines = [_line(cells, widths) for cells in [heads, ["-" * width for width in widths], *rows]]
    return "\n".join([f"{exact.entrants} players, {exact.seats} seats; the chances are exact", "", *lines])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
    return "  ".join([cells[0].ljust(widths[0]), *padded[1:]])


def _json(exact: Odds, played: Odds | None) -> str:
    seen = played.rows if played else [None] * len(exact.rows)
    rows = [_plain(row, simulated) for row, simulated in zip(exact.rows, seen, strict=True)]
    draws = played.draws if played else 0
    return json.dumps({"players": exact.entrants, "seats": exact.seats, "draws": draws, "rows": rows})


def _plain(row: Row, simulated: Row | None) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "group": row.group,
        "tickets": row.tickets,
        "players": row.count,
        "chance": row.chance,
        "expected_seats": row.expected,
    }
    if simulated:
        plain["simulated"] = {"chance": simulated.chance, "standard_error": simulated.error}
    return plain


def _write_chart(path: Path, exact: Odds) -> None:
    picture = render_to_string("lottery/_odds_chart.svg", {"odds": exact, "standalone": True})
    try:
        path.write_text(picture.strip() + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"The chart can't be written to {path} ({error.strerror}): choose another file.") from error
