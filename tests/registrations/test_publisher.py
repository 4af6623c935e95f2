"""What the clock publishes: exact, only when it moved, and all of it again when Redis has forgotten."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection
from pytest_django import DjangoAssertNumQueries, Settings

from registrations.line import block_of
from registrations.models import QueueEntry
from registrations.publisher import OF_ENTRIES, LinePublisher, LineStore
from registrations.queries import THESE_BLOCKS, queue_position
from registrations.rules import State
from registrations.services import cancel_entry, leave_queue, offer_seats, pause_tournament
from registrations.standing import standings
from tests.builders import make_division, make_entry, make_group, make_staff, make_tournament, now
from tournaments.models import Seat, Tournament
from vgchub.live import tournament_channel

pytestmark = pytest.mark.django_db


@pytest.fixture
def tournament() -> Tournament:
    return make_tournament(seats=2)


@pytest.fixture
def publisher() -> LinePublisher:
    return LinePublisher(pause=0)


class Listener:
    """What a live process hears of one tournament."""

    def __init__(self, tournament: Tournament) -> None:
        self.pubsub = get_redis_connection("default").pubsub(ignore_subscribe_messages=True)
        self.pubsub.subscribe(tournament_channel(tournament.pk))
        self.pubsub.get_message(timeout=1)

    def texts(self) -> list[Any]:
        found = []
        while message := self.pubsub.get_message(timeout=0.05):
            found.append(json.loads(message["data"]))
        return found


@pytest.fixture
def heard(tournament: Tournament) -> Iterator[Listener]:
    listener = Listener(tournament)
    yield listener
    listener.pubsub.close()


def published_positions(tournament: Tournament) -> dict[str, int | None]:
    entries = list(QueueEntry.objects.filter(tournament=tournament).select_related("tournament", "division", "seat"))
    found, _head = standings(tournament, entries)
    return {standing.entry.public_id: standing.position for standing in found}


def counted_positions(tournament: Tournament) -> dict[str, int | None]:
    return {e.public_id: queue_position(e) for e in QueueEntry.objects.filter(tournament=tournament)}


def test_published_positions_are_the_counted_ones(tournament: Tournament, publisher: LinePublisher) -> None:
    vip = make_group(tournament, priority=2)
    for _ in range(5):
        make_entry(tournament)
    for _ in range(2):
        make_entry(tournament, group=vip, priority=2)
    publisher.publish_moves()
    assert published_positions(tournament) == counted_positions(tournament)
    assert sorted(p for p in published_positions(tournament).values() if p) == list(range(1, 8))


def test_each_move_is_published_and_nothing_else(
    tournament: Tournament, publisher: LinePublisher, heard: Listener
) -> None:
    entries = [make_entry(tournament) for _ in range(4)]
    publisher.publish_moves()
    assert publisher.publish_moves() == 0
    assert len(heard.texts()) == 1

    offer_seats(tournament_id=tournament.pk)
    leave_queue(account=entries[2].player.account, public_id=entries[2].public_id)
    assert publisher.publish_moves() == 1

    (text,) = heard.texts()
    (division,) = text["head"]["divisions"].values()
    assert (division["offered"], division["waiting"], len(text["blocks"])) == (2, 1, 1)
    assert published_positions(tournament) == counted_positions(tournament)


def test_a_line_that_goes_on_moving_waits_for_its_turn_and_then_holds_what_moved_meanwhile(
    tournament: Tournament, heard: Listener
) -> None:
    publisher = LinePublisher(pause=3600)
    make_entry(tournament)
    assert publisher.publish_moves() == 1
    make_entry(tournament)
    assert publisher.publish_moves() == publisher.publish_moves() == 0
    make_entry(tournament)
    publisher.pause = 0
    assert publisher.publish_moves() == 1
    assert [waits(text) for text in heard.texts()] == [1, 3]
    assert published_positions(tournament) == counted_positions(tournament)


def waits(text: Any) -> int:
    (division,) = text["head"]["divisions"].values()
    return int(division["waiting"])


def test_a_pause_is_published_though_nobody_moved(
    tournament: Tournament, publisher: LinePublisher, heard: Listener
) -> None:
    publisher.publish_moves()
    pause_tournament(tournament_id=tournament.pk, by=make_staff())
    publisher.publish_moves()
    assert [text["head"]["paused"] for text in heard.texts()] == [False, True]


def test_sites_that_share_a_redis_server_do_not_hear_each_other(
    tournament: Tournament, publisher: LinePublisher, heard: Listener, settings: Settings
) -> None:
    """Their tournaments have the same numbers, and Redis' channels are one for all its databases."""
    settings.CHANNEL_PREFIX = "another-site"
    publisher.publish_moves()
    assert heard.texts() == []


def test_a_block_that_empties_is_taken_away(tournament: Tournament, publisher: LinePublisher, heard: Listener) -> None:
    entry = make_entry(tournament)
    publisher.publish_moves()
    offer_seats(tournament_id=tournament.pk)
    publisher.publish_moves()
    assert list(heard.texts()[-1]["blocks"].values()) == [""]
    assert published_positions(tournament) == {entry.public_id: None}


def test_an_entry_that_changes_its_lane_leaves_the_old_one(tournament: Tournament, publisher: LinePublisher) -> None:
    vip = make_group(tournament, priority=2)
    first, second = make_entry(tournament), make_entry(tournament)
    publisher.publish_moves()
    QueueEntry.objects.filter(pk=second.pk).update(group=vip, priority=2)
    publisher.publish_moves()
    assert published_positions(tournament) == {first.public_id: 2, second.public_id: 1}


def test_all_is_published_again_after_redis_forgot(tournament: Tournament, publisher: LinePublisher) -> None:
    entries = [make_entry(tournament) for _ in range(3)]
    publisher.publish_moves()
    get_redis_connection("default").flushdb()
    assert publisher.publish_moves() == 1
    head, blocks = LineStore(tournament.pk).read([f"{entries[0].division_id}:0:{(entries[0].place or 0) // 1024}"])
    assert head
    assert len(blocks) == 1


def test_a_clock_that_takes_over_publishes_what_is_true_now(tournament: Tournament) -> None:
    first, second = LinePublisher(pause=0), LinePublisher(pause=0)
    entry = make_entry(tournament)
    first.publish_moves()
    second.publish_moves()
    leave_queue(account=entry.player.account, public_id=entry.public_id)
    second.publish_moves()
    make_entry(tournament)
    first.forget()
    first.publish_moves()
    assert published_positions(tournament) == counted_positions(tournament)


def test_somebody_who_joined_this_second_is_counted_in_the_database(
    tournament: Tournament, publisher: LinePublisher
) -> None:
    make_entry(tournament)
    publisher.publish_moves()
    late = make_entry(tournament)
    assert published_positions(tournament)[late.public_id] == 2


def test_whoever_is_newer_than_the_line_is_among_those_who_wait(
    tournament: Tournament, publisher: LinePublisher
) -> None:
    make_entry(tournament)
    publisher.publish_moves()
    late = make_entry(tournament)
    (standing,), _head = standings(tournament, [late])
    assert (standing.position, standing.waiting, standing.division.waiting) == (2, 2, 1)


def test_whoever_is_newer_than_the_line_stands_behind_all_before(
    tournament: Tournament, publisher: LinePublisher
) -> None:
    """In the last block that is published, in a new one, and in a lane that nobody stood in yet."""
    left, *_stay = [make_entry(tournament, place=place) for place in (1, 2, 1030)]
    publisher.publish_moves()
    leave_queue(account=left.player.account, public_id=left.public_id)
    publisher.publish_moves()
    own_block, new_block = make_entry(tournament, place=1031), make_entry(tournament, place=5000)
    expected = {own_block.public_id: 3, new_block.public_id: 4}
    assert published_positions(tournament).items() > expected.items()
    vip = make_entry(tournament, group=make_group(tournament, priority=2), priority=2, place=5001)
    assert published_positions(tournament)[vip.public_id] == 1


def test_a_page_of_a_division_that_is_newer_than_the_line_is_counted(
    tournament: Tournament, publisher: LinePublisher
) -> None:
    publisher.publish_moves()
    senior = make_division(tournament, "senior")
    entry = make_entry(tournament, division=senior)
    assert published_positions(tournament) == {entry.public_id: 1}


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    away = redis.Redis.from_url("redis://127.0.0.1:1")
    monkeypatch.setattr("registrations.publisher.get_redis_connection", lambda _name: away)
    monkeypatch.setattr("vgchub.shelf.get_redis_connection", lambda _name: away)


@pytest.mark.usefixtures("redis_away")
def test_without_redis_positions_are_counted(tournament: Tournament) -> None:
    entries = [make_entry(tournament, place=place) for place in (1, 1030)]
    assert published_positions(tournament) == {entries[0].public_id: 1, entries[1].public_id: 2}


@pytest.mark.usefixtures("redis_away")
def test_without_redis_the_head_is_counted_once_for_many_pages(
    tournament: Tournament, settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """And each page reads its own block alone: one statement."""
    settings.SHELF_SECONDS = 60
    entry = make_entry(tournament)
    assert standings(tournament, [entry])[0][0].position == 1
    late = make_entry(tournament)
    with django_assert_num_queries(1):
        assert standings(tournament, [late])[0][0].position == 2


def test_drawn_places_stand_before_all_who_came_later(publisher: LinePublisher) -> None:
    tournament = make_tournament(mode="FAIR_START", seats=0, drawn_at="2026-01-01T00:00Z")
    late = make_entry(tournament, place=10)
    drawn = [make_entry(tournament, place=place) for place in (-2000, -1)]
    publisher.publish_moves()
    assert published_positions(tournament) == {
        drawn[0].public_id: 1,
        drawn[1].public_id: 2,
        late.public_id: 3,
    }


def test_places_that_a_void_draw_takes_back_leave_the_line(publisher: LinePublisher) -> None:
    tournament = make_tournament(mode="LOTTERY", drawn_at=now())
    entries = [make_entry(tournament, place=-n) for n in (3, 2, 1)]
    publisher.publish_moves()
    assert set(published_positions(tournament).values()) == {1, 2, 3}
    Tournament.objects.update(drawn_at=None, entries_sealed_at=None)
    QueueEntry.objects.update(place=None)
    publisher.publish_moves()
    head, _blocks = LineStore(tournament.pk).read([])
    assert head is not None
    assert head["divisions"][str(entries[0].division_id)]["lanes"] == [{"lane": 0, "blocks": []}]


def test_a_tournament_that_is_far_off_costs_nothing(publisher: LinePublisher) -> None:
    make_tournament(opens_in=timedelta(days=3))
    assert publisher.publish_moves() == 0


def test_a_tick_without_a_move_costs_the_same_however_many_wait_in_however_many_tournaments(
    publisher: LinePublisher,
) -> None:
    counts = []
    for _ in range(3):
        for _ in range(3):
            make_entry(make_tournament(seats=0))
        publisher.publish_moves()
        with CaptureQueriesContext(connection) as queries:
            assert publisher.publish_moves() == 0
        counts.append(len(queries))
    assert counts == [4, 4, 4]  # events of entries and of seats, the time, the tournaments


def test_a_move_costs_the_same_however_many_wait(tournament: Tournament, publisher: LinePublisher) -> None:
    counts = []
    for number in (3, 30):
        for _ in range(number):
            make_entry(tournament)
        publisher.publish_moves()
        make_entry(tournament)
        with CaptureQueriesContext(connection) as queries:
            assert publisher.publish_moves() == 1
        counts.append(len(queries))
    assert counts == [10, 10]  # besides: its blocks, its seats, its divisions, its offers; a savepoint around them


def test_a_seat_more_is_published_though_nobody_moved(tournament: Tournament, publisher: LinePublisher) -> None:
    publisher.publish_moves()
    Seat.objects.create(division=tournament.divisions.get(), number=100)
    assert publisher.publish_moves() == 1
    assert publisher.publish_moves() == 0
    head, _blocks = LineStore(tournament.pk).read([])
    assert head is not None
    assert [division["seats"] for division in head["divisions"].values()] == [3]


def test_an_event_that_becomes_visible_late_is_noticed(
    tournament: Tournament, publisher: LinePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids are given out in one order and committed in another: the smaller one is hidden here until after the larger was seen."""
    events = publisher.events[0]
    assert events.touched() == []
    late, early = make_entry(tournament), make_entry(tournament)
    hidden = QueueEntry.pgh_event_model.objects.get(pgh_obj=late).pk  # type: ignore[attr-defined]
    events.sql = OF_ENTRIES.replace("WHERE", f"WHERE pgh_id <> {hidden} AND")
    monkeypatch.setattr("registrations.publisher.IN_FLIGHT_SECONDS", 0)  # this look moves the window on
    assert {tournament_id for tournament_id, *_block in events.touched()} == {tournament.pk}
    monkeypatch.setattr("registrations.publisher.IN_FLIGHT_SECONDS", 10)
    assert events.touched() == []
    events.sql = OF_ENTRIES
    assert events.touched() == [(tournament.pk, block_of(early.place or 0), False)]
    assert events.touched() == []


def test_a_line_of_many_blocks_is_left_to_each_socket_to_ask_for(
    tournament: Tournament, publisher: LinePublisher, heard: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registrations.publisher.MANY_BLOCKS", 1)
    for place in (1, 1025, 2049):
        make_entry(tournament, place=place)
    publisher.publish_moves()
    (text,) = heard.texts()
    assert text["blocks"] is None
    assert published_positions(tournament) == counted_positions(tournament)


def test_a_clock_that_takes_over_finds_what_was_published_and_publishes_nothing_twice(tournament: Tournament) -> None:
    for _ in range(3):
        make_entry(tournament)
    assert LinePublisher().publish_moves() == 1
    assert LinePublisher().publish_moves() == 0


def test_blocks_are_read_by_the_index_of_places(tournament: Tournament) -> None:
    entry = make_entry(tournament)
    with connection.cursor() as cursor:
        cursor.execute(CROWD, [entry.pk])
        cursor.execute("ANALYZE registrations_queueentry")
        cursor.execute("EXPLAIN " + THESE_BLOCKS, {"tournament": tournament.pk, "blocks": [1, 2]})
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "queueentry_place_unique" in plan
    assert "Index Cond: ((tournament_id = " in plan
    assert "Seq Scan" not in plan


# Five thousand more players of an entry's account, in the same line.
CROWD = """
WITH crowd AS (
    INSERT INTO accounts_player (account_id, display_name, player_id, player_id_state, birth_date, country,
                                 championship_points, seasons_played, created_at)
    SELECT p.account_id, p.display_name, n::text, 'CLAIMED', p.birth_date, p.country, 0, 0, now()
    FROM accounts_player p JOIN registrations_queueentry e ON e.player_id = p.id AND e.id = %s, generate_series(10000, 15000) n
    RETURNING id, account_id
)
INSERT INTO registrations_queueentry (public_id, tournament_id, division_id, player_id, number, place, state, joined_at, priority,
                                      grant_reason, waiver_reason, address_hash, device_hash)
SELECT left(md5(crowd.id::text), 24), e.tournament_id, e.division_id, crowd.id, e.number + crowd.id, e.number + crowd.id, 'WAITING',
       now(), 0, '', '', '', ''
FROM crowd JOIN accounts_player p USING (account_id) JOIN registrations_queueentry e ON e.player_id = p.id
"""


def test_sold_out_says_since_when(publisher: LinePublisher) -> None:
    tournament = make_tournament(seats=1)
    confirmed = make_entry(tournament, state=State.CONFIRMED)
    waiting = make_entry(tournament)
    publisher.publish_moves()
    (standing,), head = standings(tournament, [waiting])
    assert standing.division.sold_out_at == confirmed.confirmed_at
    assert "The only seat is confirmed" in standing.sentence
    cancel_entry(entry_id=confirmed.pk)
    publisher.publish_moves()
    (standing,), head = standings(tournament, [waiting])
    assert standing.division.sold_out_at is None
    assert head["divisions"][str(waiting.division_id)]["free"] == 1


def test_a_division_without_seats_does_not_read_as_sold_out(publisher: LinePublisher) -> None:
    tournament = make_tournament(seats=0)
    waiting = make_entry(tournament)
    publisher.publish_moves()
    (standing,), _head = standings(tournament, [waiting])
    assert "It has no seats at the moment; what is added goes down this line." in standing.sentence
    assert "confirmed" not in standing.sentence
