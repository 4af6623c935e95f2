"""bin/bench measures, prints its figures as JSON at the end, and fails on what must never be."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from bench import __main__ as bench
from bench import commands, report
from vgchub.local.fingerprint import HOUSE


def run(*argv: str) -> dict[str, Any]:
    """The figures of `bin/bench ...`, on servers of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", *argv], cwd=HOUSE, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


@pytest.mark.slow
def test_a_draw_is_measured() -> None:
    figures = run("draw", "--entries", "100")
    assert figures["entries"] == 100
    assert figures.keys() >= {"seal_s", "rank_s", "draw_s", "bundle_s", "total_s", "verify_s", "peak_mb"}


@pytest.mark.slow
@pytest.mark.parametrize("via", ["api", "page"])
def test_joins_are_measured(via: str) -> None:
    figures = run("joins", f"--via={via}", "--players=30", "--seconds=1", "--burst=50", "--waiting=100")
    assert figures["errors"] == figures["burst"]["errors"] == figures["behind"]["errors"] == 0
    assert figures.keys() >= {"rate", "p95_ms", "ratio_to_bare", "cpu_ms", "cost_ratio"}
    assert figures["at_rate"].keys() == {"100", "200", "300", "500"}
    assert figures["parts"].keys() == {"middleware", "view", "session or token", "limiter", "database", "whole"}


@pytest.mark.slow
def test_sign_ins_are_measured() -> None:
    figures = run("signin", "--people=20", "--rate=5", "--joins=5", "--seconds=2")
    for way in ("password", "code"):
        assert figures[way]["errors"] == figures[way]["beside_joins"]["errors"] == 0
        assert figures[way].keys() >= {"rate", "p95_ms", "joins_before", "joins_meanwhile"}


def test_figures_come_as_a_table_and_then_as_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    report.show("joins", {"rate": 712.4, "cpu": {"web": 1.2}})
    *table, last = capsys.readouterr().out.splitlines()
    assert json.loads(last) == {"rate": 712.4, "cpu": {"web": 1.2}}
    assert [line.split() for line in table[2:]] == [["rate", "712.40"], ["cpu"], ["web", "1.20"]]


@pytest.mark.parametrize(
    ("found", "figures", "said"),
    [
        ([], {"n": 1}, ""),
        (["I1: 3 seats too many"], {"n": 1}, "1 invariants are broken, first I1: 3 seats too many\n"),
        ([], {"n": 1, "line": {"lost": 2}}, "Has to be 0: line, lost: 2\n"),
    ],
)
def test_what_must_never_be_fails_it_with_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: list[str],
    figures: dict[str, Any],
    said: str,
) -> None:
    @contextmanager
    def site() -> Iterator[Any]:
        yield SimpleNamespace(violations=lambda: found)

    monkeypatch.setattr(bench, "bench_site", site)
    monkeypatch.setattr(bench, "import_module", lambda _name: SimpleNamespace(measure=lambda _site, _options: figures))
    monkeypatch.setattr(sys, "argv", ["bin/bench", "draw"])
    assert bench.main() == bool(said)
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1]) == figures
    assert captured.err == said


def test_a_number_out_of_range_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        commands.parser().parse_args(["draw", "--entries", "0"])
    assert "'0' is not a number from 1 to" in capsys.readouterr().err
