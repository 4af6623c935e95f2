"""Getting into the line: who may, when, with what place, and what everybody else is told."""

import re
import secrets
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import F
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.models import Player, User
from registrations import services
from registrations.models import QueueEntry
from registrations.queries import complete
from registrations.rules import ENDED, LIVE, State
from registrations.services import joining
from tests.builders import (
    BIRTH_DATE,
    Mode,
    make_division,
    make_entry,
    make_group,
    make_player,
    make_tournament,
    make_user,
    now,
)
from tournaments import queries
from tournaments.models import Tournament
from tournaments.queries import EntryRules
from vgchub.errors import RefusedError
from vgchub.ratelimit import Source

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def join(tournament: Tournament, *players: Player) -> list[QueueEntry]:
    return services.join_queue(
        account=players[0].account, tournament=tournament, player_ids=[player.pk for player in players]
    )


def refusal_of(tournament: Tournament, *players: Player) -> RefusedError:
    """What joining is refused with; it has written nothing, and says what to do."""
    before = list(QueueEntry.objects.values())
    with pytest.raises(RefusedError) as caught:
        join(tournament, *players)
    assert list(QueueEntry.objects.values()) == before
    assert str(caught.value.message)
    assert str(caught.value.remedy)
    return caught.value


# --- Whoever may, gets in ------------------------------------------------------------------------------------


def test_join_queue_puts_a_player_at_the_end_of_the_line() -> None:
    tournament, alice, bob = make_tournament(), make_player(), make_player()
    [first] = join(tournament, alice)
    [second] = join(tournament, bob)
    assert (first.state, first.player, first.division) == (State.WAITING, alice, tournament.divisions.get())
    assert (first.place, first.priority, first.group, first.seat) == (first.number, 0, None, None)
    assert first.number < second.number
    assert abs(first.joined_at - now()) < timedelta(seconds=30)
    assert list(QueueEntry.objects.in_line()) == [first, second]


def test_join_queue_keeps_only_hashes_of_where_it_came_from() -> None:
    alice = make_player()
    source = Source("192.0.2.7", "Netscape 4")
    [entry] = services.join_queue(
        account=alice.account, tournament=make_tournament(), player_ids=[alice.pk], source=source
    )
    assert (entry.address_hash, entry.device_hash) == (source.address_hash, source.device_hash)
    assert re.fullmatch("[0-9a-f]{32}", entry.address_hash)
    assert entry.address_hash != entry.device_hash


@pytest.mark.parametrize("state", LIVE)
def test_join_queue_again_returns_the_same_entry(state: State) -> None:
    entry = make_entry(make_tournament(), state=state)
    before = QueueEntry.objects.values().get()
    assert join(entry.tournament, entry.player) == [entry]
    assert QueueEntry.objects.values().get() == before


@pytest.mark.parametrize("state", ENDED)
def test_join_queue_after_an_end_is_a_new_entry_with_a_new_number(state: State) -> None:
    ended = make_entry(make_tournament(), state=state)
    [entry] = join(ended.tournament, ended.player)
    assert entry.number > ended.number
    assert entry.public_id != ended.public_id
    assert entry.stepped_back_at is None


def test_join_queue_again_returns_the_entry_also_after_registration_has_closed() -> None:
    entry = make_entry(make_tournament(opens_in=-3 * DAY))
    assert join(entry.tournament, entry.player) == [entry]


def test_join_queue_does_not_ask_for_a_verified_address() -> None:
    [entry] = join(make_tournament(), make_player(make_user(verified=False)))
    assert entry.state == State.WAITING


@pytest.mark.parametrize("division", BIRTH_DATE)
def test_join_queue_finds_the_division_by_birth_date(division: str) -> None:
    tournament = make_tournament(divisions=("junior", "senior", "masters"))
    [entry] = join(tournament, make_player(division=division))
    assert entry.division.code == division


def test_join_queue_goes_on_while_the_tournament_is_paused() -> None:
    [entry] = join(make_tournament(paused_at=now()), make_player())
    assert entry.state == State.WAITING


def test_join_queue_asks_the_database_no_more_for_three_players_than_for_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    tournament, guardian = make_tournament(divisions=("junior", "masters")), make_user()
    children = [make_player(guardian, division="junior") for _ in range(3)]
    grown_up = make_player()
    with django_assert_num_queries(5):  # players; what is remembered from now on: tournament, divisions, groups; INSERT
        join(tournament, grown_up)
    with django_assert_num_queries(2):  # players, INSERT
        join(tournament, *children)


# --- Several players of one account --------------------------------------------------------------------------


def test_join_queue_takes_several_players_in_the_order_asked_for() -> None:
    tournament, guardian = make_tournament(divisions=("junior", "senior")), make_user()
    anna = make_player(guardian, display_name="Anna", division="junior")
    zoe = make_player(guardian, display_name="Zoe", division="senior")
    assert [entry.player for entry in join(tournament, zoe, anna)] == [zoe, anna]


def test_join_queue_adds_those_who_are_not_in_line_yet() -> None:
    tournament, guardian = make_tournament(), make_user()
    first, second = make_player(guardian), make_player(guardian)
    [entry] = join(tournament, first)
    again, new = join(tournament, first, second)
    assert again == entry
    assert new.number > entry.number


def test_join_queue_takes_nobody_if_one_is_not_eligible() -> None:
    guardian = make_user()
    child = make_player(guardian, division="junior", display_name="Kim")
    error = refusal_of(make_tournament(divisions=("masters",)), make_player(guardian), child)
    assert (error.code, error.data) == ("not_eligible", {"player": child.pk})
    assert str(error.message) == ("Kim was born on 5 May 2015, which is in none of the tournament's divisions.")


def test_join_queue_takes_nobody_if_one_is_too_early() -> None:
    guardian = make_user()
    veteran, newcomer = make_player(guardian), make_player(guardian)
    tournament = make_tournament(opens_in=HOUR)
    make_group(tournament, members=(veteran,), opens_early_minutes=90)
    error = refusal_of(tournament, veteran, newcomer)
    assert (error.code, error.data) == ("not_open_yet", {"opens_at": tournament.opens_at.isoformat()})
    assert len(join(tournament, veteran)) == 1


# --- Refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"opens_in": HOUR}, "not_open_yet"),
        ({"opens_in": 2 * HOUR, "mode": Mode.FAIR_START}, "not_open_yet"),
        ({"opens_in": HOUR, "mode": Mode.LOTTERY}, "not_open_yet"),
        ({"published": False}, "not_open_yet"),
        ({"opens_in": -3 * DAY}, "registration_closed"),
        ({"opens_in": -5 * DAY}, "registration_closed"),  # over
        ({"closed_at": now()}, "registration_closed"),
        ({"closed_at": now(), "max_waiting": 10}, "registration_closed"),
        ({"mode": Mode.LOTTERY, "entries_sealed_at": now()}, "registration_closed"),
        ({"cancelled_at": now()}, "tournament_cancelled"),
        ({"cancelled_at": now(), "opens_in": -3 * DAY}, "tournament_cancelled"),
        ({"max_waiting": 0}, "waiting_room_full"),
    ],
)
def test_join_queue_refuses_and_says_why(settings: dict[str, Any], code: str) -> None:
    assert refusal_of(make_tournament(**settings), make_player()).code == code


def test_join_queue_too_early_says_when_it_opens() -> None:
    tournament = make_tournament(mode=Mode.FAIR_START, opens_in=2 * HOUR)
    assert tournament.prequeue_opens_at is not None
    error = refusal_of(tournament, make_player())
    assert error.data == {"opens_at": tournament.prequeue_opens_at.isoformat()}


def test_join_queue_refuses_when_as_many_wait_as_may() -> None:
    tournament = make_tournament(max_waiting=2)
    make_entry(tournament, state=State.CONFIRMED)
    make_entry(tournament, state=State.LEFT)
    join(tournament, make_player())
    leaver = make_player()
    [entry] = join(tournament, leaver)
    assert refusal_of(tournament, make_player()).code == "waiting_room_full"
    services.leave_queue(account=leaver.account, public_id=entry.public_id)
    assert len(join(tournament, make_player())) == 1


def test_join_queue_refuses_who_is_in_no_division() -> None:
    error = refusal_of(make_tournament(divisions=("junior", "senior")), make_player(display_name="Ash"))
    assert error.code == "not_eligible"
    assert "Ash" in str(error.message)


@pytest.mark.parametrize("asked", ["somebody else's", "one of each", "nobody", "no such player"])
def test_join_queue_refuses_players_that_are_not_the_accounts_own(asked: str) -> None:
    own, other = make_player(), make_player()
    ids = {"somebody else's": [other.pk], "one of each": [own.pk, other.pk], "nobody": [], "no such player": [0]}
    with pytest.raises(services.PlayerNotFoundError):
        services.join_queue(account=own.account, tournament=make_tournament(), player_ids=ids[asked])
    assert not QueueEntry.objects.exists()


def test_join_queue_a_millisecond_early_is_not_told_that_registration_has_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Registration opens after the INSERT found it closed, and before the reason is read."""
    tournament, read_now = make_tournament(opens_in=HOUR), queries.entry_rules_now

    def open_then_read(slug: str) -> tuple[EntryRules, datetime]:
        Tournament.objects.filter(pk=tournament.pk).update(opens_at=F("opens_at") - 2 * HOUR)
        return read_now(slug)

    monkeypatch.setattr(joining, "entry_rules_now", open_then_read)
    [entry] = join(tournament, make_player())
    assert entry.state == State.WAITING


def test_join_queue_that_is_overtaken_again_and_again_is_asked_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time the rules change between what is read and the INSERT."""
    tournament, insert = make_tournament(), joining._insert

    def change_then_insert(*given: Any) -> Any:
        Tournament.objects.filter(pk=tournament.pk).update(message=secrets.token_hex(4))
        return insert(*given)

    monkeypatch.setattr(joining, "_insert", change_then_insert)
    refusal = refusal_of(tournament, make_player())
    assert (refusal.code, refusal.repeats, refusal.headers) == ("overtaken", True, {"Retry-After": "1"})


def test_join_queue_of_a_database_that_was_restored_as_it_was_before() -> None:
    """What this process remembers is of a version that is still to come."""
    tournament = make_tournament()
    queries.known_entry_rules(tournament.slug).tournament.rules_version += 5
    assert join(tournament, make_player())
    assert queries.known_entry_rules(tournament.slug).tournament.rules_version == tournament.rules_version


def test_what_is_newer_than_the_remembered_rules_is_read_once_it_is_asked_for() -> None:
    tournament = make_tournament()
    remembered = queries.known_entry_rules(tournament.slug)
    senior, group = make_division(tournament, "senior"), make_group(tournament)
    entry = QueueEntry.objects.get(pk=make_entry(tournament, division=senior, group=group).pk)
    complete(entry, remembered)
    assert (entry.tournament, entry.division, entry.group) == (tournament, senior, group)


def test_join_queue_too_early_asks_for_little(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """Thousands click before it opens."""
    tournament, player = make_tournament(opens_in=HOUR), make_player()
    refusal_of(tournament, player)
    # Players, INSERT, whether they had joined before, the rules' version and the time.
    with django_assert_num_queries(4), pytest.raises(services.NotOpenYetError):
        join(tournament, player)


def test_join_queue_lets_all_players_of_an_account_in_or_none_where_few_may_wait() -> None:
    """Whoever of them takes part already does not wait once more."""
    account = make_user()
    players = [make_player(account) for _ in range(3)]
    assert refusal_of(make_tournament(max_waiting=2), *players).code == "waiting_room_full"
    tournament = make_tournament(max_waiting=2)
    make_entry(tournament, player=players[0], state=State.CONFIRMED)
    join(tournament, players[1])
    assert len(join(tournament, *players)) == 3
    assert refusal_of(tournament, make_player()).code == "waiting_room_full"


# --- Places, lanes and groups --------------------------------------------------------------------------------


def test_join_queue_of_a_fair_start_gives_no_place_before_it_opens() -> None:
    tournament = make_tournament(mode=Mode.FAIR_START, opens_in=HOUR / 2)
    [entry] = join(tournament, make_player())
    assert entry.place is None
    assert not QueueEntry.objects.in_line().exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"opens_in": -HOUR},  # it is open: whoever comes now comes after the draw
        {"opens_in": HOUR / 2, "entries_sealed_at": now()},
        {"opens_in": -HOUR, "entries_sealed_at": now(), "drawn_at": now()},
    ],
)
def test_join_queue_of_a_fair_start_appends_who_comes_after_the_start(settings: dict[str, Any]) -> None:
    [entry] = join(make_tournament(mode=Mode.FAIR_START, **settings), make_player())
    assert entry.place == entry.number


def test_join_queue_of_a_lottery_gives_no_place() -> None:
    [entry] = join(make_tournament(mode=Mode.LOTTERY), make_player())
    assert entry.place is None


def test_join_queue_puts_a_listed_player_into_the_lane_of_the_group() -> None:
    tournament, veteran, newcomer = make_tournament(), make_player(), make_player()
    group = make_group(tournament, members=(veteran,), priority=3)
    [early], [late] = join(tournament, newcomer), join(tournament, veteran)
    assert (late.group, late.priority) == (group, 3)
    assert (early.group, early.priority) == (None, 0)
    assert list(QueueEntry.objects.in_line()) == [late, early]


def test_join_queue_finds_the_group_by_what_the_player_achieved() -> None:
    tournament = make_tournament()
    group = make_group(tournament, min_championship_points=100, countries="DE AT", priority=1)
    [entry] = join(tournament, make_player(championship_points=100, country="AT"))
    assert entry.group == group
    for short in ({"championship_points": 99}, {"championship_points": 100, "country": "FR"}):
        assert join(tournament, make_player(**short))[0].group is None


@pytest.mark.parametrize("mode", [Mode.FAIR_START, Mode.LOTTERY])
def test_join_queue_knows_no_lanes_where_the_order_is_drawn(mode: Mode) -> None:
    tournament, veteran = make_tournament(mode=mode), make_player()
    group = make_group(tournament, members=(veteran,), priority=3)
    [entry] = join(tournament, veteran)
    assert (entry.group, entry.priority) == (group, 0)


def test_join_queue_counts_nobody_into_a_group_by_a_disputed_player_id() -> None:
    tournament, claimant = make_tournament(), make_player(player_id_state=Player.IdState.DISPUTED)
    make_group(tournament, members=(claimant,), priority=1)
    [entry] = join(tournament, claimant)
    assert (entry.group, entry.priority) == (None, 0)


def test_join_queue_opens_early_for_a_group_of_first_come() -> None:
    tournament, veteran, newcomer = make_tournament(opens_in=HOUR / 2), make_player(), make_player()
    make_group(tournament, members=(veteran,), opens_early_minutes=31)
    [entry] = join(tournament, veteran)
    assert entry.place == entry.number
    assert refusal_of(tournament, newcomer).code == "not_open_yet"


def test_join_queue_tells_a_group_its_own_opening() -> None:
    tournament, veteran = make_tournament(opens_in=2 * HOUR), make_player()
    make_group(tournament, members=(veteran,), opens_early_minutes=60)
    error = refusal_of(tournament, veteran)
    assert error.data == {"opens_at": (tournament.opens_at - HOUR).isoformat()}


@pytest.mark.parametrize("mode", [Mode.FAIR_START, Mode.LOTTERY])
def test_join_queue_opens_early_for_nobody_where_the_order_is_drawn(mode: Mode) -> None:
    tournament, veteran = make_tournament(mode=mode, opens_in=2 * HOUR), make_player()
    make_group(tournament, members=(veteran,), opens_early_minutes=180)
    assert refusal_of(tournament, veteran).code == "not_open_yet"


# --- Whose entry it is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", [services.leave_queue, services.step_back_in, services.take_up_offer])
@pytest.mark.parametrize("whose", ["somebody else's", "nobody's"])
def test_an_entry_that_is_not_ones_own_is_not_found(service: Any, whose: str) -> None:
    entry, charlie = make_entry(make_tournament(), state=State.OFFERED), make_user()
    before = QueueEntry.objects.values().get()
    with pytest.raises(services.EntryNotFoundError):
        service(account=charlie, public_id=entry.public_id if whose == "somebody else's" else "0" * 24)
    assert QueueEntry.objects.values().get() == before


def test_entries_of_an_account_are_those_of_all_its_players() -> None:
    guardian: User = make_user()
    tournament = make_tournament()
    own = [make_entry(tournament, make_player(guardian)) for _ in range(2)]
    make_entry(tournament)
    assert list(QueueEntry.objects.of(guardian)) == own
