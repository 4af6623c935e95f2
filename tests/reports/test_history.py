"""History is sealed completely, whatever the order of commits, and shows when it was changed."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.utils import ProgrammingError
from psycopg.sql import SQL

from registrations.models import QueueEntry
from registrations.rules import State
from reports import services
from reports.history import broken_blocks, content_of, event_models, table_of
from reports.models import HistoryBlock
from reports.services import seal_history
from tests.builders import make_entry, make_tournament
from tests.sealing import seal_all_history

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = "registrations_queueentryevent"


@pytest.fixture
def elsewhere() -> Iterator["psycopg.Connection[tuple[int, ...]]"]:
    """Another session of the database, in a transaction that it has not begun yet."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        yield other


def change(entry: QueueEntry, session: "psycopg.Connection[tuple[int, ...]] | None" = None) -> int:
    """Change an entry, here or in another session; returns the id of the event that this left."""
    update = SQL("UPDATE registrations_queueentry SET address_hash = address_hash || 'x' WHERE id = {}")
    drawn = SQL("SELECT max(pgh_id) FROM registrations_queueentryevent WHERE pgh_obj_id = {}")
    with connection.cursor() if session is None else session.cursor() as cursor:
        cursor.execute(update.format(entry.pk))
        cursor.execute(drawn.format(entry.pk))
        row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def seal_now() -> list[HistoryBlock]:
    """Seal what can be sealed without waiting for anybody."""
    blocks = []
    while block := seal_history():
        blocks.append(block)
    return blocks


def sealed_in(event_id: int) -> list[int]:
    """The numbers of the blocks that reach over this event of an entry, by their ranges."""
    found, before = [], 0
    for block in HistoryBlock.objects.order_by("number"):
        up_to = block.sealed_to.get(EVENTS, 0)
        if before < event_id <= up_to:
            found.append(block.number)
        before = up_to
    return found


@contextmanager
def without_triggers() -> Iterator[None]:
    """As a superuser with a SQL prompt would do it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield


def test_every_event_is_sealed_once_and_an_idle_site_writes_nothing() -> None:
    entry = make_entry(make_tournament())
    first = change(entry)
    seal_all_history()
    second = change(entry)
    seal_all_history()

    assert [len(sealed_in(first)), len(sealed_in(second))] == [1, 1]
    assert sum(HistoryBlock.objects.values_list("events", flat=True)) == sum(m.objects.count() for m in event_models())
    assert seal_history() is None
    assert list(broken_blocks()) == []


def test_all_event_tables_are_sealed() -> None:
    make_entry(make_tournament())
    seal_all_history()
    sealed = {table for block in HistoryBlock.objects.all() for table in block.contents}
    assert sealed == {
        "accounts_playerevent",
        "registrations_queueentryevent",
        "tournaments_divisionevent",
        "tournaments_seatevent",
        "tournaments_tournamentevent",
    }
    assert sealed <= {table_of(model) for model in event_models()}


def test_an_event_committed_late_is_in_a_later_block(elsewhere: "psycopg.Connection[tuple[int, ...]]") -> None:
    tournament = make_tournament()
    slow, quick = make_entry(tournament), make_entry(tournament)
    seal_all_history()

    earlier = change(slow, elsewhere)  # drawn first, committed last
    later = change(quick)
    assert earlier < later
    seal_now()
    assert sealed_in(later) == []  # it waits with the one before it
    elsewhere.commit()
    seal_all_history()

    assert sealed_in(earlier) == sealed_in(later) != []
    assert list(broken_blocks()) == []


def test_sealing_what_is_visible_would_lose_it(
    elsewhere: "psycopg.Connection[tuple[int, ...]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above: the same, without waiting for transactions that are under way."""
    monkeypatch.setattr(
        services, "_worth_a_block", lambda last, marks, _xid: [marks, marks] != [last.marks, last.sealed_to]
    )
    tournament = make_tournament()
    slow, quick = make_entry(tournament), make_entry(tournament)
    seal_now()

    change(slow, elsewhere)
    change(quick)
    seal_now()
    elsewhere.commit()
    seal_now()

    assert (
        sum(HistoryBlock.objects.values_list("events", flat=True)) == sum(m.objects.count() for m in event_models()) - 1
    )
    assert len(list(broken_blocks())) == 1


def younger_draws_the_smaller_event_id(patience: float) -> tuple[int, int, list[int]]:
    """Transaction ids are drawn in one order and event ids in the other, and the younger one is open while it is sealed.

    Returns the smaller event id, the larger one, and the blocks that held the larger one before the younger was committed.
    """
    tournament = make_tournament()
    one, two = make_entry(tournament), make_entry(tournament)
    url, give_up = os.environ["DATABASE_URL"], time.monotonic() + patience
    with psycopg.connect(url) as older, psycopg.connect(url) as younger:
        older.execute("SELECT pg_current_xact_id()")
        smaller = change(one, younger)
        larger = change(two, older)
        older.commit()
        seal_now()
        while not (too_early := sealed_in(larger)) and time.monotonic() < give_up:
            time.sleep(0.05)
            seal_now()
        younger.commit()
    seal_all_history()
    return smaller, larger, too_early


def test_a_younger_transaction_that_drew_the_smaller_event_id_is_waited_for() -> None:
    smaller, larger, too_early = younger_draws_the_smaller_event_id(patience=0.5)
    assert smaller < larger
    assert too_early == []
    assert sealed_in(smaller) == sealed_in(larger) != []
    assert list(broken_blocks()) == []


def test_waiting_for_the_last_finished_transaction_would_lose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: `pg_snapshot_xmax` is one more than the last id that is over, and the younger one's is larger."""

    def last_finished() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            return int(cursor.fetchone()[0])

    monkeypatch.setattr(services, "_transaction_id", last_finished)
    # Whatever other tests finish on this server at the same moment saves the day: so more than one attempt.
    assert any(younger_draws_the_smaller_event_id(patience=5)[2] and list(broken_blocks()) for _attempt in range(10))


def test_what_was_rolled_back_holds_nothing_up(elsewhere: "psycopg.Connection[tuple[int, ...]]") -> None:
    tournament = make_tournament()
    change(make_entry(tournament), elsewhere)
    last = change(make_entry(tournament))
    elsewhere.rollback()
    seal_all_history()
    assert len(sealed_in(last)) == 1
    assert list(broken_blocks()) == []


def test_sealing_waits_for_nobody_and_makes_nobody_wait(elsewhere: "psycopg.Connection[tuple[int, ...]]") -> None:
    """While one sealer is at work another one leaves at once, and an entry can be changed."""
    entry = make_entry(make_tournament())
    elsewhere.execute("SELECT pg_advisory_xact_lock(%s)", [services.SEALING])
    assert seal_history() is None
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")
        change(entry)
        cursor.execute("RESET lock_timeout")
    elsewhere.rollback()
    assert seal_history() is not None


def test_marks_read_after_a_write_are_refused() -> None:
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        seal_history()


def test_a_database_restored_elsewhere_goes_on_sealing() -> None:
    """Transaction ids begin anew in another cluster."""
    entry = make_entry(make_tournament())
    seal_all_history()
    with without_triggers(), connection.cursor() as cursor:
        cursor.execute("UPDATE reports_historyblock SET open_below = open_below + 1000000")
    event = change(entry)
    seal_all_history()
    assert len(sealed_in(event)) == 1


def test_a_changed_event_is_found_in_its_block() -> None:
    entry = make_entry(make_tournament())
    event = change(entry)
    seal_all_history()
    [number] = sealed_in(event)
    with without_triggers(), connection.cursor() as cursor:
        cursor.execute("UPDATE registrations_queueentryevent SET place = place + 1 WHERE pgh_id = %s", [event])

    [sentence] = broken_blocks()
    assert sentence.startswith(f"Block {number}: an event of {EVENTS} after ")
    assert sentence.endswith("was changed after it was sealed.")
    with pytest.raises(SystemExit, match="1"):
        call_command("verify_history")


def test_a_deleted_and_an_added_event_are_found() -> None:
    entry = make_entry(make_tournament())
    event = change(entry)
    seal_all_history()
    with without_triggers(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM registrations_queueentryevent WHERE pgh_id = %s", [event])
    assert [sentence.split(":")[0] for sentence in broken_blocks()] == [f"Block {sealed_in(event)[0]}"]


def test_a_changed_or_missing_block_is_found() -> None:
    entry = make_entry(make_tournament())
    for _number in range(3):
        change(entry)
        seal_all_history()
    with without_triggers(), connection.cursor() as cursor:
        cursor.execute("UPDATE reports_historyblock SET sealed_at = sealed_at - interval '1 hour' WHERE number = 2")
        cursor.execute("DELETE FROM reports_historyblock WHERE number = 4")
    assert list(broken_blocks())[:2] == [
        "Block 2 itself was changed after it was sealed.",
        "Block 4 is missing from the chain: 5 comes next.",
    ]


def test_a_chain_written_anew_does_not_contain_a_digest_noted_earlier(capsys: pytest.CaptureFixture[str]) -> None:
    make_entry(make_tournament())
    head = seal_all_history()[-1].digest
    with without_triggers(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM reports_historyblock")
    seal_all_history()
    assert list(broken_blocks()) == []
    with pytest.raises(SystemExit, match="1"):
        call_command("verify_history", head=head)
    assert f"No block has the digest {head}" in capsys.readouterr().out


def test_a_column_added_later_leaves_old_blocks_whole() -> None:
    change(make_entry(make_tournament()))
    seal_all_history()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE registrations_queueentryevent ADD COLUMN mood text NOT NULL DEFAULT 'calm'")
        try:
            assert list(broken_blocks()) == []
        finally:
            cursor.execute("ALTER TABLE registrations_queueentryevent DROP COLUMN mood")


def test_the_zone_of_the_session_does_not_matter() -> None:
    event = change(make_entry(make_tournament(), state=State.OFFERED))
    contents = []
    for zone in ("UTC", "Asia/Tokyo"):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('TimeZone', %s, true)", [zone])
            contents.append(content_of(EVENTS, ["pgh_id", "offered_at"], event - 1, event))
    assert contents[0] == contents[1]
    assert contents[0]["count"] == 1


@pytest.mark.parametrize(
    "statement", ["UPDATE reports_historyblock SET events = 0", "DELETE FROM reports_historyblock"]
)
def test_blocks_are_append_only(statement: str) -> None:
    make_entry(make_tournament())
    seal_all_history()
    with pytest.raises(ProgrammingError, match="Cannot update or delete"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_verify_history_says_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    make_entry(make_tournament())
    head = seal_all_history()[-1]
    with pytest.raises(SystemExit, match="0"):
        call_command("verify_history", newest=1)
    assert f"{head.number} blocks" in capsys.readouterr().out
