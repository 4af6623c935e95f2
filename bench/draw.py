"""How long a draw takes from sealing to the published bundle, and how long its check."""

import resource
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.draw_joins import Joins
from bench.people import make_waiting
from bench.report import say
from bench.site import BenchSite
from lottery import services
from lottery.models import Draw, DrawFile
from lottery.queries import file_of, parts_of
from lottery.services import running
from tests.builders import Mode, make_group, make_tournament
from tournaments.models import Tournament
from vgchub.local.fingerprint import HOUSE

SEATS = {"masters": 500, "senior": 200}


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """Seconds for each step, and the most memory that this process had, in MB."""
    entries: int = options.entries
    say(f"{entries} players enter")
    draw = _draw_of(site, entries)
    figures: dict[str, Any] = {"entries": entries}
    with Joins() if options.joins else _nobody() as others:
        before = others and others.p95_ms(seconds=10)
        with _timed(figures, "total_s"):
            with _timed(figures, "seal_s"):
                services.seal_draw(draw_id=draw.pk)
            with _timed(figures, "draw_s"), _rank_timed(figures):
                services.run_draw(draw_id=draw.pk)
            with _timed(figures, "bundle_s"):
                services.write_bundle(draw_id=draw.pk)
        if others:
            figures |= {"other_joins_p95_ms_before": before, "other_joins_p95_ms_meanwhile": others.p95_ms()}
    figures["verify_s"] = _verify(draw)
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return figures


def _draw_of(site: BenchSite, entries: int) -> Draw:
    tournament = make_tournament(
        mode=Mode.LOTTERY, seats=SEATS, opens_in=-timedelta(days=3), entropy=Tournament.Entropy.COMMIT_REVEAL
    )
    group = make_group(tournament, tickets=4, reserved={"masters": 50}, min_championship_points=100)
    make_waiting(tournament, entries, group=group.pk)
    site.settle()
    draw = services.open_draw(tournament_id=tournament.pk)
    if draw is None:
        raise RuntimeError("no draw was opened")
    return draw


@contextmanager
def _timed(figures: dict[str, Any], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    figures[name] = round(time.perf_counter() - began, 2)
    say(f"{name}: {figures[name]}")


@contextmanager
def _rank_timed(figures: dict[str, Any]) -> Iterator[None]:
    """`rank_s` is the part of the draw that computes keys and ranks, without the places in the line."""
    rank: Callable[..., None] = running._rank  # noqa: SLF001  a step of the service, measured from outside

    def timed(*arguments: Any) -> None:
        with _timed(figures, "rank_s"):
            rank(*arguments)

    running._rank = timed  # noqa: SLF001
    try:
        yield
    finally:
        running._rank = rank  # noqa: SLF001


@contextmanager
def _nobody() -> Iterator[None]:
    yield None


def _verify(draw: Draw) -> float:
    """Seconds that the command takes which players download."""
    draw.refresh_from_db()
    file = file_of(draw, DrawFile.Name.BUNDLE)
    if file is None:
        raise RuntimeError("the bundle was not published")
    with tempfile.TemporaryDirectory(prefix="vgchub-bench-") as folder:
        bundle = Path(folder) / "bundle.json.gz"
        with bundle.open("wb") as target:
            target.writelines(parts_of(file))
        began = time.perf_counter()
        argv = [sys.executable, str(HOUSE / "static" / "verify_draw.py"), str(bundle), "--sha256", draw.manifest_sha256]
        subprocess.run(argv, check=True, stdout=sys.stderr)  # noqa: S603
        return round(time.perf_counter() - began, 2)
