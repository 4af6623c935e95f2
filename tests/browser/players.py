"""What players do in a browser, in words."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.models import Player, User
from registrations.models import QueueEntry
from tests.builders import PASSWORD, make_player, make_tournament, make_user, now
from tests.stage import LiveSite
from tournaments.models import Tournament

GOOD_CARD = "4242424242424242"


@dataclass
class Person:
    """A player at a browser; `javascript` says whether it has any."""

    page: Page
    player: Player
    javascript: bool = True

    def sign_in(self) -> None:
        self.page.goto("/accounts/login/")
        self.page.locator("input[name=login]").fill(self.player.account.email)
        self.page.locator("input[name=password]").fill(PASSWORD)
        self.page.locator("form:has(input[name=password]) button").first.click()
        expect(self.page.get_by_role("link", name="My entries")).to_be_visible()

    def join(self, tournament: Tournament) -> None:
        self.page.goto(f"/t/{tournament.slug}/")
        self.page.get_by_role("button", name=re.compile("^(Join the line|Enter the lottery)$")).click()
        expect(self.page).to_have_url(re.compile(rf"/t/{tournament.slug}/queue/$"))

    def sees(self, words: str, *, within: float = 30) -> None:
        """The words come up on the page: by themselves, or (without JavaScript) when it is loaded again."""
        if self.javascript:
            expect(self.page.locator("main")).to_contain_text(words, timeout=within * 1000)
            return
        for _ in range(int(within * 2)):
            if words in " ".join(self.page.locator("main").inner_text().split()):
                return
            self.page.wait_for_timeout(500)
            self.page.reload()
        expect(self.page.locator("main")).to_contain_text(words)

    def take_the_seat_and_pay(self, card: str = GOOD_CARD) -> None:
        self.page.get_by_role("button", name="Take the seat and pay").click()
        self.pay(card)

    def pay(self, card: str) -> None:
        """On Stripe's hosted page."""
        expect(self.page.get_by_role("heading", name="Pay with card")).to_be_visible()
        self.send_card(card)

    def send_card(self, card: str) -> None:
        """On Stripe's page that takes a payment, or that saves a card."""
        self.page.locator("#number").fill(card)
        self.page.locator("#expiry").fill("12 / 34")
        self.page.locator("#cvc").fill("1234" if card.startswith("3") else "123")  # Amex prints four
        self.page.locator("form:has(#number) button").click()

    def give_the_seat_back(self) -> None:
        self.page.get_by_role("link", name="Give the seat back").click()
        self.page.get_by_role("button", name="Give the seat back").click()

    def go_to_the_line(self, tournament: Tournament) -> None:
        self.page.goto(f"/t/{tournament.slug}/queue/")

    def entry(self, site: LiveSite) -> QueueEntry:
        def read() -> QueueEntry:
            return QueueEntry.objects.select_related("tournament").get(player=self.player)

        return site.call(read)


def enter(site: LiveSite, page: Page, account: User) -> None:
    """Be signed in, without the form."""

    def session() -> str:
        client = Client()
        client.force_login(account)
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": site.call(session), "url": site.url}])


def make_person(site: LiveSite, page: Page, name: str, *, javascript: bool = True) -> Person:
    """Somebody with an account and a player of that name."""

    def make() -> Player:
        account = make_user(f"{name.lower()}@players.example", password=PASSWORD)
        return make_player(account, display_name=name)

    return Person(page, site.call(make), javascript)


def make_paid_tournament(site: LiveSite, **fields: Any) -> Tournament:
    """One seat for 25 euros, refundable for a week."""

    def make() -> Tournament:
        return make_tournament(**{"seats": 1, "fee_minor": 2500, "refund_until": now() + timedelta(days=7), **fields})

    return site.call(make)
