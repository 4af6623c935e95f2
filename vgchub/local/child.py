"""One process of ours: started so that it cannot outlive us, with its output in a log file."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1
LOG_LIMIT = 10_000_000  # bytes; a longer log is set aside as .log.1 when its process starts
TAIL_LINES = 15


@dataclass(frozen=True)
class Spec:
    """What to start and how to tell that it works.

    `ready` is asked again and again after the start. `mend` is called when the process ends before that: it repairs
    what can be repaired, and the process is tried once more, or raises LocalProblemError with what to do.
    `user` is a numeric user id to drop to (root only).
    """

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    mend: Callable[[], None] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    user: int | None = None
    group: int | None = None


class Child:
    """A running `Spec`. Start it from a thread that lives on: Linux ties the parent's death to the thread."""

    def __init__(self, spec: Spec, log_folder: Path) -> None:
        self.spec = spec
        self.log = log_folder / f"{spec.name}.log"
        self.started_at = time.monotonic()
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - the argv is ours
                self.spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.spec.environment},
                cwd=self.spec.folder,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops the others in order
                preexec_fn=dies_with_parent(os.getpid(), self.spec.stop_signal),  # noqa: PLW1509
                user=self.spec.user,
                group=self.spec.group,
                extra_groups=None if self.spec.user is None else [],
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_running(self) -> bool:
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        if self.is_running():
            self.process.send_signal(self.spec.stop_signal)

    def wait_or_kill(self, *, deadline: float) -> None:
        """Wait until the monotonic `deadline`, then kill the process with all that it started."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            kill_group(self.pid)
            self.process.wait()
        kill_group(self.pid)  # what it may have left behind

    def tail(self) -> str:
        """The last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])


def kill_group(pid: int) -> None:
    """End the process group that `pid` leads, if there is one left."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def dies_with_parent(parent: int, stop_signal: signal.Signals) -> Callable[[], None] | None:
    """What the child does between fork and exec on Linux; elsewhere the watchdog alone looks after it."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)  # loaded here: after the fork nothing may allocate much or take locks

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, stop_signal)
        if os.getppid() != parent:  # it died before the call
            os.kill(os.getpid(), signal.SIGKILL)

    return tie
