"""All workers' tests are at one Redis server, each at its own number of database: what concerns the whole server is sorted here."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile, takewhile
from typing import Any

import redis
from django_redis import get_redis_connection


def _own() -> tuple["redis.Redis", int]:
    """A connection, and its number of database."""
    connection = get_redis_connection("default")
    return connection, int(connection.connection_pool.connection_kwargs["db"])


def break_subscriptions() -> None:
    """Redis closes every connection of this worker that subscribes to something."""
    connection, own = _own()
    clients: Any = connection.client_list(_type="pubsub")
    for client in clients:
        if int(client["db"]) == own:
            connection.client_kill_filter(_id=client["id"])


@contextmanager
def commands_asked() -> Iterator[list[str]]:
    """The names of the commands that this worker's database gets meanwhile, but those that a script gives; there at the end."""
    connection, own = _own()
    names: list[str] = []
    with connection.monitor() as monitor:  # type: ignore[no-untyped-call]
        connection.echo("begin")  # the monitor has taken a connection: another is opened
        yield names
        connection.echo("end")
        said = (command for command in iter(monitor.next_command, None) if command["db"] == own)
        since = dropwhile(lambda command: command["command"] != "ECHO begin", said)
        asked = list(takewhile(lambda command: command["command"] != "ECHO end", since))
    names += [command["command"].split()[0] for command in asked[1:] if command["client_type"] != "lua"]
