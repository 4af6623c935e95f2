"""Two players and one seat: the whole of the site's promise, in a browser."""

import time
from collections.abc import Callable
from datetime import timedelta
from unittest.mock import patch

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Player, User
from payments.models import Payment, Refund
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import leave_queue
from tests.browser.players import Person, make_paid_tournament, make_person
from tests.builders import make_entry, make_player, now
from tests.sealing import violations_once_sealed
from tests.shared_redis import break_subscriptions
from tests.stage import LiveSite
from tournaments.models import Tournament
from vgchub import live

pytestmark = pytest.mark.browser


@pytest.fixture(params=[True, False], ids=["javascript", "no-javascript"])
def people(request: pytest.FixtureRequest, live_site: LiveSite, new_page: Callable[..., Page]) -> list[Person]:
    """Alice on a phone and bob at a desk."""
    return [
        make_person(live_site, new_page(size, javascript=request.param), name, javascript=request.param)
        for name, size in (("Alice", "phone"), ("Bob", "desktop"))
    ]


def test_one_seat_goes_to_alice_and_when_she_gives_it_back_to_bob(people: list[Person], live_site: LiveSite) -> None:
    alice, bob = people
    tournament = make_paid_tournament(live_site)

    alice.sign_in()
    alice.join(tournament)
    alice.sees("Masters, seat 1")
    bob.sign_in()
    bob.join(tournament)
    bob.sees("You are first in line for Masters.")

    alice.take_the_seat_and_pay()
    alice.sees("You're in. Masters, seat 1.")
    bob.sees("The only seat is confirmed")
    expect(bob.page.locator(".standing__number")).to_have_text("1")

    alice.go_to_the_line(tournament)
    alice.give_the_seat_back()
    alice.sees("given back")
    bob.sees("This Masters seat is yours until")
    _offered_within_seconds(live_site, alice, bob)

    bob.take_the_seat_and_pay()
    bob.sees("You're in. Masters, seat 1.")
    _money_is_right(live_site, tournament)
    assert live_site.call(violations_once_sealed) == []


def test_a_page_that_missed_its_message_sees_from_the_line_that_it_is_not_in_it(
    live_site: LiveSite, new_page: Callable[..., Page]
) -> None:
    alice = make_person(live_site, new_page("phone"), "Alice")
    tournament = make_paid_tournament(live_site, seats=0)
    alice.sign_in()
    alice.join(tournament)
    alice.sees("You are first in line for Masters.")
    live_site.call(_leave_without_a_word, entry=alice.entry(live_site))
    alice.sees("You have left the line.", within=8)


def test_a_page_that_asked_a_moment_ago_asks_once_more_though_the_line_rests(
    live_site: LiveSite, new_page: Callable[..., Page]
) -> None:
    alice = make_person(live_site, new_page("phone"), "Alice")
    tournament = make_paid_tournament(live_site, seats=0)
    entries = live_site.call(_two_in_line, alice=alice.player, tournament=tournament)
    alice.sign_in()
    alice.go_to_the_line(tournament)
    have_left = alice.page.get_by_text("You have left the line.")
    for count, entry in enumerate(entries, start=1):
        live_site.call(_leave_without_a_word, entry=entry)
        expect(have_left).to_have_count(count, timeout=8000)


def test_after_a_break_of_redis_a_page_with_an_offer_asks_what_became_of_it(
    live_site: LiveSite, new_page: Callable[..., Page]
) -> None:
    alice = make_person(live_site, new_page("phone"), "Alice")
    tournament = make_paid_tournament(live_site)
    alice.sign_in()
    alice.join(tournament)
    alice.sees("This Masters seat is yours until")
    live_site.call(_decline_unheard, entry=alice.entry(live_site), account=alice.player.account)
    alice.page.wait_for_timeout(4000)
    expect(alice.page.locator("main")).to_contain_text("This Masters seat is yours until")  # nobody told the page
    live_site.call(break_subscriptions)
    alice.sees("You have left the line.", within=10)


def _decline_unheard(entry: QueueEntry, account: User) -> None:
    """As if what sockets are told came to a Redis that was away."""
    with patch.object(live, "_publish"):
        leave_queue(account=account, public_id=entry.public_id)


def _two_in_line(alice: Player, tournament: Tournament) -> list[QueueEntry]:
    return [make_entry(tournament, player) for player in (alice, make_player(alice.account))]


def _leave_without_a_word(entry: QueueEntry) -> None:
    """No service, so that no socket is told."""
    QueueEntry.objects.filter(pk=entry.pk).update(state=State.LEFT, ended_at=now())


def _offered_within_seconds(site: LiveSite, alice: Person, bob: Person) -> None:
    ended, offered = alice.entry(site).ended_at, bob.entry(site).offered_at
    assert ended is not None
    assert offered is not None
    assert offered - ended < timedelta(seconds=10)


def _money_is_right(site: LiveSite, tournament: Tournament) -> None:
    """Bob's money is taken, alice has hers back; the last capture may take a moment."""

    def states() -> tuple[list[str], list[tuple[int, str]], list[str]]:
        payments = Payment.objects.filter(entry__tournament=tournament).order_by("pk")
        refunds = Refund.objects.filter(payment__in=payments)
        entries = QueueEntry.objects.filter(tournament=tournament).order_by("number")
        return (
            [p.state for p in payments],
            [(r.amount_minor, r.state) for r in refunds],
            [e.state for e in entries],
        )

    for _ in range(40):
        found = site.call(states)
        if found[0] == ["CAPTURED", "CAPTURED"] and found[1] and found[1][0][1] == "SUCCEEDED":
            break
        time.sleep(0.25)
    assert found == (["CAPTURED", "CAPTURED"], [(2500, "SUCCEEDED")], [State.CANCELLED, State.CONFIRMED])
