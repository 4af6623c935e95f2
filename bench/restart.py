"""A rolling restart under rush: web, live and clock are replaced one after the other while everybody joins."""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from bench.rushing import Strike, Wish, prepare
from bench.site import BenchSite

REPLACED = ("web", "live", "clock")


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """As `rush`, and for each restart the requests that failed, when all sockets were back, and the places that were lost."""
    wish = Wish(options.players, options.seats, options.seconds, options.mode)
    return prepare(site, wish).run([Strike(f"{name} is replaced", _replace(name)) for name in REPLACED])


def _replace(name: str) -> Callable[[BenchSite], None]:
    def do(site: BenchSite) -> None:
        site.supervisor.replace(name)

    return do
