"""Every test card in a browser, paid with and put on file: each ends as it is documented, in words that help."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from payments.models import Dispute, Payment, SavedCard
from registrations.models import QueueEntry
from registrations.rules import State
from simulator.cards import CARDS, TestCard
from simulator.declines import UNAUTHENTICATED, Decline
from tests.browser.players import Person, enter, make_paid_tournament
from tests.builders import make_entry
from tests.payments.cards import make_lottery
from tests.sealing import violations_once_sealed
from tests.stage import Console, LiveSite
from tournaments.models import Tournament

pytestmark = pytest.mark.browser

SECURE = next(card for card in CARDS if card.secure == "unless_set_up" and card.declined_when_charged is None)


def somebody(site: LiveSite, page: Page, tournament: Tournament, state: State) -> Person:
    """A new player at this browser, whose entry stands so."""
    entry = site.call(lambda: make_entry(tournament, state=state))
    enter(site, page, entry.player.account)
    person = Person(page, entry.player)
    person.go_to_the_line(tournament)
    return person


def at_the_bank(page: Page, card: TestCard, *, passes: bool = True) -> None:
    if card.asks_when_saved:
        page.get_by_role("button", name=f"{'Complete' if passes else 'Fail'} authentication").click()


def known(site: LiveSite, person: Person) -> Payment:
    """The payment, once Stripe has told the site what became of the card."""
    ends = time.monotonic() + 30
    while True:
        payment = site.call(lambda: Payment.objects.get(entry__player=person.player))
        if payment.failure_code or payment.state == "CAPTURED":
            return payment
        assert time.monotonic() < ends, f"{payment} is not known"
        time.sleep(0.1)


def is_refused(site: LiveSite, person: Person, problem: Decline) -> None:
    """Stripe's page says why; back at the site the seat is held, and another card is welcome."""
    expect(person.page.get_by_role("alert")).to_contain_text(problem.message)
    assert known(site, person).failure_code == (problem.decline_code or problem.code)
    person.page.get_by_role("link", name="Cancel and go back").click()
    person.sees(f"Your card was refused: {problem.message} You can try again, also with another card.")
    expect(person.page.get_by_role("button", name="Go on paying")).to_be_visible()


def test_paying_with_each_test_card(live_site: LiveSite, new_page: Callable[..., Page], console: Console) -> None:
    console.allow("402")
    page, tournament = new_page("phone"), make_paid_tournament(live_site, seats=len(CARDS) + 1)
    for card in CARDS:
        person = somebody(live_site, page, tournament, State.OFFERED)
        person.take_the_seat_and_pay(card.number)
        at_the_bank(page, card)
        if card.declined_when_charged:
            is_refused(live_site, person, card.declined_when_charged)
        else:
            person.sees("You're in.")
            assert known(live_site, person).risk_level == card.risk
    person = somebody(live_site, page, tournament, State.OFFERED)
    person.take_the_seat_and_pay(SECURE.number)
    at_the_bank(page, SECURE, passes=False)
    is_refused(live_site, person, UNAUTHENTICATED)

    in_charge = [card for card in CARDS if not card.declined_when_charged]
    assert live_site.call(QueueEntry.objects.filter(state=State.CONFIRMED).count) == len(in_charge)
    assert live_site.call(Dispute.objects.count) == sum(bool(card.dispute) for card in in_charge)
    assert live_site.call(violations_once_sealed) == []


def test_putting_each_test_card_on_file(live_site: LiveSite, new_page: Callable[..., Page], console: Console) -> None:
    console.allow("402")
    page, lottery = new_page("phone"), live_site.call(lambda: make_lottery(drawn=False))
    for card in CARDS:
        person = somebody(live_site, page, lottery, State.WAITING)
        page.get_by_role("button", name="Put a card on file").click()
        expect(page.get_by_role("heading", name="Your card")).to_be_visible()
        person.send_card(card.number)
        at_the_bank(page, card)
        if card.decline:
            expect(page.get_by_role("alert")).to_contain_text(card.decline.message)
            page.get_by_role("link", name="Cancel and go back").click()
            person.sees("No card is on file yet.")
            person.sees("If you came back without, your entry stands all the same.")
        else:
            person.sees("Your card is on file. Nothing was charged.")
    saved = [card.number[-4:] for card in CARDS if card.decline is None]
    assert live_site.call(lambda: sorted(SavedCard.objects.filter(state="SAVED").values_list("last4", flat=True))) == (
        sorted(saved)
    )
    assert live_site.call(violations_once_sealed) == []
