"""`bin/test`: the tests, in parallel, on embedded servers that live as long as they do.

`bin/test --postgres 16 ...` runs them on an older PostgreSQL, `bin/test --nightly ...` on every version that this machine has, with
ten times as many examples of whatever is tested by examples. All else goes to pytest.
"""

import argparse
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
from vgchub.local.postgres import VERSION, versions

MOST_WORKERS = 8


def main(arguments: list[str]) -> int:
    """Run pytest with `arguments`, but for our own options. Returns its exit code, or the worst of several runs."""
    parser = argparse.ArgumentParser(prog="bin/test", allow_abbrev=False, add_help=False)
    parser.add_argument("--postgres", type=int, default=VERSION, metavar="VERSION")
    parser.add_argument("--nightly", action="store_true")
    ours, arguments = parser.parse_known_args(arguments)
    if not ours.nightly:
        return _run(arguments, version=ours.postgres)
    nightly = [VERSION] if _has_servers() else versions()
    return max(_run(["--hypothesis-profile=nightly", *arguments], version=version) for version in nightly)


def _run(arguments: list[str], *, version: int) -> int:
    environment = {"CHROMIUM": chromium(), "SECRET_KEY": secrets.token_hex(32), "LOCAL_MODE": "1"}
    with _servers(version) as addresses:
        return _pytest([*_parallel(arguments), *arguments], os.environ | environment | addresses)


@contextmanager
def _servers(version: int) -> Iterator[dict[str, str]]:
    """DATABASE_URL and REDIS_URL: those of the environment if both are set, else of servers started now."""
    if _has_servers():
        yield {}
        return
    print(f"On PostgreSQL {version}", flush=True)
    with tempfile.TemporaryDirectory(prefix="vgchub-test-") as name:
        Path(name).chmod(0o711)  # PostgreSQL may run as another user
        with embedded_servers(Path(name), durable=False, databases=64, version=version) as servers:
            yield {"DATABASE_URL": servers.postgres.url("vgchub"), "REDIS_URL": servers.valkey.url(0)}


def _has_servers() -> bool:
    """Whether the environment names servers to run on, of whatever version they are."""
    return os.environ.keys() >= {"DATABASE_URL", "REDIS_URL"}


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
