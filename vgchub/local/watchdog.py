"""Stops the supervisor's children when the supervisor is gone, however it went. Run as a script, on its stdin.

The supervisor holds the only other end of the pipe and writes a line `<pid> <signal number>` for each child
(signal 0: forget it). When the pipe closes, each child that is left gets its signal, and after `GRACE` seconds
its whole process group is killed. Standard library only, and nothing of the project: it must go on when
everything else is broken.
"""

import os
import signal
import sys
import time
from contextlib import suppress

GRACE = 5.0


def main() -> None:
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.SIG_IGN)
    children = _listen()
    for pid, stop_signal in children.items():
        with suppress(OSError):
            os.kill(pid, stop_signal)
    _wait_until_gone(set(children))
    for pid in children:
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)


def _listen() -> dict[int, int]:
    """The children that are left when the pipe closes: process id -> signal that stops it."""
    children: dict[int, int] = {}
    for line in sys.stdin:
        pid, stop_signal = map(int, line.split())
        children[pid] = stop_signal
        if stop_signal == 0:
            del children[pid]
    return children


def _wait_until_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + GRACE
    while pids and time.monotonic() < deadline:
        pids = {pid for pid in pids if _exists(pid)}
        time.sleep(0.1)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
