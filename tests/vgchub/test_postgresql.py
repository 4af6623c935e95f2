"""Connections are looked at without a question to the server, and hot statements are planned once."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from accounts.models import Player, User
from registrations.models import QueueEntry
from registrations.services import join_queue
from tests.builders import make_entry, make_group, make_player, make_tournament
from tournaments.models import PriorityGroup, Tournament
from vgchub.postgresql.base import DatabaseWrapper, was_cut
from vgchub.postgresql.prepared import Columns, PreparedCursor, fetch, split

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pooled() -> Iterator[DatabaseWrapper]:
    """The site's own database behind a pool of one, as the web process has it."""
    given = {**connection.settings_dict, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}
    given["OPTIONS"] = {**given["OPTIONS"], "pool": {"min_size": 1, "max_size": 1, "timeout": 5}}
    wrapper = DatabaseWrapper(given, alias="pooled")
    yield wrapper
    wrapper.close()
    wrapper.close_pool()


def backend(wrapper: DatabaseWrapper) -> int:
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid: int = cursor.fetchone()[0]
    return pid


def test_the_site_uses_this_engine() -> None:
    assert settings.DATABASES["default"]["ENGINE"] == "vgchub.postgresql"
    assert isinstance(connections["default"], DatabaseWrapper)


def test_a_connection_is_given_out_again_without_asking_the_server(pooled: DatabaseWrapper) -> None:
    first = backend(pooled)
    pooled.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT state_change FROM pg_stat_activity WHERE pid = %s", [first])
        before = cursor.fetchone()
        pooled.connect()
        cursor.execute("SELECT state_change FROM pg_stat_activity WHERE pid = %s", [first])
        assert cursor.fetchone() == before


def test_a_connection_that_the_server_ended_is_replaced(pooled: DatabaseWrapper) -> None:
    first = backend(pooled)
    pooled.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
        assert cursor.fetchone() == (True,)
    assert backend(pooled) != first


def test_without_the_look_the_ended_one_would_be_used(pooled: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgchub.postgresql.base.was_cut", lambda _connection: False)
    first = backend(pooled)
    pooled.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    with pytest.raises(Exception, match=r"terminat|closed"):
        backend(pooled)


def test_was_cut_takes_a_closed_one_for_cut(pooled: DatabaseWrapper) -> None:
    pooled.connect()
    raw: psycopg.Connection[Any] = pooled.connection
    assert not was_cut(raw)
    raw.close()
    assert was_cut(raw)


def prepared_statements() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [row[0] for row in cursor.fetchall()]


def test_a_join_is_planned_once_for_each_connection() -> None:
    tournament = make_tournament(seats=3)
    for _ in range(8):
        alice = make_player()
        join_queue(account=alice.account, tournament=tournament, player_ids=[alice.pk])
    prepared = prepared_statements()
    assert sum("INSERT INTO registrations_queueentry" in text for text in prepared) == 1
    assert sum("FROM accounts_player p JOIN accounts_user" in text for text in prepared) == 1


def test_statements_of_the_orm_are_not_prepared() -> None:
    for _ in range(8):
        User.objects.filter(pk=1).exists()
    # The ORM puts names in quotes; what earlier tests have prepared on this connection does not.
    assert not any('"accounts_user"' in text for text in prepared_statements())


def test_fetch_is_counted_like_any_query() -> None:
    with CaptureQueriesContext(connection) as captured:
        assert fetch("SELECT %(id)s::bigint + 1", {"id": 41}) == [(42,)]
    assert len(captured) == 1


def test_a_prepared_write_says_in_the_history_who_and_what() -> None:
    alice = make_player()
    tournament = make_tournament()
    (entry,) = join_queue(account=alice.account, tournament=tournament, player_ids=[alice.pk])
    event = QueueEntry.pgh_event_model.objects.get(pgh_obj=entry)  # type: ignore[attr-defined]
    assert event.pgh_context == {"service": "join_queue"}
    assert event.pgh_context_id is not None


@pytest.mark.parametrize("model", [Player, User, Tournament, QueueEntry, PriorityGroup])
def test_columns_give_back_what_the_orm_reads(model: Any) -> None:
    tournament = make_tournament()
    make_group(tournament)
    make_entry(tournament)
    table, columns = model._meta.db_table, Columns(model, "x")
    rows = fetch(f"SELECT {columns} FROM {table} x ORDER BY x.id", {})  # noqa: S608  names of our own tables
    found = [columns.row(row) for row in rows]
    fields = [field.attname for field in model._meta.concrete_fields]
    expected = list(model.objects.order_by("pk"))
    assert found == expected != []
    assert [[getattr(one, name) for name in fields] for one in found] == [
        [getattr(one, name) for name in fields] for one in expected
    ]


def test_split_cuts_a_row_by_its_models() -> None:
    player, user = Columns(Player, "p"), Columns(User, "u")
    row = tuple(range(len(player) + len(user) + 1))
    parts = list(split(row, player, user))
    assert [len(part) for part in parts] == [len(player), len(user), 1]
    assert [value for part in parts for value in part] == list(row)


def test_a_prepared_cursor_has_a_name_so_that_pghistory_leaves_it_alone() -> None:
    assert PreparedCursor.name
