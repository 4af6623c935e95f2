"""The pieces of the pages as a browser shows and moves them."""

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.template.loader import render_to_string
from django.test import Client
from django_redis import get_redis_connection
from playwright.sync_api import Page, Route, expect

from accounts.models import Player
from registrations.services import join_queue
from tests.builders import make_player, make_tournament, make_user
from tests.stage import Console, LiveSite
from tournaments.models import Tournament
from vgchub.limits import Limit, take
from vgchub.templatetags.words import moment

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]

DRAWN_BY_BOTH = """async ({html, numbers}) => {
  const { drawLine } = await import("/static/js/line.js");
  const place = document.createElement("div");
  place.innerHTML = html;
  const svg = place.querySelector("svg");
  const read = () => svg.innerHTML.replace(/>\\s+/g, ">").replace(/\\s+</g, "<").trim();
  const byServer = read();
  svg.querySelectorAll(".line__person--you").forEach((you) => you.remove()); // nobody walks
  drawLine(place.querySelector("figure"), numbers);
  return [byServer, read()];
}"""

OWN_TIME = """async (html) => {
  const { addOwnTimes } = await import(document.querySelector("script[src*=moments]").src);
  const place = document.createElement("p");
  place.innerHTML = html;
  addOwnTimes(place);
  return place.querySelector(".moment__own").textContent;
}"""

PRESS_THREE_TIMES = """async () => {
  const button = document.querySelector("#join form button");
  const begun = performance.now();
  const taken = new Promise((resolve) => {
    new MutationObserver(() => resolve(performance.now() - begun)).observe(button, { attributeFilter: ["aria-disabled"] });
  });
  button.click();
  button.click();
  const tookMs = await taken;
  await new Promise((resolve) => setTimeout(resolve, 300));
  button.click();
  return [tookMs, button.textContent];
}"""


def sign_in(page: Page, site: LiveSite, player: Player) -> None:
    def session() -> str:
        client = Client()
        client.force_login(player.account)
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": site.call(session), "url": site.url}])


def test_line_is_drawn_alike_by_the_server_and_by_the_browser(new_page: NewPage) -> None:
    page = new_page("phone")
    page.goto("/styleguide/")
    chance = random.Random(4711)  # noqa: S311  the same cases in every run
    for _ in range(60):
        waiting = chance.choice([1, 5, 16, 17, 19, 23, 250, 12_345])
        numbers = {
            "waiting": waiting,
            "position": chance.choice([1, 2, waiting, chance.randint(1, waiting)]),
            "likely": chance.choice([0, 1, waiting, chance.randint(0, waiting)]),
        }
        html = render_to_string("_line.html", {**numbers})
        by_server, by_browser = page.evaluate(DRAWN_BY_BOTH, {"html": html, "numbers": numbers})
        assert by_browser == by_server, numbers


def test_line_moves_on_by_itself(new_page: NewPage) -> None:
    page = new_page("phone")
    page.goto("/styleguide/")
    figure = page.locator("#moving-line")
    expect(figure.locator(".line__number--you")).to_have_text("47")
    figure.get_by_role("button").click()
    expect(figure.locator(".line__number--you")).to_have_text("44")
    expect(figure.locator("[data-line-count=waiting]")).to_have_text("237")


def test_press_is_taken_at_once_and_sent_once(live_site: LiveSite, new_page: NewPage) -> None:
    tournament, player = live_site.call(_open_tournament)
    page = new_page("phone")
    sign_in(page, live_site, player)
    page.goto(f"/t/{tournament.slug}/")
    sent: list[Route] = []

    def hold(route: Route) -> None:  # the server takes its time
        sent.append(route)

    page.route("**/join/", hold)
    took_ms, says = page.evaluate(PRESS_THREE_TIMES)
    assert took_ms < 1000
    assert says == "Joining…"
    assert len(sent) == 1
    sent[0].continue_()
    expect(page).to_have_url(re.compile("/queue/$"))


@pytest.mark.parametrize("javascript", [True, False])
def test_a_join_that_came_too_often_is_sent_again_by_its_page(
    live_site: LiveSite, new_page: NewPage, console: Console, javascript: bool
) -> None:
    def reach_the_limit() -> tuple[Tournament, Player]:
        tournament, player = _open_tournament()
        for _attempt in range(tournament.joins_per_player):
            take(f"join:{tournament.pk}", [Limit("player", player.pk, tournament.joins_per_player, 60)])
        return tournament, player

    def a_minute_passes() -> None:
        redis = get_redis_connection("default")
        redis.delete(*redis.keys("vgchub:limit:*"))

    console.allow("429")
    tournament, player = live_site.call(reach_the_limit)
    page = new_page("phone", javascript=javascript)
    page.clock.install()
    sign_in(page, live_site, player)
    page.goto(f"/t/{tournament.slug}/")
    page.get_by_role("button", name="Join the line").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Nothing is lost")
    if javascript:
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert Axe().run(page).response["violations"] == []
    live_site.call(a_minute_passes)
    if javascript:
        page.clock.fast_forward("01:00")
    else:
        page.get_by_role("button", name="Try again").click()
    expect(page).to_have_url(re.compile("/queue/$"), timeout=10_000)


def _open_tournament() -> tuple[Tournament, Player]:
    return make_tournament(), make_player()


def test_countdown_goes_by_the_servers_clock_and_opens_the_form(live_site: LiveSite, new_page: NewPage) -> None:
    player = live_site.call(make_player)
    page = new_page("phone")
    sign_in(page, live_site, player)
    # This phone is an hour late.
    page.add_init_script("const late = Date.now; Date.now = () => late() - 3600 * 1000;")
    tournament = live_site.call(lambda: make_tournament(opens_in=timedelta(seconds=9)))
    page.goto(f"/t/{tournament.slug}/")
    expect(page.locator(".next .countdown")).to_have_text(re.compile(r"^\d sec$"))
    join = page.get_by_role("button", name="Join the line")
    expect(join).to_be_hidden()
    expect(join).to_be_visible()
    join.click()
    expect(page).to_have_url(re.compile("/queue/$"))


def test_the_page_is_not_loaded_again_under_a_form_that_was_sent(live_site: LiveSite, new_page: NewPage) -> None:
    player = live_site.call(make_player)
    tournament = live_site.call(lambda: make_tournament(opens_in=timedelta(seconds=6)))
    page = new_page("phone")
    sign_in(page, live_site, player)
    # A second after the opening is heard of, the page would be loaded again.
    page.add_init_script("Math.random = () => 0.2;")
    page.goto(f"/t/{tournament.slug}/")

    def answer_late(route: Route) -> None:
        page.wait_for_timeout(4000)
        route.continue_()

    page.route("**/join/", answer_late)
    join = page.get_by_role("button", name="Join the line")
    expect(join).to_be_visible(timeout=20_000)
    join.click(no_wait_after=True)
    expect(page).to_have_url(re.compile("/queue/$"), timeout=20_000)


@pytest.mark.parametrize(("zone", "shown"), [("America/New_York", True), ("Europe/Rome", False)])
def test_time_of_the_reader_is_added_where_it_differs(
    live_site: LiveSite, new_page: NewPage, zone: str, shown: bool
) -> None:
    tournament = live_site.call(lambda: make_tournament(time_zone="Europe/Berlin"))
    page = new_page("phone", timezone_id=zone)
    page.goto(f"/t/{tournament.slug}/")
    expect(page.locator(".key-facts time").first).to_contain_text("(Berlin time)")
    expect(page.locator(".key-facts .moment__own")).to_have_count(1 if shown else 0)


@pytest.mark.parametrize(
    ("style", "zone", "own"),
    [
        ("full", "Europe/London", "18:05 your time"),
        ("full", "Asia/Tokyo", "Sun, Nov 29, 03:05 your time"),  # another day there
        ("time", "Europe/London", "18:05:00 your time"),
        ("time", "Asia/Tokyo", "Sun, Nov 29, 03:05:00 your time"),
    ],
)
def test_time_of_the_reader_is_as_exact_as_the_venues(new_page: NewPage, style: str, zone: str, own: str) -> None:
    page = new_page("phone", timezone_id=zone)
    page.goto("/styleguide/")
    shown = page.evaluate(OWN_TIME, moment(datetime(2026, 11, 28, 18, 5, tzinfo=UTC), "Europe/Berlin", style))
    assert shown == own


def test_public_counters_move_as_players_join(live_site: LiveSite, new_page: NewPage) -> None:
    tournament = live_site.call(lambda: make_tournament(seats=1))
    page = new_page("desktop")
    page.goto(f"/t/{tournament.slug}/")
    expect(page.locator("[data-count=waiting]")).to_have_text("0")

    def join() -> None:
        for _ in range(3):
            account = make_user()
            join_queue(account=account, tournament=tournament, player_ids=[make_player(account).pk])

    live_site.call(join)
    # The first in line is offered the seat.
    expect(page.locator("[data-count=waiting]")).to_have_text("2", timeout=10_000)
    expect(page.locator("[data-count=offered]")).to_have_text("1")
    expect(page.locator("[data-count=free]")).to_have_text("0")


@pytest.mark.parametrize("size", ["phone", "desktop"])
@pytest.mark.parametrize("colours", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}])
def test_all_pieces_are_sound_in_all_colours(
    new_page: NewPage, console: Console, size: str, colours: dict[str, str]
) -> None:
    page = new_page(size, **colours)
    page.goto("/styleguide/")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    serious = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == []
