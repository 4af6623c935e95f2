"""What the hot paths read stands in an index: behind thousands who wait, nothing is looked at but what is asked for."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from bench.people import make_waiting
from registrations import services
from registrations.models import QueueEntry
from registrations.services import joining
from tests.builders import make_entry, make_player, make_tournament
from tournaments.models import Tournament
from tournaments.queries import known_entry_rules
from vgchub.postgresql.prepared import PreparedCursor

pytestmark = pytest.mark.django_db

# Whoever waits is counted by a join only where the organizer has set a most: `w` in the statement.
SCAN = re.compile(r"Scan .*on (registrations_queueentry(?! w)|accounts_)")
# Indexes of few entries: reading all of such a one reads no more than those.
PARTIAL = {index.name for index in QueueEntry._meta.indexes if index.condition}


@pytest.fixture
def tournament() -> Tournament:
    """3,000 wait, and the planner knows."""
    tournament = make_tournament()
    make_waiting(tournament, 3000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE registrations_queueentry, accounts_player, accounts_user")
    return tournament


def plans_of(work: Callable[[], object]) -> str:
    """The plans of all that `work` asks of the database, with its values; of what is prepared also the one without them."""
    asked: list[tuple[str, Any, Any]] = []

    def remember(execute: Any, sql: str, values: Any, many: bool, context: Any) -> Any:
        executed = execute(sql, values, many, context)
        asked.append((sql.strip(), values, context["cursor"].cursor))
        return executed

    with connection.execute_wrapper(remember):
        work()
    lines = []
    for sql, values, cursor in asked:
        statement = sql.rpartition("set_config('pghistory.context_metadata', %s, true); ")[2]
        if re.match("SELECT|WITH|INSERT|UPDATE", statement.strip()):
            lines += explained(statement, values[-statement.count("%s") :] if isinstance(values, tuple) else values)
        if isinstance(cursor, PreparedCursor):
            lines += explained_generic(cursor)
    return "\n".join(lines)


def explained(statement: str, values: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}", values)
        return [row[0] for row in cursor.fetchall()]


def explained_generic(prepared: PreparedCursor) -> list[str]:
    """The plan that the server keeps once it has executed a prepared statement some times."""
    query = prepared._query
    assert query is not None
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE hot AS {query.query.decode()}")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        nulls = ", ".join("NULL" for _type in query.types)
        cursor.execute(f"EXPLAIN EXECUTE hot ({nulls})" if nulls else "EXPLAIN EXECUTE hot")
        plan = [row[0] for row in cursor.fetchall()]
        cursor.execute("SET LOCAL plan_cache_mode = auto")
        cursor.execute("DEALLOCATE hot")
    return plan


def reads_a_whole_table(plan: str) -> bool:
    """Whether all entries, players or accounts are looked at, in their own order or in that of an index without a condition."""
    lines = plan.splitlines()
    scans = [(line, then) for line, then in zip(lines, [*lines[1:], ""], strict=True) if SCAN.search(line)]
    return any(
        "Bitmap" not in line and "Index Cond" not in then and not any(name in line for name in PARTIAL)
        for line, then in scans
    )


def test_join_queue_finds_what_it_needs_by_index(tournament: Tournament) -> None:
    alice = make_player()
    known_entry_rules(tournament.slug)
    plan = plans_of(lambda: services.join_queue(account=alice.account, tournament=tournament, player_ids=[alice.pk]))
    assert "Insert on registrations_queueentry" in plan
    assert not reads_a_whole_table(plan)


def test_join_queue_again_finds_the_live_entry_by_index(tournament: Tournament) -> None:
    entry = make_entry(tournament)
    plan = plans_of(lambda: joining._live_entries(tournament, [entry.player]))
    assert SCAN.search(plan)
    assert not reads_a_whole_table(plan)


def test_offer_seats_reads_the_head_of_the_line_in_its_order(tournament: Tournament) -> None:
    plan = plans_of(lambda: services.offer_seats(tournament_id=tournament.pk))
    assert "queueentry_line" in plan
    assert not reads_a_whole_table(plan)


def test_lapse_offers_finds_offers_that_are_due_by_index(tournament: Tournament) -> None:
    services.offer_seats(tournament_id=tournament.pk)
    plan = plans_of(lambda: services.lapse_offers(tournament_id=tournament.pk))
    assert SCAN.search(plan)
    assert not reads_a_whole_table(plan)


def test_what_no_index_helps_with_is_noticed(tournament: Tournament) -> None:
    found = QueueEntry.objects.filter(tournament=tournament, grant_reason="none").order_by()
    assert reads_a_whole_table(plans_of(lambda: list(found)))
