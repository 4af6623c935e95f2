"""The page of a draw in a browser: what is drawn comes up by itself, and the browser checks it."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from accounts.models import User
from lottery.models import Draw
from tests.builders import make_entry
from tests.lottery.draws import drawn, open_for, to_draw
from tests.lottery.relay import CHAIN_INFO, Relay
from tests.stage import Console, LiveSite

pytestmark = pytest.mark.browser

SOON = timedelta(days=-2, seconds=20)  # opened so long ago, a tournament of two days closes once its page is open


def sign_in(page: Page, site: LiveSite, account: User) -> None:
    def session() -> str:
        client = Client()
        client.force_login(account)
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    page.context.add_cookies([{"name": "sessionid", "value": site.call(session), "url": site.url}])


def finished(**settings: Any) -> Draw:
    """A draw that nobody sees before it is drawn: the running site would be faster."""
    with transaction.atomic():
        return drawn(**settings)


def test_the_result_comes_up_by_itself_and_the_browser_checks_it(live_site: LiveSite, page: Page) -> None:
    def make() -> tuple[str, User, str]:
        tournament = to_draw(entries=11, seats=3, opens_in=SOON)
        entry = make_entry(tournament)
        return open_for(tournament).get_absolute_url(), entry.player.account, entry.public_id

    url, account, own_id = live_site.call(make)
    sign_in(page, live_site, account)
    page.goto(url)
    expect(page.get_by_text("Not drawn yet")).to_be_visible()
    expect(page.get_by_text("12 entries were put in order.")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Check this draw").click(timeout=40_000)
    expect(page.locator(".check__words")).to_have_text("All of it holds.")
    expect(page.locator(".checks li")).to_have_count(8)
    expect(page.locator('.checks li:not([data-outcome="holds"])')).to_have_count(0)
    expect(page.locator(".check__own")).to_contain_text(f"Computed for your entry {own_id}: place ")
    place = page.locator(".mine dd").first.inner_text().strip()
    expect(page.locator(".check__own")).to_contain_text(f"place {place} in the division")


def test_the_live_page_learns_its_place_when_the_order_is_drawn(
    live_site: LiveSite, new_page: Callable[..., Page]
) -> None:
    def make() -> tuple[str, User]:
        tournament = to_draw(entries=5, seats=2, opens_in=SOON, objection_minutes=30)
        entry = make_entry(tournament)
        open_for(tournament)
        return f"/t/{tournament.slug}/queue/", entry.player.account

    url, account = live_site.call(make)
    page = new_page("phone")
    sign_in(page, live_site, account)
    page.goto(url)
    sentence = page.locator(".state-sentence__text")
    expect(sentence).to_contain_text("You have 1 ticket for Masters.")
    expect(sentence).to_contain_text("for 2 Masters seats. Offers start ", timeout=60_000)
    number = page.locator("[data-position]").inner_text()
    expect(sentence).to_contain_text(f"You drew place {number} for")
    page.wait_for_timeout(2500)  # the line is published meanwhile, and must not take the sentence away
    expect(sentence).to_contain_text(f"You drew place {number} for")


@pytest.mark.parametrize("kind", ["draw.sealed", "draw.drawn", "draw.voided"])
def test_live_pages_ask_what_became_of_a_draw_spread_over_forty_seconds(
    live_site: LiveSite, new_page: Callable[..., Page], kind: str
) -> None:
    def make() -> tuple[str, User]:
        entry = make_entry(to_draw(entries=0, opens_in=timedelta(hours=-1)))
        return f"/t/{entry.tournament.slug}/queue/", entry.player.account

    url, account = live_site.call(make)
    page = new_page("phone")
    sign_in(page, live_site, account)
    sockets: list[WebSocketRoute] = []
    asked: list[str] = []
    page.route_web_socket(re.compile("/live/"), lambda socket: sockets.append(socket))  # noqa: PLW0108  it takes no builtin
    page.on("request", lambda request: asked.append(request.url) if "hx-request" in request.headers else None)
    page.clock.install()
    page.add_init_script("Math.random = () => 0.5")  # this page is in the middle of all
    page.goto(url)
    page.wait_for_function("window.htmx")
    page.clock.run_for(1000)
    for told in (kind, "draw.bundled"):
        sockets[0].send(json.dumps({"kind": told, "draw": ""}))
    page.wait_for_timeout(500)

    page.clock.run_for(15_000)
    assert asked == []
    with page.expect_request(lambda request: "hx-request" in request.headers):
        page.clock.run_for(10_000)


def test_a_file_that_was_tampered_with_is_named_field_by_field(
    live_site: LiveSite, new_page: Callable[..., Page]
) -> None:
    draw = live_site.call(lambda: finished(entries=4))
    page = new_page("phone")

    def tamper(route: Route) -> None:
        body = route.fetch().text()
        route.fulfill(body=body.replace(draw.seed, "0" * 64), content_type="application/json")

    page.route("**/bundle.json", tamper)
    page.goto(draw.get_absolute_url())
    page.get_by_role("button", name="Check this draw").click()
    expect(page.locator(".check__words")).to_contain_text("This file does not hold.")
    expect(page.locator('.checks li[data-outcome="fails"]')).to_have_attribute("data-field", "seed")
    expect(page.locator('.checks li[data-outcome="fails"]')).to_contain_text("0" * 64)


def test_the_sound_file_of_another_draw_does_not_pass(live_site: LiveSite, new_page: Callable[..., Page]) -> None:
    def make() -> tuple[Draw, Draw]:
        return finished(entries=4), finished(entries=3)

    draw, other = live_site.call(make)
    page = new_page("phone")
    page.route("**/bundle.json", lambda route: route.fulfill(response=route.fetch(url=_bundle(live_site, other))))
    page.goto(draw.get_absolute_url())
    page.get_by_role("button", name="Check this draw").click()
    expect(page.locator('.checks li[data-outcome="fails"]')).to_have_attribute("data-field", "page")


def test_the_page_hands_the_key_of_another_chain_to_the_browser(
    live_site: LiveSite, new_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Relay() as relay:
        monkeypatch.setattr(settings, "DRAND_CHAIN", CHAIN_INFO)
        monkeypatch.setattr(settings, "DRAND_RELAYS", [relay.url])
        draw = live_site.call(lambda: finished(entries=4, entropy="DRAND"))

    def tell(route: Route) -> None:
        # The running site is another process, and knows quicknet only.
        told, slots = re.subn(
            r'(<script id="check-chains"[^>]*>)\[\]', rf"\1{json.dumps([CHAIN_INFO])}", route.fetch().text()
        )
        assert slots == 1
        route.fulfill(body=told, content_type="text/html")

    page = new_page("phone")
    signature = page.locator('.checks li[data-field="signature"]')
    for outcome in ("unknown", "holds"):
        page.goto(draw.get_absolute_url())
        page.get_by_role("button", name="Check this draw").click()
        expect(signature).to_have_attribute("data-outcome", outcome)
        page.route(f"**{draw.get_absolute_url()}", tell)
    expect(page.locator(".check__words")).to_have_text("All of it holds.")


def _bundle(site: LiveSite, draw: Draw) -> str:
    return f"{site.url}{draw.get_absolute_url()}bundle.json"


def test_without_a_connection_the_check_says_so(
    live_site: LiveSite, new_page: Callable[..., Page], console: Console
) -> None:
    console.allow("Failed to load resource")
    draw = live_site.call(lambda: finished(entries=4))
    page = new_page("phone")
    page.route("**/bundle.json", lambda route: route.abort())
    page.goto(draw.get_absolute_url())
    page.get_by_role("button", name="Check this draw").click()
    expect(page.locator(".check__words")).to_contain_text("could not be downloaded")


def test_without_javascript_the_page_says_the_same_and_names_the_command(
    live_site: LiveSite, new_page: Callable[..., Page]
) -> None:
    draw = live_site.call(lambda: finished(entries=4, seats=1))
    page = new_page("phone", javascript=False)
    page.goto(draw.get_absolute_url())
    expect(page.locator(".table--draw tbody tr")).to_have_count(4)
    expect(page.get_by_text("Check this draw")).to_be_hidden()
    expect(page.get_by_text("python verify_draw.py")).to_be_visible()
