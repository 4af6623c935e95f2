"""Publishing, messages and lists: what organizers write that needs tournaments only."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from tests.builders import make_entry, make_group, make_organizer, make_player, make_tournament, now
from tournaments import services
from tournaments.models import Tournament
from tournaments.rules import MemberList, decoded, member_list

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft() -> Tournament:
    return make_tournament(published=False, opens_in=timedelta(days=3))


@pytest.fixture
def alice(draft: Tournament) -> User:
    return make_organizer(draft.organization)


def last_event(tournament: Tournament) -> tuple[str, dict[str, object]]:
    event = tournament.events.order_by("pk").last()  # type: ignore[attr-defined]
    return event.pgh_label, event.pgh_context


def test_publish_shows_it_and_says_who(draft: Tournament, alice: User) -> None:
    services.publish_tournament(tournament_id=draft.pk, by=alice)

    draft.refresh_from_db()
    assert draft.published_at is not None
    label, context = last_event(draft)
    assert label == "update"
    assert context["by"] == alice.pk


def test_publish_twice_keeps_the_first_time(draft: Tournament, alice: User) -> None:
    services.publish_tournament(tournament_id=draft.pk, by=alice)
    first = Tournament.objects.get().published_at
    services.publish_tournament(tournament_id=draft.pk, by=alice)

    assert Tournament.objects.get().published_at == first


def test_publish_refuses_what_has_no_seats(draft: Tournament, alice: User) -> None:
    draft.divisions.get().seats.all().delete()

    with pytest.raises(services.NotReadyError, match="Masters"):
        services.publish_tournament(tournament_id=draft.pk, by=alice)
    draft.divisions.all().delete()
    with pytest.raises(services.NotReadyError, match="no divisions"):
        services.publish_tournament(tournament_id=draft.pk, by=alice)


def test_publish_refuses_what_is_over_or_cancelled(alice: User) -> None:
    over = make_tournament(published=False, opens_in=timedelta(days=-3))
    cancelled = make_tournament(published=False, cancelled_at=now())

    with pytest.raises(services.NotReadyError, match="over"):
        services.publish_tournament(tournament_id=over.pk, by=alice)
    with pytest.raises(services.TournamentCancelledError):
        services.publish_tournament(tournament_id=cancelled.pk, by=alice)


def test_withdraw_works_until_somebody_entered(alice: User) -> None:
    empty, entered = make_tournament(), make_tournament()
    make_entry(entered)

    services.withdraw_tournament(tournament_id=empty.pk, by=alice, reason="wrong date")
    with pytest.raises(services.TakingEntriesError):
        services.withdraw_tournament(tournament_id=entered.pk, by=alice, reason="wrong date")

    empty.refresh_from_db()
    entered.refresh_from_db()
    assert empty.published_at is None
    assert entered.published_at is not None
    assert last_event(empty)[1]["reason"] == "wrong date"


def test_withdraw_is_refused_once_entries_are_sealed(alice: User) -> None:
    tournament = make_tournament(mode="LOTTERY", entries_sealed_at=now())
    with pytest.raises(services.AlreadySealedError):
        services.withdraw_tournament(tournament_id=tournament.pk, by=alice, reason="wrong date")


def test_set_message_writes_nothing_else(draft: Tournament, alice: User) -> None:
    Tournament.objects.update(venue="Westfalenhalle")

    services.set_message(tournament_id=draft.pk, message=" Doors open at nine. ", by=alice)

    draft.refresh_from_db()
    assert (draft.message, draft.venue) == ("Doors open at nine.", "Westfalenhalle")


def test_import_members_counts_new_and_known(draft: Tournament, alice: User) -> None:
    group = make_group(draft, members=(make_player(player_id="1001"),))

    done = services.import_members(group_id=group.pk, player_ids=["1001", "1002", "1002", "1003"], by=alice)

    assert done == services.Imported(added=2, known=1)
    assert list(group.members.values_list("player_id", flat=True)) == ["1001", "1002", "1003"]


def test_lists_are_closed_once_entries_are_sealed(alice: User) -> None:
    tournament = make_tournament(mode="LOTTERY", entries_sealed_at=now())
    group = make_group(tournament, members=(make_player(player_id="1001"),))

    with pytest.raises(services.ListSealedError):
        services.import_members(group_id=group.pk, player_ids=["1002"], by=alice)
    with pytest.raises(services.ListSealedError):
        services.remove_members(group_id=group.pk, player_ids=["1001"], by=alice, reason="moved")
    assert [member.player_id for member in group.members.all()] == ["1001"]


def test_remove_members_takes_off_who_is_named(draft: Tournament, alice: User) -> None:
    group = make_group(draft, members=(make_player(player_id="1001"), make_player(player_id="1002")))

    assert services.remove_members(group_id=group.pk, player_ids=["1002", "1003"], by=alice, reason="moved") == 1
    assert [member.player_id for member in group.members.all()] == ["1001"]


@pytest.mark.parametrize(
    "content",
    [
        b"1001\n1002\n",
        b"\xef\xbb\xbf1001\r\n1002\r\n",
        b"player_id\n1001\n1002",
        b"name;Player ID\r\nAsh;1001\r\nMisty;1002\r\n",
        b"1001,Ash\n\n1002,Misty\n,\n",
        b"1001\r1002\r",
        "player_id\tname\n1001\tAsh\n1002\tÄnne\n".encode("utf-16"),
        "name,player_id\nJosé,1001\nÄnne,1002\n".encode("latin-1"),
        b'"1001","Ash, of Pallet"\n1002,Misty\n1001,Ash again\n',
        b" 1001 \n1002",
    ],
)
def test_member_list_reads_what_spreadsheets_write(content: bytes) -> None:
    read = member_list(decoded(content))

    assert read == MemberList(frozenset({"1001", "1002"}), ())


def test_member_list_names_bad_lines_by_number() -> None:
    read = member_list("player_id\n1001\n12\nAsh\n\n1002x\n\u0661\u0662\u0663\u0664\n" + "9" * 500)

    assert read.player_ids == {"1001"}
    assert read.bad == ((3, "12"), (4, "Ash"), (6, "1002x"), (7, "\u0661\u0662\u0663\u0664"), (8, "9" * 40))


@given(st.binary(max_size=300))
def test_member_list_takes_any_file(content: bytes) -> None:
    read = member_list(decoded(content))

    assert all(player_id.isascii() and player_id.isdigit() for player_id in read.player_ids)


def test_member_list_of_nothing_is_empty() -> None:
    assert member_list("").player_ids == frozenset()
