"""What a process remembers of a tournament, and how it finds out that it no longer holds."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from registrations import services
from registrations.models import QueueEntry
from registrations.services import joining
from tests.builders import BIRTH_DATE, make_division, make_group, make_player, make_tournament
from tournaments import queries
from tournaments.models import Division, PriorityGroup, Tournament

pytestmark = pytest.mark.django_db


def version_of(tournament: Tournament) -> int:
    return Tournament.objects.values_list("rules_version", flat=True).get(pk=tournament.pk)


CHANGES: dict[str, Callable[[Tournament], object]] = {
    "tournament": lambda t: Tournament.objects.filter(pk=t.pk).update(name="Another"),
    "new division": lambda t: make_division(t, "senior"),
    "division": lambda t: t.divisions.update(name="Another"),
    "no division": lambda t: Division.objects.filter(tournament=t, seats=None).delete(),
    "new group": make_group,
    "group": lambda t: t.groups.update(min_championship_points=7),
    "no group": lambda t: PriorityGroup.objects.filter(tournament=t).delete(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_rules_version_counts_every_change(change: str) -> None:
    tournament, other = make_tournament(), make_tournament()
    make_group(tournament, name="Champions")
    make_division(tournament, "junior", seats=0)
    before, of_other = version_of(tournament), version_of(other)
    CHANGES[change](tournament)
    assert version_of(tournament) > before
    assert version_of(other) == of_other


def test_known_entry_rules_ask_the_database_once(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    tournament = make_tournament()
    with django_assert_num_queries(3):
        first = queries.known_entry_rules(tournament.slug)
    with django_assert_num_queries(0):
        assert queries.known_entry_rules(tournament.slug) is first


def test_known_entry_rules_of_a_draft_are_not_remembered() -> None:
    draft = make_tournament(published_at=None)
    first = queries.known_entry_rules(draft.slug)
    assert queries.known_entry_rules(draft.slug) is not first


def change_when(moment: str, monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Change the rules behind the back of a join: before it, or between its two statements."""
    if moment == "before":
        change()
        return
    insert = joining._insert

    def change_then_insert(*arguments: Any) -> dict[int, QueueEntry]:
        monkeypatch.setattr(joining, "_insert", insert)
        change()
        return insert(*arguments)

    monkeypatch.setattr(joining, "_insert", change_then_insert)


@pytest.mark.parametrize("moment", ["before", "between"])
def test_join_queue_notices_that_a_group_was_added_by_another_process(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tournament, champion = make_tournament(), make_player(championship_points=900)
    queries.known_entry_rules(tournament.slug)
    change_when(moment, monkeypatch, lambda: make_group(tournament, min_championship_points=500, priority=2))
    [entry] = services.join_queue(account=champion.account, tournament=tournament, player_ids=[champion.pk])
    assert (entry.group, entry.priority) == (tournament.groups.get(), 2)


def test_join_queue_that_does_not_test_the_version_takes_what_was_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    tested = "AND rules_version = %(rules_version)s::bigint"
    assert tested in joining.JOIN
    monkeypatch.setattr(joining, "JOIN", joining.JOIN.replace(tested, ""))
    tournament, champion = make_tournament(), make_player(championship_points=900)
    queries.known_entry_rules(tournament.slug)
    change_when("between", monkeypatch, lambda: make_group(tournament, min_championship_points=500, priority=2))
    [entry] = services.join_queue(account=champion.account, tournament=tournament, player_ids=[champion.pk])
    assert entry.group is None


def test_join_queue_notices_that_a_division_takes_others_now() -> None:
    """Nobody gets as far as the INSERT that tests the version: what was remembered refuses them all."""
    tournament, adult = make_tournament(divisions=("junior",)), make_player()
    queries.known_entry_rules(tournament.slug)
    tournament.divisions.update(born_from=None, born_to=None)
    [entry] = services.join_queue(account=adult.account, tournament=tournament, player_ids=[adult.pk])
    assert entry == QueueEntry.objects.get()
    assert adult.birth_date == BIRTH_DATE["masters"]


def test_join_queue_at_an_address_that_changed_says_so() -> None:
    tournament, alice = make_tournament(), make_player()
    remembered = queries.known_entry_rules(tournament.slug).tournament
    Tournament.objects.filter(pk=tournament.pk).update(slug="another-address")
    with pytest.raises(services.TournamentNotFoundError):
        services.join_queue(account=alice.account, tournament=remembered, player_ids=[alice.pk])
    assert not QueueEntry.objects.exists()
