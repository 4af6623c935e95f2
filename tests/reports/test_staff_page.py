"""Staff and the tournament's own organizers see why an entry stands where it stands; nobody else does."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Player, User
from registrations import services
from registrations.models import QueueEntry
from registrations.rules import State
from reports.dossier import dossier
from tests.builders import (
    make_entry,
    make_group,
    make_organization,
    make_organizer,
    make_player,
    make_staff,
    make_tournament,
    make_user,
    now,
)
from tests.lottery.draws import open_for, run, seal, to_draw
from tournaments.models import Tournament
from vgchub import words

pytestmark = pytest.mark.django_db


def page(client: Client, entry: QueueEntry, account: User | None) -> tuple[int, str]:
    """The status and the text that somebody gets."""
    client.logout()
    if account is not None:
        client.force_login(account)
    answer = client.get(reverse("entry_staff", args=[entry.public_id]))
    return answer.status_code, answer.content.decode()


def answer(entry: QueueEntry) -> list[str]:
    return dossier(QueueEntry.objects.select_related("tournament", "division", "seat", "group").get(pk=entry.pk)).answer


def test_only_staff_and_the_own_organizers_see_it(client: Client) -> None:
    entry = make_entry(make_tournament(), make_player(display_name="Alice"))
    own, other = make_organizer(entry.tournament.organization), make_organizer(make_organization())
    for account in (make_staff(), own):
        status, text = page(client, entry, account)
        assert status == 200
        assert "Alice" in text
    for account in (other, entry.player.account, make_user()):
        status, text = page(client, entry, account)
        assert status == 404
        assert "Alice" not in text
    assert page(client, entry, None)[0] == 302


def test_an_unknown_entry_is_not_found(client: Client) -> None:
    client.force_login(make_staff())
    assert client.get(reverse("entry_staff", args=["0" * 24])).status_code == 404


def test_who_waits_is_told_the_position_and_the_seats() -> None:
    tournament = make_tournament(seats=2)
    entries = [make_entry(tournament) for _number in range(4)]
    services.offer_seats(tournament_id=tournament.pk)
    assert answer(entries[3]) == [
        "It is 2nd in line for Masters.",
        f"Offers in its lane came to place {entries[1].place}; this entry stands at {entries[3].place}, with 1 other between.",
        "Of 2 Masters seats (0 reserved) 0 are confirmed, 2 on offer, 0 free.",
    ]


def test_who_got_no_seat_reads_where_the_line_ended() -> None:
    tournament = make_tournament(seats=1)
    first, second = (make_entry(tournament) for _number in range(2))
    services.offer_seats(tournament_id=tournament.pk)
    services.confirm_entry(entry_id=first.pk)
    Tournament.objects.filter(pk=tournament.pk).update(closes_at=now(), offers_end_at=now())
    services.close_registration(tournament_id=tournament.pk)
    sentences = answer(second)
    assert sentences[:2] == ["It was 1st in line for Masters when registration ended.", "It was never offered a seat."]
    assert sentences[-1].startswith("The only Masters seat was confirmed today at ")


def test_who_could_not_be_offered_a_seat_reads_why() -> None:
    tournament = make_tournament()
    unproven = make_entry(tournament, make_player(make_user(verified=False)))
    disputed = make_entry(tournament, make_player(player_id_state=Player.IdState.DISPUTED))
    assert (
        "The account's e-mail address is not verified. Such entries keep their place and are offered nothing."
        in answer(unproven)
    )
    assert "The Player ID is disputed. Until staff decide, the entry keeps its place and is offered nothing." in answer(
        disputed
    )


def test_who_was_drawn_too_far_back_reads_the_place_against_the_seats() -> None:
    tournament = to_draw(entries=4, seats=1)
    veteran = make_player()
    veterans = make_group(tournament, members=(veteran,), reserved={"masters": 1})
    make_entry(tournament, veteran, group=veterans)
    draw = run(seal(open_for(tournament)))
    services.offer_seats(tournament_id=tournament.pk)
    hers, *others = draw.entries.order_by("entry__group", "rank")
    first, _second, _third, last = others
    assert "At the draw that was a seat reserved for its group." in answer(hers.entry)
    assert answer(first.entry)[1:3] == [
        f"Drawn {words.ordinal(first.division_rank or 0)} for 2 Masters seats.",
        "At the draw that was an open seat.",
    ]
    story = answer(last.entry)
    assert story[:3] == [
        "It is 3rd in line for Masters.",
        f"Drawn {words.ordinal(last.division_rank or 0)} for 2 Masters seats.",
        "At the draw that was 3rd on the waitlist.",
    ]
    offered = max(one.division_rank or 0 for one in (hers, first))
    if offered < (last.division_rank or 0):
        assert story[3].startswith(
            f"Offers in its lane came to place {offered}; this entry stands at {last.division_rank}, "
        )
    assert ("Place", "drawn") in dossier(last.entry).facts


def test_who_was_left_out_of_the_draw_reads_why() -> None:
    tournament = to_draw(entries=2, seats=1)
    entry = make_entry(tournament, make_player(player_id_state=Player.IdState.DISPUTED))
    run(seal(open_for(tournament)))
    services.offer_seats(tournament_id=tournament.pk)
    story = answer(entry)
    assert "It was left out of the draw: the Player ID is claimed by more than one account." in story
    assert (
        "Offers in its lane came to place 1 of the draw; this entry stands behind the draw, with 1 other between."
        in story
    )


def test_offers_come_with_what_became_of_them() -> None:
    tournament = make_tournament(seats=1)
    entry = make_entry(tournament)
    account = entry.player.account
    services.offer_seats(tournament_id=tournament.pk)
    QueueEntry.objects.filter(pk=entry.pk).update(offer_expires_at=now() - timedelta(seconds=1))
    services.lapse_offers(tournament_id=tournament.pk)
    services.step_back_in(account=account, public_id=entry.public_id)
    services.offer_seats(tournament_id=tournament.pk)
    services.confirm_entry(entry_id=entry.pk)
    services.reopen_offer(entry_id=entry.pk)
    found = dossier(QueueEntry.objects.get(pk=entry.pk))
    assert [(offer[1], offer[-1]) for offer in found.offers] == [("1", "missed"), ("1", "open")]
    assert [mail[0] for mail in found.mails].count("a seat is offered") == 2
    assert "It was offered a seat 2 times." in found.answer


def test_the_page_tells_who_did_it_through_what(client: Client) -> None:
    staff = make_staff("desk@example.org")
    entry = make_entry(make_tournament())
    services.reject_entry(public_id=entry.public_id, by=staff, reason="Twice in the line.")
    _status, text = page(client, entry, staff)
    assert "desk@example.org, reject_entry" in text
    assert "Twice in the line." in text


def test_the_admin_leads_to_it(client: Client) -> None:
    entry = make_entry(make_tournament())
    client.force_login(make_organizer(entry.tournament.organization))
    text = client.get(reverse("admin:registrations_queueentry_change", args=[entry.pk])).content.decode()
    assert f'href="{reverse("entry_staff", args=[entry.public_id])}"' in text


def test_the_page_shows_who_came_from_the_same_address(client: Client) -> None:
    tournament = make_tournament()
    entry, _other = (make_entry(tournament, address_hash="a" * 32) for _number in range(2))
    assert ("From the same address", "1 other entry") in dossier(entry).facts


def test_the_number_of_queries_is_the_same_in_a_crowd(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    def ask(entry: QueueEntry) -> int:
        entry = QueueEntry.objects.select_related("tournament", "division", "group", "seat", "player__account").get(
            pk=entry.pk
        )
        with django_assert_num_queries(16) as asked:
            dossier(entry)
        return len(asked)

    tournament = make_tournament()
    first = make_entry(tournament, state=State.PASSED)
    ask(first)
    for _number in range(5):
        make_entry(tournament)
    ask(first)
