"""`bin/test`: the tests, in parallel, on embedded servers that live as long as they do."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vgchub.local.chromium import chromium
from vgchub.local.embedded import embedded_servers

MOST_WORKERS = 8


def main(arguments: list[str]) -> int:
    """Run pytest with `arguments`. Returns its exit code."""
    environment = {"CHROMIUM": chromium(), "SECRET_KEY": secrets.token_hex(32), "LOCAL_MODE": "1"}
    with _servers() as addresses:
        return _pytest([*_parallel(arguments), *arguments], os.environ | environment | addresses)


@contextmanager
def _servers() -> Iterator[dict[str, str]]:
    """DATABASE_URL and REDIS_URL: those of the environment if both are set, else of servers started now."""
    if os.environ.keys() >= {"DATABASE_URL", "REDIS_URL"}:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="vgchub-test-") as name:
        Path(name).chmod(0o711)  # PostgreSQL may run as another user
        with embedded_servers(Path(name), durable=False, databases=64) as servers:
            yield {"DATABASE_URL": servers.postgres.url("vgchub"), "REDIS_URL": servers.valkey.url(0)}


def _parallel(arguments: list[str]) -> list[str]:
    if any(argument.startswith(("-n", "--numprocesses", "--pdb", "--collect-only")) for argument in arguments):
        return []
    return ["-n", str(min(os.cpu_count() or 1, MOST_WORKERS))]


def _pytest(arguments: list[str], environment: dict[str, str]) -> int:
    process = subprocess.Popen([sys.executable, "-m", "pytest", *arguments], env=environment)  # noqa: S603
    try:
        return process.wait()
    except KeyboardInterrupt:  # pytest got it too and sums up
        return process.wait()
    finally:
        process.terminate()
        process.wait()
