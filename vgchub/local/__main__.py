"""`python -m vgchub.local run|test|check ...`: what bin/run, bin/test and bin/check call."""

import errno
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from types import FrameType

from vgchub.local.problems import LocalProblemError

COMMANDS = {"run": "running", "test": "testing", "check": "checking"}


def main() -> int:
    """Exit code of the command; a problem is one sentence."""
    command: Callable[[list[str]], int] = import_module(f"vgchub.local.{COMMANDS[sys.argv[1]]}").main
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    try:
        return command(sys.argv[2:])
    except LocalProblemError as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        print(f"The disk is full ({error.filename or 'a temporary file'}): free 1 GB and start again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _leave(number: int, _frame: FrameType | None) -> None:
    """Unwind, so that everything that was started is stopped."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
