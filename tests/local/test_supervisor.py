"""Children are started in order, started again when they die, and never outlive the supervisor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vgchub.local import supervisor as supervisor_module
from vgchub.local import watchdog
from vgchub.local.child import Child, Spec
from vgchub.local.problems import LocalProblemError
from vgchub.local.supervisor import Supervisor

FOREVER = "import time; time.sleep(600)"
# A child of its own, which a mere signal to the first one would leave behind.
WITH_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {FOREVER!r}])"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {FOREVER}"


def spec(name: str, code: str = FOREVER, ready: Callable[[], bool] = lambda: True) -> Spec:
    return Spec(name=name, argv=(sys.executable, "-c", code), ready=ready)


def is_alive(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def wait_until(true: Callable[[], bool], patience: float = 10.0) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "log", say=said.append)
    yield supervisor
    supervisor.stop()


def tend_until(supervisor: Supervisor, true: Callable[[], bool]) -> None:
    def tended() -> bool:
        supervisor.tend()
        return true()

    wait_until(tended)


def test_start_waits_until_each_child_is_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    supervisor.start(spec("slow", f"open({str(sign)!r}, 'w'); {FOREVER}", ready=sign.exists))
    assert sign.exists()


def test_child_that_ends_while_it_starts_is_a_sentence_with_its_last_words(supervisor: Supervisor) -> None:
    with pytest.raises(LocalProblemError, match=r"(?s)broken ended while it started.*no such thing"):
        supervisor.start(spec("broken", "raise SystemExit('no such thing')", ready=lambda: False))


def test_child_that_never_gets_ready_is_a_sentence(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "PATIENCE", 0.3)
    with pytest.raises(LocalProblemError, match="sleepy did not get ready"):
        supervisor.start(spec("sleepy", ready=lambda: False))


def test_killed_child_is_back_within_seconds(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(spec("web"))
    first = supervisor.child("web").pid
    os.kill(first, signal.SIGKILL)
    began = time.monotonic()
    tend_until(supervisor, lambda: supervisor.child("web").pid != first and supervisor.child("web").is_running())
    assert time.monotonic() - began < 8
    assert said == [f"web ended (signal 9); it starts again in 0.5 s, its log is {supervisor.child('web').log}"]


def test_child_that_keeps_dying_is_started_less_and_less_often(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(spec("web", "raise SystemExit(3)"))
    tend_until(supervisor, lambda: len(said) == 3)
    assert [line.split("again in ")[1].split(" s")[0] for line in said] == ["0.5", "1.0", "2.0"]


def test_stop_ends_the_last_group_first(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    def ask_to_stop(child: Child) -> None:
        ended.append(child.spec.name)
        child.process.terminate()

    monkeypatch.setattr(Child, "ask_to_stop", ask_to_stop)
    supervisor.start(spec("postgres"))
    supervisor.start(spec("web"), spec("clock"))
    supervisor.stop()
    assert ended == ["web", "clock", "postgres"]


def test_stop_kills_the_deaf_with_all_that_they_started(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(supervisor_module, "GRACE", 0.5)
    log = tmp_path / "log" / "deaf.log"
    supervisor.start(spec("deaf", DEAF, ready=lambda: "deaf" in log.read_text()), spec("parent", WITH_CHILD))
    pids = [supervisor.child("deaf").pid, *grandchildren(supervisor.child("parent").pid)]
    supervisor.stop()
    assert [pid for pid in pids if is_alive(pid)] == []


def grandchildren(pid: int) -> list[int]:
    """The child's process and its own child, once that one runs."""
    found: list[int] = []

    def both() -> bool:
        done = subprocess.run(["pgrep", "-g", str(pid)], capture_output=True, text=True, check=False)
        found[:] = map(int, done.stdout.split())
        return len(found) == 2

    wait_until(both)
    return found


def test_dead_watchdog_is_replaced_and_told_everything(supervisor: Supervisor) -> None:
    supervisor.start(spec("web"))
    web, old = supervisor.child("web").pid, supervisor._watchdog
    old.kill()
    old.wait()
    tend_until(supervisor, lambda: supervisor._watchdog is not old)
    assert supervisor._watchdog.stdin is not None
    supervisor._watchdog.stdin.close()  # as if the supervisor had died
    wait_until(lambda: not is_alive(web))
    supervisor.groups.clear()


def test_watchdog_ends_whole_groups_when_the_pipe_closes() -> None:
    """What protects macOS, where a child can't be tied to its parent."""
    child = subprocess.Popen([sys.executable, "-c", WITH_CHILD], start_new_session=True)
    pids = grandchildren(child.pid)
    dog = subprocess.Popen([sys.executable, "-I", "-S", watchdog.__file__], stdin=subprocess.PIPE, text=True)
    dog.communicate(f"{child.pid} {int(signal.SIGTERM)}\n", timeout=15)
    child.wait()
    assert [pid for pid in pids if is_alive(pid)] == []


def test_watchdog_forgets_children_that_were_stopped() -> None:
    child = subprocess.Popen([sys.executable, "-c", FOREVER], start_new_session=True)
    dog = subprocess.Popen([sys.executable, "-I", "-S", watchdog.__file__], stdin=subprocess.PIPE, text=True)
    dog.communicate(f"{child.pid} {int(signal.SIGTERM)}\n{child.pid} 0\n", timeout=15)
    assert is_alive(child.pid)
    child.kill()
    child.wait()
