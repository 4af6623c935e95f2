"""One process of ours: started so that it cannot outlive us, with its output in a log file."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
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

    A child with a `port` inherits a socket that listens there; the file descriptor's number stands for {socket} in `argv`. The
    supervisor keeps the socket, so that whoever connects while the child is started again waits instead of being refused.
    Since connecting proves nothing then, such a child writes to the file descriptor READY_FD once it can answer.
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
    port: int | None = None


class Child:
    """A running `Spec`. Start it from a thread that lives on: Linux ties the parent's death to the thread."""

    def __init__(self, spec: Spec, log_folder: Path, listening: socket.socket | None = None) -> None:
        self.spec = spec
        self.log = log_folder / f"{spec.name}.log"
        self.started_at = time.monotonic()
        if listening is None:
            self._word = None
            self.process = self._start(spec.argv)
        else:
            self._word = Word()
            kept = listening.fileno()
            self.process = self._start(
                [part.replace("{socket}", str(kept)) for part in spec.argv],
                environment={"READY_FD": str(self._word.mouth)},
                inherited=(kept, self._word.mouth),
            )
            self._word.listen()

    def _start(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, inherited: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - the argv is ours
                argv,
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.spec.environment, **(environment or {})},
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

    def is_ready(self) -> bool:
        """Whether it can do its work."""
        return (self._word is None or self._word.is_given()) and self.spec.ready()

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


class Word:
    """A pipe, into whose `mouth` a child says that it is ready."""

    def __init__(self) -> None:
        ear, self.mouth = os.pipe()
        os.set_blocking(ear, False)
        self._ear = os.fdopen(ear, "rb", buffering=0)
        self._given = False

    def listen(self) -> None:
        """The child has the mouth by now."""
        os.close(self.mouth)

    def is_given(self) -> bool:
        self._given = self._given or bool(self._ear.read(1))
        return self._given


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
