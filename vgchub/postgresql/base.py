"""Django's backend, but that a pooled connection is looked at, without asking the server, before it is given out."""

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own look (CONN_HEALTH_CHECKS) is a round trip to the server, which costs a join as much as finding its players."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        while self.pool and was_cut(connection):
            connection.close()
            self.pool.putconn(connection)  # it makes a new one in its place
            connection = super().get_new_connection(conn_params)
        return connection


def was_cut(connection: "psycopg.Connection[Any]") -> bool:
    """Whether the server's end is closed: unasked it says nothing, so that what can be read is its goodbye.

    Restarted or killed, its system closes what it held open. One that is cut off without a word is found out by nobody before a
    statement waits for it in vain.
    """
    if connection.closed:
        return True
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))
