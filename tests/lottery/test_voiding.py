"""A draw is declared void by two, until the first offer; another one takes its place."""

from datetime import timedelta

import pytest

from lottery import services
from lottery.models import Draw, DrawFile
from registrations.models import QueueEntry
from registrations.services import OrderOpenError, grant_seat, join_queue, leave_queue, offer_seats
from tests.builders import Mode, make_entry, make_player, make_staff, make_user, now
from tests.lottery.draws import drawn, open_for, opened, read, run, seal, sealed, to_draw
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db

WHY = "Somebody who had entered in time was left out."


def void(draw: Draw) -> Draw:
    """Proposed by one member of staff and confirmed by another; returns the draw that is open now."""
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason=WHY)
    after = services.void_draw(draw_id=draw.pk, by=make_staff())
    draw.refresh_from_db()
    return after


def again(draw: Draw) -> Draw:
    """Sealed by hand, drawn, and its bundle published."""
    assert services.seal_draw(draw_id=draw.pk, by=make_staff())
    return run(draw)


def places(tournament_id: int) -> dict[int, int | None]:
    return dict(QueueEntry.objects.filter(tournament=tournament_id).values_list("pk", "place"))


def test_void_draw_takes_two_and_says_who_and_why() -> None:
    draw, one, other = drawn(), make_staff(), make_staff()
    services.propose_void(draw_id=draw.pk, by=one, reason=WHY)
    draw.refresh_from_db()
    assert draw.state == "DRAWN"
    services.void_draw(draw_id=draw.pk, by=other)
    draw.refresh_from_db()
    assert (draw.state, draw.void_reason) == ("VOID", WHY)
    assert (draw.void_proposed_by, draw.void_confirmed_by) == (one, other)
    assert draw.voided_at is not None


def test_void_draw_takes_all_places_back_and_is_as_before_sealing() -> None:
    draw = drawn()
    before = read(draw, DrawFile.Name.BUNDLE)
    void(draw)
    assert set(places(draw.tournament_id).values()) == {None}
    tournament = Tournament.objects.get()
    assert (tournament.entries_sealed_at, tournament.drawn_at) == (None, None)
    assert offer_seats(tournament_id=tournament.pk) == 0
    assert read(draw, DrawFile.Name.BUNDLE) == before


def test_draw_after_a_void_one_names_it_and_waits_to_be_sealed_by_hand() -> None:
    first = drawn(entries=5)
    second = void(first)
    assert (second.state, second.number, second.supersedes) == ("OPEN", 2, first)
    assert second.commitment not in ("", first.commitment)
    assert services.due_to_seal() == []
    assert services.due_to_open() == []
    again(second)
    assert read(second, DrawFile.Name.MANIFEST)["supersedes"] == first.public_id
    assert sorted(place or 0 for place in places(first.tournament_id).values()) == [-5, -4, -3, -2, -1]
    order = [public_id for _key, public_id in read(second, DrawFile.Name.BUNDLE)["ranking"]]
    assert list(QueueEntry.objects.in_line().values_list("public_id", flat=True)) == order
    assert offer_seats(tournament_id=first.tournament_id) == 4


def test_draw_after_a_void_one_has_whom_the_first_had_left_out() -> None:
    account = make_user(verified=False)
    tournament = to_draw(entries=2)
    entry = make_entry(tournament, make_player(account))
    second = void(run(seal(open_for(tournament))))
    account.email_verified_at = now()
    account.save()
    again(second)
    assert (second.entrants, second.left_out.count()) == (3, 0)
    assert entry.pk in second.entries.values_list("entry", flat=True)


@pytest.mark.parametrize("leave_after", ["draw", "void"])
def test_draw_after_a_void_one_hands_out_the_place_of_who_has_left(leave_after: str) -> None:
    """Places are unique: what somebody who has left still held would stop the next draw for ever."""
    first = drawn(entries=3)
    middle = first.entries.get(rank=2).entry

    def leave() -> None:
        leave_queue(account=middle.player.account, public_id=middle.public_id)

    if leave_after == "draw":
        leave()
    second = void(first)
    if leave_after == "void":
        leave()
    again(second)
    assert sorted(place for place in places(first.tournament_id).values() if place) == [-2, -1]
    assert places(first.tournament_id)[middle.pk] is None


def test_void_draw_that_is_sealed_only_opens_another() -> None:
    first = sealed()
    second = void(first)
    assert (first.state, second.state) == ("VOID", "OPEN")
    assert again(second).entrants == 3


def test_void_draw_of_a_fair_start_keeps_who_came_later_behind() -> None:
    first = drawn(Mode.FAIR_START, entries=3)
    player = make_player()
    [late] = join_queue(account=player.account, tournament=first.tournament, player_ids=[player.pk])
    second = void(first)
    assert places(first.tournament_id)[late.pk] == late.number
    assert offer_seats(tournament_id=first.tournament_id) == 0
    again(second)
    assert second.entrants == 3
    assert QueueEntry.objects.in_line().last() == late


def test_draws_can_be_void_again_and_again() -> None:
    draw = drawn()
    for number in (2, 3):
        draw = again(void(draw))
        assert draw.number == number
    assert list(Draw.objects.order_by("number").values_list("state", flat=True)) == ["VOID", "VOID", "DRAWN"]


def test_void_draw_without_a_proposal_is_refused() -> None:
    with pytest.raises(services.NothingProposedError):
        services.void_draw(draw_id=drawn().pk, by=make_staff())


def test_void_draw_by_who_proposed_it_is_refused() -> None:
    draw, staff = drawn(), make_staff()
    services.propose_void(draw_id=draw.pk, by=staff, reason=WHY)
    with pytest.raises(services.NeedsAnotherPersonError):
        services.void_draw(draw_id=draw.pk, by=staff)


def test_void_draw_after_the_proposal_was_withdrawn_is_refused() -> None:
    draw = drawn()
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason=WHY)
    services.withdraw_proposal(draw_id=draw.pk, by=make_staff())
    with pytest.raises(services.NothingProposedError):
        services.void_draw(draw_id=draw.pk, by=make_staff())


def test_void_draw_by_who_is_not_of_staff_is_refused() -> None:
    draw = drawn()
    with pytest.raises(services.NotOfStaffError):
        services.propose_void(draw_id=draw.pk, by=make_user(), reason=WHY)
    with pytest.raises(services.NotOfStaffError):
        services.void_draw(draw_id=draw.pk, by=make_user())
    with pytest.raises(services.NotOfStaffError):
        services.withdraw_proposal(draw_id=draw.pk, by=make_user())


def test_void_draw_after_the_first_offer_is_refused() -> None:
    draw = drawn()
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason=WHY)
    assert offer_seats(tournament_id=draw.tournament_id)
    with pytest.raises(services.AlreadyOfferedError):
        services.void_draw(draw_id=draw.pk, by=make_staff())
    with pytest.raises(services.AlreadyOfferedError):
        services.propose_void(draw_id=draw.pk, by=make_staff(), reason=WHY)


def test_void_draw_after_an_offer_that_was_declined_is_refused() -> None:
    draw = drawn()
    entry = QueueEntry.objects.in_line()[0]
    grant_seat(public_id=entry.public_id, by=make_staff(), reason="A guest of honour.")
    leave_queue(account=entry.player.account, public_id=entry.public_id)
    with pytest.raises(services.AlreadyOfferedError):
        services.propose_void(draw_id=draw.pk, by=make_staff(), reason=WHY)


def test_no_seat_is_granted_by_hand_while_the_draw_can_be_questioned() -> None:
    drawn(objection_minutes=30)
    entry = QueueEntry.objects.in_line()[0]
    with pytest.raises(OrderOpenError):
        grant_seat(public_id=entry.public_id, by=make_staff(), reason="A guest of honour.")


def test_no_seat_is_granted_to_a_late_arrival_before_the_fair_start_is_drawn() -> None:
    tournament = to_draw(Mode.FAIR_START, entries=2)
    late = make_player()
    [entry] = join_queue(account=late.account, tournament=tournament, player_ids=[late.pk])
    assert entry.place == entry.number
    with pytest.raises(OrderOpenError):
        grant_seat(public_id=entry.public_id, by=make_staff(), reason="A guest of honour.")


def test_void_draw_that_is_open_or_void_already_is_refused() -> None:
    void_one = drawn()
    void(void_one)
    for draw in (void_one, opened()):
        with pytest.raises(services.NotSealedError):
            services.propose_void(draw_id=draw.pk, by=make_staff(), reason=WHY)


def test_void_draw_that_is_not_there_is_refused() -> None:
    with pytest.raises(services.DrawNotFoundError):
        services.propose_void(draw_id=0, by=make_staff(), reason=WHY)


def test_void_draw_ends_within_the_time_for_objections_only_with_an_offer() -> None:
    """Time alone does not: what nobody was offered a seat by can still be declared void."""
    draw = drawn(objection_minutes=1)
    long_ago = now() - timedelta(hours=5)
    Tournament.objects.update(drawn_at=long_ago, entries_sealed_at=long_ago)
    assert void(draw).state == "OPEN"
