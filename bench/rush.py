"""The rush: everybody at once, over HTTP and sockets, until every seat is paid for."""

from argparse import Namespace
from typing import Any

from bench.faults import named
from bench.rushing import Wish, prepare
from bench.site import BenchSite


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """Errors, latencies by step, what became of the seats, how late the line was; with faults, what each of them cost."""
    strikes = named(options.fault)
    wish = Wish(options.players, options.seats, options.seconds, options.mode)
    figures = prepare(site, wish).run(strikes)
    return figures | ({"fault": options.fault} if strikes else {})
