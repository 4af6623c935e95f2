"""What bin/test takes for itself, and what it hands to pytest."""

import pytest

from vgchub.local import testing
from vgchub.local.postgres import VERSION, versions

NIGHTLY = "--hypothesis-profile=nightly"


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
