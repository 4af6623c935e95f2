"""Databases for tests: one migrated template, copied for each worker, and emptied quickly between tests."""

import contextlib
import os
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.errors import DeadlockDetected
from psycopg.sql import SQL, Identifier

from vgchub.local.fingerprint import HOUSE, of_migrations

TABLES = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
ROUNDS = 10
BUILDING = 7_301_114  # advisory lock: one worker builds the template, the others wait for it


def make_worker_database(url: str) -> None:
    """Make the empty, migrated database that `url` names; one of that name is dropped first."""
    base, name = url.rsplit("/", 1)
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        template = _template(connection, base)
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(Identifier(name), Identifier(template))
        )


def _template(connection: psycopg.Connection, base: str) -> str:
    """The name of the template for the code as it stands, made now if this server has none yet."""
    name = f"vgchub_template_{of_migrations()}"
    connection.execute("SELECT pg_advisory_lock(%s)", [BUILDING])
    try:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            _build(connection, base, name)
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [BUILDING])
    return name


def _build(connection: psycopg.Connection, base: str, name: str) -> None:
    unfinished = f"{name}_new"
    connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(unfinished)))
    connection.execute(SQL("CREATE DATABASE {}").format(Identifier(unfinished)))
    environment = os.environ | {"DATABASE_URL": f"{base}/{unfinished}", "DJANGO_SETTINGS_MODULE": "vgchub.settings"}
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        env=environment,
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The migrations failed:\n{done.stdout}{done.stderr}")
    connection.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(unfinished), Identifier(name)))


class Emptier:
    """Empties the tables that hold rows, and puts back nothing: what the migrations put in is left alone.

    Django's own way truncates every table, of which there are 150, and makes the permissions anew: a second per test.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.dsn = parts._replace(scheme="postgresql").geturl()
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            tables = [row[0] for row in connection.execute(TABLES)]
            self.kept = {name for name in tables if _has_rows(connection, name)}
        self.tables = [name for name in tables if name not in self.kept]
        self.question = SQL(" UNION ALL ").join(
            SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(name, Identifier(name)) for name in self.tables
        )

    def empty(self) -> None:
        """Delete all rows of the tables that were empty after migrating.

        The site on the stage may still be finishing a request of the test that ended: what it writes meanwhile goes in another
        round, and so does a round that the database broke off because the two waited for each other.
        """
        for _round in range(ROUNDS):
            with contextlib.suppress(DeadlockDetected), psycopg.connect(self.dsn) as connection:
                if not self._emptied(connection):
                    return
        raise RuntimeError(f"The database was not empty after {ROUNDS} rounds: who still writes to it?")

    def _emptied(self, connection: psycopg.Connection[Any]) -> list[str]:
        """The names of the tables that held rows; they hold none now."""
        used = [row[0] for row in connection.execute(self.question)]
        if used:
            # As a replica no trigger runs: neither foreign keys nor the ban on deleting history.
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute("SET LOCAL lock_timeout = '10s'")
            for name in used:
                connection.execute(SQL("DELETE FROM {}").format(Identifier(name)))
        return used


def _has_rows(connection: psycopg.Connection[Any], table: str) -> bool:
    return connection.execute(SQL("SELECT FROM {} LIMIT 1").format(Identifier(table))).fetchone() is not None
