"""Every other benchmark plays through at a tiny size: its figures are there, and nothing among them that may not be."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from bench import pages
from vgchub.local.fingerprint import HOUSE
from vgchub.local.problems import LocalProblemError

RUSH = "--players=16 --seats=4 --seconds=4 --mode=first_come"
FIGURES = {
    "bare --requests=50": {"rate", "p95_ms", "cpu_ms"},
    "line --waiting=100": {"first_ms", "moved_ms", "idle_ms", "moved_bytes"},
    "seats --seats=100": {"offers_by_services", "confirmations_by_services", "offers_by_clock", "confirmations_by_web"},
    "sockets --players=20": {"last_s", "last_s_idle", "told_s", "back_s", "mb_per_1000"},
    "pages --waiting=100 --connections=4 --seconds=1": {"static_304", "page", "page_signed_in", "stampede"},
    f"restart {RUSH}": {"confirmed", "strikes"},
    f"rush {RUSH} --fault=kill-web": {"confirmed", "strikes", "fault"},
    f"rush {RUSH} --fault=broken-stripe": {"confirmed", "strikes", "fault"},
}
WRK = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
PLAYED = [command for command in FIGURES if shutil.which("wrk") or not command.startswith("pages")]

pytestmark = pytest.mark.xdist_group("benchmarks")  # one process plays them all


@pytest.fixture(scope="module")
def played() -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "tests.bench.together", *PLAYED]
    return subprocess.run(argv, cwd=HOUSE, capture_output=True, text=True, check=False, timeout=1200)


def lines(played: "subprocess.CompletedProcess[str]") -> list[Any]:
    return [json.loads(line) for line in played.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [pytest.param(command, marks=WRK if command.startswith("pages") else ()) for command in FIGURES]
)
def test_it_is_measured_and_nothing_is_broken(played: "subprocess.CompletedProcess[str]", command: str) -> None:
    said = next((line for line in lines(played) if line[:1] == [command]), None)
    assert said is not None, played.stderr
    _command, figures, broken = said
    assert broken == []
    assert figures.keys() >= FIGURES[command]
    for strike in figures.get("strikes", {}).values():
        assert strike["places_compared"] > 0


@pytest.mark.slow
def test_all_is_as_it_must_be_after_all_of_them(played: "subprocess.CompletedProcess[str]") -> None:
    assert played.returncode == 0, played.stderr
    assert lines(played)[-1] == []


def test_without_wrk_pages_say_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LocalProblemError, match="apt-get install wrk"):
        pages.measure(None, None)  # type: ignore[arg-type]
