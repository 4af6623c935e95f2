"""What can be measured, by the name that bin/bench is given, which is also the name of the module in bench/."""

import argparse
from dataclasses import dataclass
from typing import Any

from bench.faults import FAULTS, GROUPS

MILLIONS = 5_000_000


@dataclass(frozen=True)
class Option:
    """One option of a command, as argparse takes it."""

    name: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A benchmark: what it is about, and what can be chosen."""

    help: str
    options: tuple[Option, ...] = ()


def number(name: str, default: int, text: str, *, least: int = 1, most: int = MILLIONS) -> Option:
    """An option that takes a whole number from `least` to `most`."""

    def parse(given: str) -> int:
        if not given.isdecimal() or not least <= int(given) <= most:
            raise argparse.ArgumentTypeError(f"{given!r} is not a number from {least} to {most}")
        return int(given)

    return Option(name, {"type": parse, "default": default, "help": f"{text} (default {default})", "metavar": "N"})


def switch(name: str, text: str) -> Option:
    """An option without a value."""
    return Option(name, {"action": "store_true", "help": text})


def choice(name: str, choices: tuple[str, ...], text: str) -> Option:
    """An option that takes one of `choices`; the first is the default."""
    return Option(name, {"choices": choices, "default": choices[0], "help": f"{text} (default {choices[0]})"})


CROWD = (
    number("--players", 10_000, "how many want in"),
    number("--seats", 700, "how many seats there are", most=10_000),
    number("--seconds", 30, "everybody joins within so many seconds", most=3600),
    choice("--mode", ("fair_start", "first_come"), "how seats are given out"),
)

COMMANDS: dict[str, Command] = {
    "bare": Command(
        "the yardstick: a view without middleware that does one INSERT",
        (number("--requests", 20_000, "how many are sent"),),
    ),
    "sockets": Command(
        "how late the last of so many open pages shows that the line moved, and how soon all are back after a restart",
        (number("--players", 10_000, "how many pages are open"),),
    ),
    "seats": Command(
        "how many seats a second are offered and confirmed",
        (
            number("--seats", 2000, "how many there are, each time", least=100),
            number("--processes", 2, "how many offer or confirm at once", most=16),
        ),
    ),
    "line": Command(
        "what publishing a line costs",
        (number("--waiting", 1_000_000, "how many stand in it", least=100),),
    ),
    "joins": Command(
        "distinct players joining: as fast as it goes beside the yardstick, at fixed rates, all at once",
        (
            choice("--via", ("api", "page"), "by the API with a token, or by the page with a session"),
            number("--players", 12_000, "how many join as fast as it goes"),
            number("--seconds", 10, "how long joins go on at each fixed rate"),
            number("--burst", 0, "so many more join within one second", least=0),
            number("--waiting", 0, "measure once more behind so many who wait: cost_ratio", least=0),
        ),
    ),
    "signin": Command(
        "fresh sign-ins by password and by mailed code, beside joins and alone",
        (
            number("--people", 1_000, "how many sign in each way, as fast as it goes"),
            number("--rate", 50, "sign-ins a second beside joins"),
            number("--joins", 100, "joins a second beside sign-ins"),
            number("--seconds", 10, "how long both go on"),
        ),
    ),
    "draw": Command(
        "seal, draw, publish and verify a draw of so many entries",
        (
            number("--entries", 100_000, "how many take part"),
            switch("--joins", "join another tournament before and meanwhile, and say its p95"),
        ),
    ),
    "pages": Command(
        "a reload storm on public pages, signed in or not, and the cache emptied meanwhile",
        (
            number("--waiting", 1_000, "how many stand in the tournament's line"),
            number("--connections", 64, "how many ask at once", most=10_000),
            number("--seconds", 5, "how long each storm lasts", most=600),
            switch("--without", "without the shelf: everybody's page is made for each of them"),
        ),
    ),
    "rush": Command(
        "everybody at once, over HTTP and sockets, until every seat is paid for",
        (
            *CROWD,
            choice("--fault", ("none", *GROUPS, *FAULTS), "what goes wrong meanwhile"),
        ),
    ),
    "charge": Command(
        "winners' cards charged in one batch by two workers, of which one is killed in the middle",
        (number("--winners", 700, "how many won; every tenth card is declined", most=10_000),),
    ),
    "restart": Command("a rush, while web, live and clock are replaced one after the other", CROWD),
}


def parser() -> argparse.ArgumentParser:
    """The command-line of bin/bench."""
    whole = argparse.ArgumentParser(
        prog="bin/bench", description="Measures on embedded servers; the last line is JSON."
    )
    commands = whole.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.help)
        for option in command.options:
            one.add_argument(option.name, **option.settings)
    return whole
