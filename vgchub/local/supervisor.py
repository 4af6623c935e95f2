"""Starts children in order, starts them again when they die, stops them in the opposite order."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from vgchub.local import watchdog
from vgchub.local.child import Child, Spec
from vgchub.local.ports import listen
from vgchub.local.problems import LocalProblemError

PATIENCE = 60.0  # seconds for a group to become ready
GRACE = 8.0  # seconds for a group to stop by itself
LEAVE = 40.0  # seconds for a child that was replaced: it answers what it has accepted
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # before a child that died is started again
STEADY = 20.0  # seconds after which a child's earlier deaths are forgotten


class Supervisor:
    """Children in groups: a group starts when the one before it is ready. Not thread-safe; use it from the main thread."""

    def __init__(self, log_folder: Path, *, say: Callable[[str], None]) -> None:
        log_folder.mkdir(parents=True, exist_ok=True)
        self.log_folder = log_folder
        self.say = say
        self.groups: list[list[Child]] = []
        self._sockets: dict[int, socket.socket] = {}  # by port; they outlive the children that answer on them
        self._pauses: dict[str, float] = {}  # name -> how long to wait before the next start
        self._due: dict[str, float] = {}  # name -> monotonic time of that start
        self._watchdog = self._start_watchdog()

    def start(self, *specs: Spec) -> None:
        """Start a group. Raises LocalProblemError when a member ends or isn't ready in time."""
        group: list[Child] = []
        self.groups.append(group)  # known before it is whole, so that stop() finds what had started
        group.extend(self._start_child(spec) for spec in specs)
        deadline = time.monotonic() + PATIENCE
        for index, child in enumerate(group):
            if not _gets_ready(child, deadline):
                group[index] = self._mended(child)

    def tend(self) -> None:
        """Look at every child once and start again what died, after a pause that grows while it keeps dying."""
        if self._watchdog.poll() is not None:
            self._watchdog = self._start_watchdog()
        for group in self.groups:
            for index, child in enumerate(group):
                if not child.is_running():
                    group[index] = self._revive(child)

    def child(self, name: str) -> Child:
        return next(child for group in self.groups for child in group if child.spec.name == name)

    def replace(self, name: str, spec: Spec | None = None) -> None:
        """Put a new child in the place of a running one, which stops once the new one is ready: no connection is refused.

        It is started as the old one was, or by a `spec` of the same name.

        Raises LocalProblemError if the new one doesn't get ready; then the old one goes on.
        """
        group = next(group for group in self.groups if any(child.spec.name == name for child in group))
        old = self.child(name)
        new = self._start_child(spec or old.spec)
        try:
            _has_to_get_ready(new, time.monotonic() + PATIENCE)
        except LocalProblemError:
            self._end(new, deadline=time.monotonic())
            raise
        group[group.index(old)] = new
        old.ask_to_stop()
        self._end(old, deadline=time.monotonic() + LEAVE)

    def stop(self) -> None:
        """Stop all, the last group first."""
        while self.groups:
            self.stop_last()
        self._end_watchdog()

    def stop_last(self) -> None:
        """Stop the group that was started last, its members at once."""
        group = self.groups.pop()
        for child in group:
            child.ask_to_stop()
        deadline = time.monotonic() + GRACE
        for child in group:
            self._end(child, deadline=deadline)
            if child.spec.port in self._sockets:
                self._sockets.pop(child.spec.port).close()

    def _end(self, child: Child, *, deadline: float) -> None:
        child.wait_or_kill(deadline=deadline)
        self._tell_watchdog(child.pid, 0)

    def _start_child(self, spec: Spec) -> Child:
        if spec.port is not None and spec.port not in self._sockets:
            self._sockets[spec.port] = listen(spec.port)
        child = Child(spec, self.log_folder, self._sockets.get(spec.port) if spec.port else None)
        self._tell_watchdog(child.pid, spec.stop_signal)
        return child

    def _mended(self, ended: Child) -> Child:
        """A second try after the child's own repair. Raises LocalProblemError if there is none or it doesn't help."""
        self._tell_watchdog(ended.pid, 0)
        if ended.spec.mend is not None:
            ended.spec.mend()
            child = self._start_child(ended.spec)
            _has_to_get_ready(child, time.monotonic() + PATIENCE)
            return child
        raise _ended(ended)

    def _revive(self, dead: Child) -> Child:
        """A new child in place of `dead` if its pause is over, else `dead`."""
        name, now = dead.spec.name, time.monotonic()
        if name not in self._due:
            steady = now - dead.started_at > STEADY
            pause = FIRST_PAUSE if steady else self._pauses.get(name, FIRST_PAUSE)
            self._pauses[name] = min(pause * 2, LONGEST_PAUSE)
            self._due[name] = now + pause
            self.say(f"{name} ended ({_ending(dead)}); it starts again in {pause:.1f} s, its log is {dead.log}")
            dead.wait_or_kill(deadline=now)
            self._tell_watchdog(dead.pid, 0)
        if now < self._due[name]:
            return dead
        del self._due[name]
        return self._start_child(dead.spec)

    def _start_watchdog(self) -> subprocess.Popen[str]:
        """Also after its own death; then it is told of all children again."""
        started = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-I", "-S", watchdog.__file__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd="/",
        )
        self._watchdog = started
        for group in self.groups:
            for child in group:
                self._tell_watchdog(child.pid, child.spec.stop_signal)
        return started

    def _tell_watchdog(self, pid: int, stop_signal: int) -> None:
        if self._watchdog.stdin is None:
            return
        try:
            print(pid, int(stop_signal), file=self._watchdog.stdin, flush=True)
        except BrokenPipeError:
            return  # it died; tend() makes a new one that is told everything

    def _end_watchdog(self) -> None:
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._watchdog.wait()


def _gets_ready(child: Child, deadline: float) -> bool:
    """Wait for it; False if the child ended before. Raises LocalProblemError at the monotonic `deadline`."""
    while not child.is_ready():
        if not child.is_running():
            return False
        if time.monotonic() > deadline:
            raise LocalProblemError(f"{child.spec.name} did not get ready; the end of {child.log}:\n{child.tail()}")
        time.sleep(0.05)
    return True


def _has_to_get_ready(child: Child, deadline: float) -> None:
    """Raises LocalProblemError if it ends, or isn't ready at the monotonic `deadline`."""
    if not _gets_ready(child, deadline):
        raise _ended(child)


def _ended(child: Child) -> LocalProblemError:
    return LocalProblemError(f"{child.spec.name} ended while it started; the end of {child.log}:\n{child.tail()}")


def _ending(child: Child) -> str:
    code = child.process.returncode
    return f"signal {-code}" if code < 0 else f"code {code}"
