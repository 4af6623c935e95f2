"""A lottery and a fair start as players see them: from entering to the ticket, with the page checking its own draw."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from lottery import services
from lottery.models import Draw, DrawFile
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import join_queue
from tests.browser.players import Person, make_person
from tests.builders import PASSWORD, Mode, make_group, make_player, make_tournament, make_user, now
from tests.lottery.draws import read
from tests.sealing import violations_once_sealed
from tests.stage import LiveSite
from tournaments.models import Tournament

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]


def test_a_lottery_of_forty_for_five_seats_from_entry_to_ticket(live_site: LiveSite, new_page: NewPage) -> None:
    alice = make_person(live_site, new_page("phone"), "Alice")
    tournament = live_site.call(_make_lottery, veteran=alice)

    alice.sign_in()
    alice.join(tournament)
    alice.sees("You have 2 tickets for Masters.")
    live_site.call(_enter, tournament=tournament, players=39)
    alice.page.goto(f"/t/{tournament.slug}/draw/")
    alice.sees("Chance of a seat")
    alice.go_to_the_line(tournament)

    live_site.call(_close, tournament=tournament)
    alice.sees("This Masters seat is yours until")  # the reserved one, which nobody else can take
    order = live_site.call(_drawn_order, tournament=tournament)
    assert len(order) == 40

    winner, heir = (
        _sign_in_as(live_site, new_page("desktop"), who) for who in live_site.call(_fourth_and_next, order=order)
    )
    winner.go_to_the_line(tournament)
    winner.sees("This Masters seat is yours until")
    heir.go_to_the_line(tournament)
    heir.sees("You are first in line for Masters.")
    live_site.call(_offer_runs_out, player=winner.player.pk)
    winner.sees("You missed an offer")
    heir.sees("This Masters seat is yours until")
    for person in (alice, heir):
        person.page.get_by_role("button", name="Take the seat").click()
        person.sees("You're in. Masters, seat")
        person.page.get_by_role("link", name="Show my entry").click()
        person.page.get_by_role("link", name="Show the ticket").click()
        expect(person.page.locator("main")).to_contain_text(person.player.display_name)

    _checks_itself(alice, tournament)
    assert live_site.call(violations_once_sealed) == []


def test_a_fair_start_gives_no_advantage_to_whom_comes_earlier_and_puts_later_ones_behind(
    live_site: LiveSite, new_page: NewPage
) -> None:
    alice, carol = (
        make_person(live_site, new_page(size), name) for name, size in (("Alice", "phone"), ("Carol", "desktop"))
    )
    for person in (alice, carol):
        person.sign_in()
    tournament = live_site.call(_make_fair_start)
    live_site.call(_enter, tournament=tournament, players=9)
    alice.join(tournament)
    alice.sees("the order of everyone here is drawn at random")

    live_site.call(_open, tournament=tournament)
    alice.sees("in line for Masters.")
    order = live_site.call(_drawn_order, tournament=tournament)
    assert len(order) == 10
    expect(alice.page.locator(".standing__number")).to_have_text(str(order.index(alice.entry(live_site).public_id) + 1))

    carol.join(tournament)
    carol.sees("You are 11th in line for Masters.")
    _checks_itself(alice, tournament)
    assert live_site.call(violations_once_sealed) == []


def _make_lottery(veteran: Person) -> Tournament:
    """Free, five seats, one of them reserved for a group that only the veteran is in; open for another day."""
    tournament = make_tournament(mode=Mode.LOTTERY, seats=4, opens_in=timedelta(hours=-1), entropy="COMMIT_REVEAL")
    make_group(tournament, members=(veteran.player,), reserved={"masters": 1}, tickets=2)
    services.open_draw(tournament_id=tournament.pk)
    return tournament


def _make_fair_start() -> Tournament:
    """No seat is free yet, so that the line can be looked at."""
    tournament = make_tournament(mode=Mode.FAIR_START, seats=0, opens_in=timedelta(minutes=30), entropy="COMMIT_REVEAL")
    services.open_draw(tournament_id=tournament.pk)
    return tournament


def _enter(tournament: Tournament, players: int) -> None:
    for number in range(players):
        player = make_player(make_user(password=PASSWORD), display_name=f"Player {number}")
        join_queue(account=player.account, tournament=tournament, player_ids=[player.pk])


def _close(tournament: Tournament) -> None:
    """Registration closes now; until entries are sealed its time can be moved."""
    Tournament.objects.filter(pk=tournament.pk).update(closes_at=now(), seals_at=now())


def _open(tournament: Tournament) -> None:
    """Registration opens now. What a draw uses is frozen by then, so that the draw is opened anew."""
    Tournament.objects.filter(pk=tournament.pk).update(draw_opened_at=None)
    Tournament.objects.filter(pk=tournament.pk).update(opens_at=now())


def _drawn_order(tournament: Tournament) -> list[str]:
    """The public ids in the order that was drawn, once the bundle is published."""
    for _ in range(100):
        draw = Draw.objects.get(tournament=tournament)
        if draw.state == Draw.State.DRAWN and draw.files.filter(name=DrawFile.Name.BUNDLE).exists():
            return [public_id for _key, public_id in read(draw, DrawFile.Name.BUNDLE)["ranking"]]
        time.sleep(0.1)
    raise AssertionError("no draw within ten seconds")


def _fourth_and_next(order: list[str]) -> list[QueueEntry]:
    """Who was offered the last open seat, and who comes next."""
    entries = {e.public_id: e for e in QueueEntry.objects.filter(public_id__in=order).select_related("player__account")}
    general = [entries[public_id] for public_id in order if entries[public_id].group_id is None]
    return general[3:5]


def _sign_in_as(site: LiveSite, page: Page, entry: QueueEntry) -> Person:
    person = Person(page, entry.player)
    person.sign_in()
    return person


def _offer_runs_out(player: int) -> None:
    offered = QueueEntry.objects.filter(player=player, state=State.OFFERED)
    assert offered.update(offer_expires_at=now()) == 1


def _checks_itself(person: Person, tournament: Tournament) -> None:
    """The browser computes the draw anew, from the file alone."""
    person.page.goto(f"/t/{tournament.slug}/draw/")
    person.page.get_by_role("button", name="Check this draw").click()
    person.sees("All of it holds.")
    assert person.page.locator(".checks li").count() >= 6
