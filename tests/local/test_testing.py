"""What bin/test takes for itself, and what it hands to pytest."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vgchub.local import testing
from vgchub.local.postgres import VERSION, versions

NIGHTLY = "--hypothesis-profile=nightly"

GROUPED = """
import time
import pytest

@pytest.mark.xdist_group("stage")
@pytest.mark.parametrize("number", range(6))
def test_on_stage(number):
    time.sleep(0.1)
"""


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int]]:
    """The runs of pytest that would have been: arguments and version of PostgreSQL. One on an old version fails."""
    made: list[tuple[list[str], int]] = []

    def run(arguments: list[str], *, version: int) -> int:
        made.append((arguments, version))
        return int(version == 16)

    monkeypatch.setattr(testing, "_run", run)
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name)
    return made


def test_pytest_gets_its_arguments_as_they_are(runs: list[tuple[list[str], int]]) -> None:
    assert testing.main(["-x", "tests/lottery", "-k", "odds"]) == 0
    assert runs == [(["-x", "tests/lottery", "-k", "odds"], VERSION)]


def test_an_older_postgres_can_be_asked_for(runs: list[tuple[list[str], int]]) -> None:
    assert testing.main(["--postgres", "16", "-x"]) == 1
    assert runs == [(["-x"], 16)]


def test_at_night_every_version_has_its_turn_and_one_failure_fails_all(runs: list[tuple[list[str], int]]) -> None:
    assert testing.main(["--nightly", "tests/machine"]) == 1
    assert runs == [([NIGHTLY, "tests/machine"], version) for version in versions()]


def test_at_night_servers_of_ones_own_are_used_once(
    runs: list[tuple[list[str], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://somewhere/else")
    monkeypatch.setenv("REDIS_URL", "redis://somewhere/0")
    assert testing.main(["--nightly"]) == 0
    assert runs == [([NIGHTLY], VERSION)]


def test_tests_of_a_group_are_on_one_worker(tmp_path: Path) -> None:
    """What holds the stage and the benchmarks together. Other versions of pytest and its plugin can do it in vain."""
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    argv = [sys.executable, "-m", "pytest", "-n2", "--dist=loadgroup", "-v", "-p", "no:django"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.count("PASSED") == 6
    assert len(set(re.findall(r"\[(gw\d)\]", ran.stdout))) == 1
