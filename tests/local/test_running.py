"""The life of a local site: `python -m vgchub.local run`, as bin/run calls it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.local.test_supervisor import is_alive, wait_until
from vgchub.local.fingerprint import HOUSE
from vgchub.local.ports import free_port

# What the tests' own environment names would replace the embedded parts.
OUTSIDE = ("DATABASE_URL", "REDIS_URL", "STRIPE_", "SITE_URL", "LIVE_URL", "DJANGO_SETTINGS_MODULE")


class LocalSite:
    """A start of the site on a folder and a port of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.url = f"http://127.0.0.1:{port}"
        self.output = folder.with_suffix(".out")
        self.process = self._start("--no-demo")

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        with self.output.open("wb") as output:
            return subprocess.Popen(self.argv(*options), cwd=HOUSE, env=environment(), stdout=output, stderr=output)

    def argv(self, *options: str) -> list[str]:
        place = (f"--folder={self.folder}", f"--port={self.port}")
        return [sys.executable, "-u", "-m", "vgchub.local", "run", *place, *options]

    def wait_until_ready(self) -> float:
        """Seconds until it says that it is ready."""
        began = time.monotonic()
        wait_until(lambda: self.says("is ready") or self.process.poll() is not None, patience=180)
        assert self.process.poll() is None, self.output.read_text()
        return time.monotonic() - began

    def says(self, what: str) -> bool:
        return what in self.output.read_text()

    def processes(self) -> dict[str, int]:
        """Command line -> process id of each child of the supervisor."""
        done = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in done.stdout.splitlines()]
        return {args: int(pid) for pid, ppid, args in rows if int(ppid) == self.process.pid}

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/accounts/login/", timeout=5).ok
        except requests.RequestException:
            return False


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}


def start_again(site: LocalSite) -> LocalSite:
    return LocalSite(site.folder, site.port)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Reachable by whoever PostgreSQL runs as; pytest's own folders are closed to others."""
    outer = Path("/tmp") / f"vgchub-running-{os.getpid()}-{tmp_path.name}"  # noqa: S108
    outer.mkdir()
    yield outer / "local"
    shutil.rmtree(outer)


def run(*options: str, patience: float = 60) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vgchub.local", "run", *options]
    return subprocess.run(
        argv, cwd=HOUSE, env=environment(), capture_output=True, text=True, timeout=patience, check=False
    )


def renew(site: LocalSite) -> None:
    """Every process of the site is another one afterwards."""
    before = set(site.processes().values())
    assert run(f"--folder={site.folder}", "--renew").returncode == 0
    wait_until(lambda: site.says("beat is new"), patience=120)
    assert site.answers()
    names = ("vgchub.wsgi", "vgchub.asgi", "manage.py clock", "vgchub worker", "vgchub beat")
    assert {pid for args, pid in site.processes().items() if any(name in args for name in names)}.isdisjoint(before)


@pytest.mark.slow
def test_local_site_survives_kills_and_keeps_what_it_has(folder: Path) -> None:
    site = LocalSite(folder, free_port())
    site.wait_until_ready()
    state = json.loads((folder / "state.json").read_text())
    children = site.processes()
    assert len(children) == 9, "the watchdog, PostgreSQL, Valkey, the simulator and five processes of the site"

    second = run(f"--folder={folder}", f"--port={free_port()}")
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert f"running from this folder already (process {site.process.pid})" in second.stderr

    web = next(pid for args, pid in children.items() if "vgchub.wsgi" in args)
    os.kill(web, signal.SIGKILL)
    wait_until(lambda: site.says("web ended (signal 9)"))
    wait_until(site.answers, patience=30)

    renew(site)

    os.kill(site.process.pid, signal.SIGKILL)
    site.process.wait()
    left = [*site.processes().values(), *children.values()]
    wait_until(lambda: not any(is_alive(pid) for pid in left), patience=20)

    again = start_again(site)
    again.wait_until_ready()
    assert json.loads((folder / "state.json").read_text()) == state
    assert again.answers()
    children = again.processes()
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(40) == 0  # four groups, of which each has eight seconds
    assert [args for args, pid in children.items() if is_alive(pid)] == []


def test_nothing_to_renew_is_a_sentence(folder: Path) -> None:
    done = run(f"--folder={folder}", "--renew")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "not running from this folder" in done.stderr


def test_taken_port_is_a_sentence_that_names_another(folder: Path) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        done = run(f"--folder={folder}", f"--port={port}")
    assert done.returncode == 1
    assert done.stderr == (
        f"Port {port} is taken by another program: stop that one, or choose another with `bin/run --port {port + 1}`.\n"
    )


def test_damaged_folder_is_a_sentence(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True)
    done = run(f"--folder={folder}", f"--port={free_port()}")
    assert done.returncode == 1
    assert re.fullmatch(r"The local database in .* is damaged .* `bin/run --fresh` .*\n", done.stderr)


def test_help_names_every_option() -> None:
    options = run("--help").stdout
    assert all(name in options for name in ("--port", "--fresh", "--no-demo", "--crowd", "--check", "--renew"))


@pytest.mark.slow
def test_check_walks_from_sign_up_to_a_paid_seat() -> None:
    done = run("--check", patience=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    assert "the webhook confirms her seat" in done.stdout
    assert "the page he returns to confirms his seat" in done.stdout
    assert "downloads the draw and the verifier, and it holds" in done.stdout
    assert "who drew a seat is offered it and takes it up" in done.stdout
