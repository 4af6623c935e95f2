"""While a crowd plays, every process is killed in turn, Valkey is flushed, PostgreSQL restarted. No place is lost."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

from vgchub.local.child import kill_group
from vgchub.local.fingerprint import HOUSE
from vgchub.local.folder import LocalFolder
from vgchub.local.ports import free_port
from vgchub.local.running import running_site
from vgchub.local.site import Site
from vgchub.local.supervisor import Supervisor

PLAYERS, SEATS = 160, 64
NORMAL_WITHIN = 30.0  # seconds after a fault

TOURNAMENT = "city-championship"
# Of the crowd alone: a demo lottery has entries too.
PLACES = """
SELECT e.player_id, e.number, e.place FROM registrations_queueentry e
JOIN tournaments_tournament t ON t.id = e.tournament_id WHERE t.slug = %s ORDER BY e.number
"""
Places = dict[tuple[int, int], int | None]


@dataclass
class Stricken:
    """A site of its own with everything embedded, so that everything can be struck."""

    supervisor: Supervisor
    site: Site

    def places(self) -> Places:
        with psycopg.connect(self.site.environment["DATABASE_URL"], connect_timeout=3) as connection:
            return {(player, number): place for player, number, place in connection.execute(PLACES, [TOURNAMENT])}

    def kill(self, name: str) -> None:
        kill_group(self.supervisor.child(name).pid)

    def flush_valkey(self) -> None:
        with redis.Redis.from_url(self.site.environment["REDIS_URL"]) as client:
            client.flushall()

    def restart_postgres(self) -> None:
        os.kill(self.supervisor.child("postgres").pid, signal.SIGINT)

    def tend(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.supervisor.tend()
            time.sleep(0.1)

    def wait_until_normal(self) -> None:
        """All run, are ready, and the database answers."""
        ends = time.monotonic() + NORMAL_WITHIN
        while time.monotonic() < ends:
            self.tend(0.3)
            children = [child for group in self.supervisor.groups for child in group]
            with suppress(psycopg.OperationalError):
                if all(child.is_running() and child.is_ready() for child in children):
                    self.places()
                    return
        pytest.fail(f"not back to normal within {NORMAL_WITHIN} s")

    def manage(self, *argv: str) -> "subprocess.Popen[str]":
        command, environment = self.site.step(*argv)
        return subprocess.Popen(
            command,
            env=os.environ | environment,
            cwd=HOUSE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def stricken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stricken]:
    for name in list(os.environ):
        if name.startswith(("DATABASE_", "REDIS_", "TEST_REDIS", "STRIPE_", "SITE_", "LIVE_", "DJANGO_")):
            monkeypatch.delenv(name)
    with running_site(LocalFolder(tmp_path), port=free_port(), demo=True, outside={}, say=print) as running:
        yield Stricken(running.supervisor, running.site)


@pytest.mark.slow
def test_no_place_is_lost_while_everything_is_struck_in_turn(stricken: Stricken) -> None:
    crowd = stricken.manage(
        "crowd", f"--players={PLAYERS}", f"--tournament={TOURNAMENT}", "--pay=0.85", "--leave=0.15", "--within=45"
    )
    try:
        _until_some_have_joined(stricken, 20)
        faults: list[Callable[[], None]] = [
            *(lambda name=name: stricken.kill(name) for name in ("worker", "beat", "live", "clock", "web", "valkey")),
            stricken.flush_valkey,
            stricken.restart_postgres,
        ]
        for fault in faults:
            before = stricken.places()
            fault()
            stricken.tend(0.5)
            stricken.wait_until_normal()
            _all_kept(before, stricken.places())
        printed = _end_of(crowd, stricken)
    finally:
        crowd.kill()
    print(printed)
    assert crowd.returncode == 0, printed
    assert f"{SEATS} of {SEATS} seats are confirmed." in printed
    assert len(stricken.places()) == PLAYERS
    stricken.tend(15)  # captures, mails and seals that were under way
    invariants = stricken.manage("check_invariants")
    told, _ = invariants.communicate(timeout=60)
    assert invariants.returncode == 0, told


def _all_kept(before: Places, after: Places) -> None:
    assert {key: after.get(key, "lost") for key in before} == before


def _until_some_have_joined(stricken: Stricken, count: int) -> None:
    ends = time.monotonic() + 60
    while len(stricken.places()) < count:
        assert time.monotonic() < ends, "the crowd does not come"
        stricken.tend(0.5)


def _end_of(crowd: "subprocess.Popen[str]", stricken: Stricken) -> str:
    """What the crowd printed; the supervisor goes on tending meanwhile."""
    ends = time.monotonic() + 240
    while crowd.poll() is None and time.monotonic() < ends:
        stricken.tend(0.5)
    crowd.terminate()
    return crowd.communicate(timeout=20)[0]
