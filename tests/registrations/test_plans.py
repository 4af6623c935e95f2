"""What the hot paths read stands in an index: with a million in line, nothing is looked at but what is asked for."""

import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from registrations import clock, queries, services
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import joining
from tests.builders import make_entry, make_player, make_tournament
from tournaments.queries import known_entry_rules

pytestmark = pytest.mark.django_db


def plans_of(work: Callable[[], object]) -> str:
    """The plans of all that `work` asks of the database, where reading a whole table is the last resort."""
    with CaptureQueriesContext(connection) as captured:
        work()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        lines = []
        for query in captured:
            statement = query["sql"].rpartition("true); ")[2].strip()
            if re.match("SELECT|WITH|INSERT|UPDATE", statement):
                cursor.execute(f"EXPLAIN {statement}")
                lines += [row[0] for row in cursor.fetchall()]
    return "\n".join(lines)


# Indexes of few entries only: reading all of such a one reads no more than those.
PARTIAL = {index.name for index in QueueEntry._meta.indexes if index.condition}


def reads_a_whole_table(plan: str) -> bool:
    """Whether all entries, players or accounts are looked at, in their own order or in that of an index without a condition."""
    lines = plan.splitlines()
    scans = [
        (line, then)
        for line, then in zip(lines, [*lines[1:], ""], strict=True)
        if re.search(r"Scan .*on (registrations_queueentry|accounts_)", line) and "Bitmap" not in line
    ]
    return any("Index Cond" not in then and not any(name in line for name in PARTIAL) for line, then in scans)


def test_join_queue_finds_what_it_needs_by_index() -> None:
    tournament, alice = make_tournament(), make_player()
    known_entry_rules(tournament.slug)
    plan = plans_of(lambda: services.join_queue(account=alice.account, tournament=tournament, player_ids=[alice.pk]))
    assert "accounts_player" in plan
    assert not reads_a_whole_table(plan)


def test_join_queue_again_finds_the_live_entry_by_index() -> None:
    entry = make_entry(make_tournament())
    plan = plans_of(lambda: joining._live_entries(entry.tournament, [entry.player]))
    assert re.search("queueentry_one_live_per_player|queueentry_player_id", plan)
    assert not reads_a_whole_table(plan)


def test_offer_seats_reads_the_head_of_the_line_in_its_order() -> None:
    entry = make_entry(make_tournament())
    plan = plans_of(lambda: services.offer_seats(tournament_id=entry.tournament_id))
    assert "queueentry_line" in plan
    assert not reads_a_whole_table(plan)


def test_lapse_offers_finds_offers_that_are_due_by_index() -> None:
    entry = make_entry(make_tournament(), state=State.OFFERED)
    plan = plans_of(lambda: services.lapse_offers(tournament_id=entry.tournament_id))
    assert not reads_a_whole_table(plan)


def test_clock_finds_out_by_index_whom_to_serve() -> None:
    make_entry(make_tournament())
    plan = plans_of(clock.tournaments_to_serve)
    assert not reads_a_whole_table(plan)


def test_a_position_is_counted_in_the_index_of_the_line() -> None:
    entry = make_entry(make_tournament())
    plan = plans_of(lambda: queries.queue_position(entry))
    assert "queueentry_line" in plan
    assert not reads_a_whole_table(plan)


def test_what_no_index_helps_with_is_noticed() -> None:
    assert reads_a_whole_table(plans_of(lambda: list(QueueEntry.objects.filter(grant_reason="none").order_by())))
