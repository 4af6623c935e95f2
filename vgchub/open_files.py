"""How many files, and so sockets, a process may have open."""

import resource
from contextlib import suppress

WANTED = 65_536


def raise_limit_of_open_files() -> int:
    """Raise it as far as the system lets us, 65,536 at most; returns the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    with suppress(ValueError, OSError):  # macOS has a limit of its own below the hard one
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
