"""Both embedded servers for the length of a `with`: what tests, checks and scripts run on."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vgchub.local.ports import free_port
from vgchub.local.postgres import VERSION, Postgres
from vgchub.local.supervisor import Supervisor
from vgchub.local.valkey import Valkey


@dataclass(frozen=True)
class Embedded:
    """Running servers."""

    supervisor: Supervisor
    postgres: Postgres
    valkey: Valkey


@contextmanager
def embedded_servers(
    folder: Path,
    *,
    durable: bool = True,
    databases: int = 16,
    version: int = VERSION,
    say: Callable[[str], None] = print,
) -> Iterator[Embedded]:
    """Start PostgreSQL and Valkey on free ports with new passwords and their data in the new `folder`."""
    postgres = Postgres(folder, port=free_port(), password=secrets.token_hex(16), durable=durable, version=version)
    valkey = Valkey(folder, port=free_port(), password=secrets.token_hex(16), databases=databases)
    supervisor = Supervisor(folder / "log", say=say)
    try:
        supervisor.start(postgres.prepare(), valkey.prepare())
        yield Embedded(supervisor, postgres, valkey)
    finally:
        supervisor.stop()
