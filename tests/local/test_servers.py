"""The embedded servers keep their data, and say in a sentence what is wrong with it."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from tests.local.test_supervisor import is_alive, tend_until, wait_until
from vgchub.local.account import server_account
from vgchub.local.ports import free_port
from vgchub.local.postgres import OLDEST, VERSION, Postgres, versions
from vgchub.local.problems import LocalProblemError
from vgchub.local.supervisor import Supervisor
from vgchub.local.valkey import Valkey


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Reachable by whoever PostgreSQL runs as; pytest's own folders are closed to others."""
    folder = Path("/tmp") / f"vgchub-servers-{os.getpid()}-{tmp_path.name}"  # noqa: S108
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def supervisor(folder: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(folder / "log", say=print)
    yield supervisor
    supervisor.stop()


def postgres_in(folder: Path, port: int = 0) -> Postgres:
    return Postgres(folder, port=port or free_port(), password="secret", durable=False)


def valkey_in(folder: Path) -> Valkey:
    return Valkey(folder, port=free_port(), password="secret")


def test_postgres_keeps_its_data_through_a_restart(folder: Path, supervisor: Supervisor) -> None:
    first = postgres_in(folder)
    supervisor.start(first.prepare())
    assert first.make_database("site")
    assert not first.make_database("site")
    with psycopg.connect(first.url("site")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 118 AS seat")
    supervisor.stop()

    again, second = Supervisor(folder / "log", say=print), postgres_in(folder)
    try:
        again.start(second.prepare())
        with psycopg.connect(second.url("site")) as connection:
            assert connection.execute("SELECT seat FROM kept").fetchone() == (118,)
    finally:
        again.stop()


def test_postgres_is_modern_and_closed_to_strangers(folder: Path, supervisor: Supervisor) -> None:
    postgres = postgres_in(folder)
    supervisor.start(postgres.prepare())
    with psycopg.connect(postgres.url("postgres")) as connection:
        row = connection.execute(
            "SELECT datlocprovider, datlocale, current_setting('server_version_num')::int / 10000"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("b", "C.UTF-8", 18)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url("postgres").replace("secret", "guessed"))


def test_postgres_16_comes_along_too() -> None:
    assert {VERSION, 16} <= set(versions())
    assert min(versions()) >= OLDEST


@pytest.mark.parametrize("version", [version for version in versions() if version != VERSION])
def test_older_postgres_knows_the_same_letters(folder: Path, supervisor: Supervisor, version: int) -> None:
    postgres = Postgres(folder, port=free_port(), password="secret", durable=False, version=version)
    supervisor.start(postgres.prepare())
    with psycopg.connect(postgres.url("postgres")) as connection:
        row = connection.execute("SELECT current_setting('server_version_num')::int / 10000, lower('POKÉMON')")
        assert row.fetchone() == (version, "pokémon")


def test_postgres_that_is_not_installed_is_a_sentence(folder: Path) -> None:
    with pytest.raises(LocalProblemError, match=r"PostgreSQL 9 is not installed here; there is 18, "):
        Postgres(folder, port=free_port(), password="secret", version=9).prepare()


def test_postgres_left_by_an_earlier_run_is_ended(folder: Path, supervisor: Supervisor) -> None:
    first = postgres_in(folder)
    supervisor.start(first.prepare())
    left = supervisor.child("postgres").pid
    second = postgres_in(folder)
    again = Supervisor(folder / "log", say=print)
    try:
        again.start(second.prepare())
        wait_until(lambda: not is_alive(left))
        psycopg.connect(second.url("postgres")).close()
    finally:
        again.stop()


def test_pid_file_of_a_process_that_is_no_postgres_is_not_believed(folder: Path, supervisor: Supervisor) -> None:
    postgres = postgres_in(folder)
    postgres.prepare()
    (postgres.data / "postmaster.pid").write_text(f"{os.getpid()}\n{postgres.data}\n")
    supervisor.start(postgres.prepare())
    psycopg.connect(postgres.url("postgres")).close()


def test_killed_postgres_comes_back_with_what_was_committed(folder: Path, supervisor: Supervisor) -> None:
    postgres = postgres_in(folder)
    supervisor.start(postgres.prepare())
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 118 AS seat")
        supervisor.child("postgres").process.send_signal(signal.SIGKILL)
        supervisor.child("postgres").process.wait()
        began = time.monotonic()
        tend_until(supervisor, postgres._is_ready)
    assert time.monotonic() - began < 20
    with psycopg.connect(postgres.url("postgres")) as connection:
        assert connection.execute("SELECT seat FROM kept").fetchone() == (118,)


def test_folder_that_is_no_cluster_is_a_sentence(folder: Path) -> None:
    (folder / "postgres").mkdir()
    with pytest.raises(LocalProblemError, match=r"is damaged .* `bin/run --fresh`"):
        postgres_in(folder).prepare()


def test_damaged_cluster_is_a_sentence(folder: Path, supervisor: Supervisor) -> None:
    postgres = postgres_in(folder)
    started = postgres.prepare()
    (postgres.data / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(LocalProblemError, match=r"(?s)postgres.*bin/run --fresh"):
        supervisor.start(started)


def test_cluster_with_another_password_is_a_sentence(folder: Path, supervisor: Supervisor) -> None:
    postgres = postgres_in(folder)
    postgres.prepare()
    other = Postgres(folder, port=free_port(), password="another", durable=False)
    with pytest.raises(LocalProblemError, match=r"made by something else: `bin/run --fresh`"):
        supervisor.start(other.prepare())


def test_full_disk_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    with pytest.raises(LocalProblemError, match="is nearly full: free 500 MB"):
        postgres_in(folder).prepare()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use everybody's files")
def test_files_of_another_user_are_a_sentence() -> None:
    with pytest.raises(LocalProblemError, match="belongs to another user"):
        server_account(Path("/etc"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands PostgreSQL to somebody else")
def test_root_hands_postgres_to_somebody_who_reaches_its_files(folder: Path, supervisor: Supervisor) -> None:
    folder.chmod(0o700)  # as /root is
    postgres = postgres_in(folder)
    supervisor.start(postgres.prepare())
    assert postgres.data.stat().st_uid != 0
    assert (folder / "postgres").resolve() == postgres.data
    supervisor.stop()
    shutil.rmtree(postgres.base)


def test_valkey_keeps_its_data_through_a_kill(folder: Path, supervisor: Supervisor) -> None:
    valkey = valkey_in(folder)
    supervisor.start(valkey.prepare())
    with redis.Redis.from_url(valkey.url(0)) as client:
        client.set("kept", 1)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        client.execute_command("WAITAOF", 1, 0, 2000)
    supervisor.child("valkey").process.send_signal(signal.SIGKILL)
    tend_until(supervisor, valkey._is_ready)
    with redis.Redis.from_url(valkey.url(0)) as client:
        assert client.get("kept") == b"1"


def test_valkey_with_a_damaged_file_starts_empty(folder: Path, supervisor: Supervisor) -> None:
    valkey = valkey_in(folder)
    supervisor.start(valkey.prepare())
    supervisor.stop()
    for file in (folder / "valkey" / "appendonlydir").iterdir():
        file.write_bytes(b"not what Valkey wrote")
    again = Supervisor(folder / "log", say=print)
    try:
        again.start(valkey.prepare())
        with redis.Redis.from_url(valkey.url(0)) as client:
            assert client.dbsize() == 0
    finally:
        again.stop()
