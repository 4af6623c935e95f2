"""A server's socket is kept by the supervisor: its restarts refuse nobody."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from vgchub.local.child import Spec
from vgchub.local.ports import free_port
from vgchub.local.problems import LocalProblemError
from vgchub.local.supervisor import Supervisor

# Answers each connection with its own process id; on SIGTERM it ends after the one that it has accepted.
SERVER = """
import os, signal, socket, sys, time
time.sleep({boot})
if os.path.exists({broken!r}):
    sys.exit("broken")
leaving = []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(True))
listening = socket.socket(fileno=int(sys.argv[1]))
listening.settimeout(0.05)
os.write(int(os.environ["READY_FD"]), b".")
while not leaving:
    try:
        accepted, _ = listening.accept()
    except TimeoutError:
        continue
    time.sleep(0.02)
    accepted.sendall(str(os.getpid()).encode())
    accepted.close()
"""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Whoever starts while this file is there doesn't get far."""
    return tmp_path / "broken"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "log", say=print)
    yield supervisor
    supervisor.stop()


def server(broken: Path, *, boot: float = 0.3) -> Spec:
    code = SERVER.format(boot=boot, broken=str(broken))
    return Spec("server", (sys.executable, "-c", code, "{socket}"), ready=lambda: True, port=free_port())


def ask(port: int) -> int:
    """The process id that answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        return int(connection.recv(16))


def test_start_waits_for_the_servers_own_word(supervisor: Supervisor, broken: Path) -> None:
    spec = server(broken)
    began = time.monotonic()
    supervisor.start(spec)
    assert time.monotonic() - began > 0.3
    assert ask(spec.port or 0) == supervisor.child("server").pid


def test_who_comes_while_a_killed_server_starts_again_waits_and_is_answered(
    supervisor: Supervisor, broken: Path
) -> None:
    spec = server(broken)
    supervisor.start(spec)
    killed = supervisor.child("server").pid
    os.kill(killed, signal.SIGKILL)
    supervisor.child("server").process.wait()
    answers: list[int] = []
    asking = Thread(target=lambda: answers.append(ask(spec.port or 0)))
    asking.start()
    while asking.is_alive():
        supervisor.tend()
        time.sleep(0.05)
    assert answers == [supervisor.child("server").pid] != [killed]


def test_a_server_is_replaced_without_refusing_anybody(supervisor: Supervisor, broken: Path) -> None:
    spec = server(broken)
    supervisor.start(spec)
    first = supervisor.child("server")
    answers: list[int] = []
    stop = Event()

    def ask_on() -> None:
        while not stop.is_set():
            answers.append(ask(spec.port or 0))

    asking = Thread(target=ask_on)
    asking.start()
    supervisor.replace("server")
    while answers[-1:] != [supervisor.child("server").pid]:
        assert asking.is_alive(), "somebody was refused"
        time.sleep(0.05)
    stop.set()
    asking.join()
    assert not first.is_running()
    assert set(answers) == {first.pid, supervisor.child("server").pid}


def test_the_old_server_goes_on_when_the_new_one_does_not_start(supervisor: Supervisor, broken: Path) -> None:
    spec = server(broken)
    supervisor.start(spec)
    first = supervisor.child("server").pid
    broken.touch()
    with pytest.raises(LocalProblemError, match=r"(?s)server ended while it started.*broken"):
        supervisor.replace("server")
    assert ask(spec.port or 0) == first == supervisor.child("server").pid


def test_the_port_is_free_again_once_all_is_stopped(supervisor: Supervisor, broken: Path) -> None:
    spec = server(broken)
    supervisor.start(spec)
    supervisor.stop()
    with pytest.raises(ConnectionRefusedError):
        ask(spec.port or 0)
