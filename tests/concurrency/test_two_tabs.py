"""One player in two tabs: one entry, one place, and the same answer in both."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Player
from registrations import services
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import joining
from tests.builders import make_entry, make_player, make_tournament, make_user
from tests.concurrency.actors import Actor, all_at_once, done_but_not_committed, outcome_of
from tournaments.models import Tournament


def joins(tournament: Tournament, *players: Player) -> Callable[[], list[QueueEntry]]:
    return lambda: services.join_queue(
        account=players[0].account, tournament=tournament, player_ids=[player.pk for player in players]
    )


def leaves(entry: QueueEntry) -> Callable[[], QueueEntry]:
    return lambda: services.leave_queue(account=entry.player.account, public_id=entry.public_id)


def test_join_queue_in_two_tabs_is_one_entry() -> None:
    tournament, alice = make_tournament(), make_player()
    with done_but_not_committed(joins(tournament, alice)) as [first]:
        second = Actor(joins(tournament, alice))
        assert second.waits()
    assert second.result() == [first]
    assert QueueEntry.objects.get() == first


def test_join_queue_in_two_tabs_that_forgets_the_conflict_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "JOIN", joining.JOIN.replace("ON CONFLICT DO NOTHING", ""))
    tournament, alice = make_tournament(), make_player()
    with done_but_not_committed(joins(tournament, alice)):
        second = Actor(joins(tournament, alice))
        assert second.waits()
    with pytest.raises(IntegrityError, match="queueentry_one_live_per_player"):
        second.result()


def test_join_queue_in_many_tabs_at_once_is_one_entry() -> None:
    tournament, alice = make_tournament(), make_player()
    outcomes = all_at_once(*[joins(tournament, alice)] * 6)
    entry = QueueEntry.objects.get()
    assert outcomes == [[entry]] * 6


def test_join_queue_of_several_players_in_two_tabs_and_another_order_does_not_deadlock() -> None:
    tournament, guardian = make_tournament(), make_user()
    one, two = make_player(guardian), make_player(guardian)
    for _ in range(5):
        outcomes = all_at_once(*[joins(tournament, one, two), joins(tournament, two, one)] * 2)
        entries = {entry.player: entry for entry in QueueEntry.objects.live()}
        assert outcomes == [[entries[one], entries[two]], [entries[two], entries[one]]] * 2
        for entry in entries.values():
            leaves(entry)()


def in_two_tabs_one_after_the_other(tournament: Tournament, one: Player, two: Player) -> list[object]:
    """One tab joins with one and then with two, in one transaction; between these another tab comes with both, two named first."""

    def first_tab() -> list[QueueEntry]:
        with transaction.atomic():
            entries = joins(tournament, one)()
            others.append(Actor(joins(tournament, two, one)))
            assert others[0].waits()
            return entries + joins(tournament, two)()

    others: list[Actor[list[QueueEntry]]] = []
    [outcome] = all_at_once(first_tab)
    return [outcome, *(outcome_of(other) for other in others)]


def test_join_queue_takes_players_in_one_order_whichever_was_named_first() -> None:
    tournament, guardian = make_tournament(), make_user()
    one, two = make_player(guardian), make_player(guardian)
    outcomes = in_two_tabs_one_after_the_other(tournament, one, two)
    entries = {entry.player: entry for entry in QueueEntry.objects.live()}
    assert outcomes == [[entries[one], entries[two]], [entries[two], entries[one]]]


def test_join_queue_that_takes_players_in_any_order_deadlocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "PLAYERS", joining.PLAYERS.replace("ORDER BY p.id", "ORDER BY p.id DESC"))
    tournament, guardian = make_tournament(), make_user()
    outcomes = in_two_tabs_one_after_the_other(tournament, make_player(guardian), make_player(guardian))
    assert [str(outcome) for outcome in outcomes if "deadlock detected" in str(outcome)]


def test_join_queue_while_the_old_entry_is_being_left_is_a_new_entry() -> None:
    old = make_entry(make_tournament())
    with done_but_not_committed(leaves(old)):
        again = Actor(joins(old.tournament, old.player))
        assert again.waits()
    [new] = again.result()
    assert new.number > old.number


def test_join_queue_whose_way_was_barred_by_an_entry_that_then_ended_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, insert = make_entry(make_tournament()), joining._insert

    def insert_while_another_tab_leaves(*args: Any) -> dict[int, QueueEntry]:
        inserted = insert(*args)
        if QueueEntry.objects.live().get() == old:
            Actor(leaves(old)).result()
        return inserted

    monkeypatch.setattr(joining, "_insert", insert_while_another_tab_leaves)
    [new] = joins(old.tournament, old.player)()
    assert (new.state, new.number > old.number) == (State.WAITING, True)


def test_leave_queue_in_two_tabs_is_left_once() -> None:
    entry = make_entry(make_tournament())
    with done_but_not_committed(leaves(entry)) as left:
        second = Actor(leaves(entry))
        assert second.waits()
    assert second.result().ended_at == left.ended_at


def test_take_up_offer_in_two_tabs_begins_one_checkout() -> None:
    entry = make_entry(make_tournament(fee_minor=4000), state=State.OFFERED)

    def takes_up() -> QueueEntry:
        return services.take_up_offer(account=entry.player.account, public_id=entry.public_id)

    with done_but_not_committed(takes_up) as first:
        second = Actor(takes_up)
        assert second.waits()
    again = second.result()
    assert (again.checkout_at, again.offer_expires_at) == (first.checkout_at, first.offer_expires_at)
