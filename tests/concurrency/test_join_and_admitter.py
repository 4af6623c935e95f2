"""Who comes first is offered first, also while joins are in flight."""

import time
from collections.abc import Callable

from accounts.models import Player
from registrations import services
from registrations.models import QueueEntry
from registrations.rules import State
from reports.invariants import violations
from tests.builders import make_entry, make_player, make_tournament
from tests.concurrency.actors import PATIENCE, Actor, all_at_once, done_but_not_committed
from tournaments.models import Tournament


def joining(tournament: Tournament, player: Player) -> Callable[[], list[QueueEntry]]:
    return lambda: services.join_queue(account=player.account, tournament=tournament, player_ids=[player.pk])


def admitting(tournament: Tournament) -> Callable[[], int]:
    return lambda: services.offer_seats(tournament_id=tournament.pk)


def offered_player(tournament: Tournament) -> Player:
    return QueueEntry.objects.get(tournament=tournament, state=State.OFFERED).player


def bob_overtakes_alice(tournament: Tournament) -> bool:
    """Alice has her number but is not committed; Bob, after her, is; the admitter comes with one seat. Who is offered it?"""
    alice, bob = make_player(), make_player()
    with done_but_not_committed(joining(tournament, alice)) as [first]:
        [second] = joining(tournament, bob)()
        assert first.number < second.number
        admitter = Actor(admitting(tournament))
        admitter.waits()
    assert admitter.result() == 1
    return offered_player(tournament) == bob


def test_offer_seats_waits_for_an_earlier_join_that_is_in_flight() -> None:
    assert not bob_overtakes_alice(make_tournament(seats=1))


def test_offer_seats_without_its_lock_lets_a_later_join_overtake(without_row_lock: None) -> None:
    assert bob_overtakes_alice(make_tournament(seats=1))


def test_join_queue_without_its_lock_lets_a_later_join_overtake(without_shared_lock: None) -> None:
    assert bob_overtakes_alice(make_tournament(seats=1))
    assert [sentence.split(":")[0] for sentence in violations()] == ["I8"]


def test_join_queue_waits_for_an_admitter_and_comes_after_those_it_saw() -> None:
    tournament, alice, bob = make_tournament(seats=1), make_player(), make_player()
    joining(tournament, alice)()
    with done_but_not_committed(admitting(tournament)) as offered:
        assert offered == 1
        late = Actor(joining(tournament, bob))
        assert late.waits()
    [entry] = late.result()
    assert (offered_player(tournament), entry.state) == (alice, State.WAITING)


def test_join_queue_never_waits_for_another_join() -> None:
    tournament, alice, bob = make_tournament(), make_player(), make_player()
    with done_but_not_committed(joining(tournament, alice)):
        late = Actor(joining(tournament, bob))
        assert not late.waits()
        assert len(late.result()) == 1


def step_back(entry: QueueEntry) -> Callable[[], QueueEntry]:
    return lambda: services.step_back_in(account=entry.player.account, public_id=entry.public_id)


def later_one_is_offered_the_seat_of_who_steps_back_in(tournament: Tournament) -> bool:
    passed, later = make_entry(tournament, state=State.PASSED), make_entry(tournament)
    with done_but_not_committed(step_back(passed)):
        admitter = Actor(admitting(tournament))
        admitter.waits()
    assert admitter.result() == 1
    return offered_player(tournament) == later.player


def test_offer_seats_waits_for_who_is_stepping_back_in() -> None:
    assert not later_one_is_offered_the_seat_of_who_steps_back_in(make_tournament(seats=1))


def test_step_back_in_without_its_lock_is_overlooked(without_shared_lock: None) -> None:
    assert later_one_is_offered_the_seat_of_who_steps_back_in(make_tournament(seats=1))
    assert [sentence.split(":")[0] for sentence in violations()] == ["I8"]


def test_a_rush_of_joins_is_offered_seats_in_the_order_of_arrival() -> None:
    """Four people press the button as fast as they can for 15 players each, while two admitters give out the seats."""
    tournament = make_tournament(seats=60, offers_per_minute=100_000)

    def join_all(players: list[Player]) -> Callable[[], int]:
        return lambda: sum(len(joining(tournament, player)()) for player in players)

    def admit_all() -> int:
        give_up = time.monotonic() + PATIENCE
        while QueueEntry.objects.filter(state=State.OFFERED).count() < 60:
            services.offer_seats(tournament_id=tournament.pk)
            assert time.monotonic() < give_up
        return 0

    lines = [join_all([make_player() for _ in range(15)]) for _ in range(4)]
    assert all_at_once(*lines, admit_all, admit_all) == [15, 15, 15, 15, 0, 0]
    by_offer = QueueEntry.objects.order_by("offer_number").values_list("number", flat=True)
    assert list(by_offer) == sorted(by_offer)
