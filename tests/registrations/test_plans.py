"""What the hot paths read stands in an index: behind thousands who wait, nothing is looked at but what is asked for."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from bench.people import make_waiting
from registrations import publisher, queries, services
from registrations.clock import tournaments_to_serve
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import joining
from tests.builders import make_entry, make_group, make_player, make_tournament
from tournaments.models import Seat, Tournament
from tournaments.queries import known_entry_rules
from vgchub.postgresql.prepared import PreparedCursor

pytestmark = pytest.mark.django_db

# Whoever waits is counted by a join only where the organizer has set a most: `w` in the statement.
SCAN = re.compile(r"Scan .*on (registrations_queueentry(?! w)|registrations_notice|accounts_|tournaments_seat)")
# Indexes of few entries: reading all of such a one reads no more than those.
PARTIAL = {index.name for index in QueueEntry._meta.indexes if index.condition}


@pytest.fixture
def tournament() -> Tournament:
    """3,000 wait, two more in a group with three seats of its own, 1,000 seats are elsewhere, and the planner knows."""
    for _ in range(10):
        make_tournament(seats=100)
    tournament = make_tournament()
    group = make_group(tournament, reserved={"masters": 3})
    make_waiting(tournament, 3000)
    for _ in range(2):
        make_entry(tournament, group=group)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
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
    """Whether all rows of a large table are looked at, in their own order or in that of an index without a condition."""
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
    plan = plans_of(lambda: joining._live_entries(known_entry_rules(tournament.slug), [entry.player]))
    assert SCAN.search(plan)
    assert not reads_a_whole_table(plan)


def test_offer_seats_reads_the_head_of_the_line_in_its_order(tournament: Tournament) -> None:
    plan = plans_of(lambda: services.offer_seats(tournament_id=tournament.pk))
    assert "using queueentry_line on" in plan
    assert not reads_a_whole_table(plan)


def test_offer_seats_reads_of_a_group_no_more_than_its_own_part_of_the_line(tournament: Tournament) -> None:
    Seat.objects.filter(division__tournament=tournament, reserved_for=None).delete()
    plan = plans_of(lambda: services.offer_seats(tournament_id=tournament.pk))
    assert "using queueentry_line_of_group on" in plan
    assert "using queueentry_line on" not in plan
    assert not reads_a_whole_table(plan)


def test_a_group_without_an_index_of_its_own_would_be_noticed(tournament: Tournament) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX queueentry_line_of_group")
    Seat.objects.filter(division__tournament=tournament, reserved_for=None).delete()
    plan = plans_of(lambda: services.offer_seats(tournament_id=tournament.pk))
    assert "using queueentry_line on" in plan or reads_a_whole_table(plan)


def test_the_clock_finds_who_can_be_offered_a_seat_by_the_order_of_the_line(tournament: Tournament) -> None:
    plan = plans_of(tournaments_to_serve)
    for index, condition in (
        ("queueentry_line", "division_id = d.id"),
        ("queueentry_line_of_group", "division_id = d.id) AND (group_id = free.reserved_for_id"),
        ("queueentry_offers_due", "offer_expires_at <= now()"),
    ):
        assert re.search(rf"using {index} on .*\n *Index Cond: \(+{re.escape(condition)}", plan), index
    assert "tournaments_seat" in plan
    assert not reads_a_whole_table(plan), plan


def test_lapse_offers_finds_offers_that_are_due_by_index(tournament: Tournament) -> None:
    services.offer_seats(tournament_id=tournament.pk)
    plan = plans_of(lambda: services.lapse_offers(tournament_id=tournament.pk))
    assert SCAN.search(plan)
    assert not reads_a_whole_table(plan)


def test_take_up_offer_touches_its_own_entry_alone(tournament: Tournament) -> None:
    free, paid = (make_entry(tournament, state=State.OFFERED) for _ in range(2))
    plan = plans_of(lambda: services.take_up_offer(account=free.player.account, public_id=free.public_id))
    Tournament.objects.filter(pk=tournament.pk).update(fee_minor=4000)
    plan += plans_of(lambda: services.take_up_offer(account=paid.player.account, public_id=paid.public_id))
    assert plan.count("Update on registrations_queueentry") == 2
    assert not reads_a_whole_table(plan)


def test_step_back_in_touches_its_own_entry_alone(tournament: Tournament) -> None:
    entry = make_entry(tournament, state=State.PASSED)
    plan = plans_of(lambda: services.step_back_in(account=entry.player.account, public_id=entry.public_id))
    assert "Update on registrations_queueentry" in plan
    assert not reads_a_whole_table(plan)


@pytest.mark.parametrize("seated", [False, True])
def test_the_live_page_finds_its_accounts_entries_by_index(tournament: Tournament, *, seated: bool) -> None:
    entry = make_entry(tournament, state=State.CONFIRMED if seated else State.WAITING)
    plan = plans_of(lambda: queries.entries_of_account(entry.player.account_id, tournament.slug))
    assert "tournaments_seat" in plan
    assert not reads_a_whole_table(plan)


def test_a_tournaments_page_finds_its_accounts_players_and_entries_by_index(tournament: Tournament) -> None:
    entry = make_entry(tournament)
    plan = plans_of(lambda: queries.players_and_entries(entry.player.account_id, tournament))
    assert SCAN.search(plan)
    assert not reads_a_whole_table(plan)


def test_a_position_near_the_head_is_counted_along_the_line(tournament: Tournament) -> None:
    entry = QueueEntry.objects.in_line().filter(tournament=tournament)[9]
    plan = plans_of(lambda: queries.queue_position(entry))
    assert "queueentry_line" in plan
    assert not reads_a_whole_table(plan)


def test_a_position_that_is_newer_than_the_line_is_counted_from_a_place_on(tournament: Tournament) -> None:
    entry = QueueEntry.objects.in_line().filter(tournament=tournament).reverse()[0]
    plan = plans_of(lambda: queries.waiting_between(entry, (entry.place or 0) - 100))
    assert re.search(r"queueentry_\w+.*\n *Index Cond: .*place >= .*place < ", plan), plan
    assert not reads_a_whole_table(plan)


def test_the_publisher_reads_the_latest_events_alone(tournament: Tournament, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "IN_FLIGHT_EVENTS", 10)
    events = publisher.LinePublisher().events
    plan = plans_of(lambda: [each.touched() for each in events])
    for table in ("registrations_queueentryevent", "tournaments_seatevent"):
        assert re.search(rf"Scan .*on {table}.*\n *Index Cond: \(pgh_id > ", plan), table
    assert not re.search("Seq Scan on .*event", plan)


def test_what_no_index_helps_with_is_noticed(tournament: Tournament) -> None:
    found = QueueEntry.objects.filter(tournament=tournament, grant_reason="none").order_by()
    assert reads_a_whole_table(plans_of(lambda: list(found)))
