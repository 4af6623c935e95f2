"""An organizer makes a tournament by clicking, and finds the way about on a phone."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from playwright.sync_api import Page, expect

from lottery.models import Draw
from lottery.services import propose_void
from registrations.rules import State
from tests.builders import (
    PASSWORD,
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
from tests.stage import LiveSite
from tournaments.models import Organization, Seat, Tournament

pytestmark = pytest.mark.browser

EMAIL = "olga@organizers.example"


def _olga() -> None:
    make_organizer(make_organization("Rhein League"), make_user(EMAIL, password=PASSWORD))


def _sign_in(page: Page) -> None:
    """From the admin, which sends to the site's own sign-in and back."""
    page.goto("/admin/")
    page.locator("input[name=login]").fill(EMAIL)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("form:has(input[name=password]) button").first.click()
    expect(page.get_by_role("heading", name="What is going on")).to_be_visible()


def _at(days: int) -> str:
    return (now() + timedelta(days=days)).strftime("%Y-%m-%dT20:00")


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_organizer_makes_and_publishes_a_tournament(
    live_site: LiveSite, new_page: Callable[..., Page], size: str
) -> None:
    live_site.call(_olga)
    page = new_page(size)
    _sign_in(page)

    page.get_by_role("link", name="New tournament").click()
    page.locator("#id_name").press_sequentially("Rhein Cup")
    expect(page.locator("#id_slug")).to_have_value("rhein-cup")
    _choose_how_seats_are_given_out(page)
    typed = {"venue": "Hall 3", "city": "Dortmund", "country": "DE", "time_zone": "Europe/Berlin"}
    times = {"opens_at": 7, "closes_at": 6, "offers_end_at": 20, "starts_at": 30, "ends_at": 31}
    for name, value in {**typed, **{name: _at(days) for name, days in times.items()}}.items():
        page.locator(f"#id_{name}").fill(value)
    page.locator("#id_divisions-2-seat_number").fill("64")
    page.get_by_text("Add another Priority group").click()
    page.locator("#id_groups-0-name").fill("Veterans")
    page.locator("#id_groups-0-reserved_masters").fill("10")
    page.get_by_role("button", name="Save and continue editing").click()

    expect(page.get_by_text("Registration has to close after it opens.")).to_be_visible()
    page.locator("#id_closes_at").fill(_at(14))
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert live_site.call(_seats) == {None: 54, "Veterans": 10}

    page.goto(page.url.replace("/change/", "/publish/"))
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Published. Everybody can see it now.")).to_be_visible()
    page.goto("/t/rhein-cup/")
    expect(page.get_by_role("heading", name="Rhein Cup")).to_be_visible()


def _choose_how_seats_are_given_out(page: Page) -> None:
    """Each way shows what belongs to it; first come says what it rewards."""
    warning, room, sealing = page.get_by_text("rewards bots"), page.locator("#id_prequeue_opens_at"), "#id_seals_at"
    expect(warning).to_be_hidden()
    page.get_by_text("First come, first served: in order").click()
    expect(warning).to_be_visible()
    expect(room).to_be_hidden()
    page.get_by_text("Lottery: everybody enters").click()
    expect(page.locator(sealing)).to_be_visible()
    page.get_by_text("Fair start (suggested)").click()
    expect(room).to_be_visible()


def _seats() -> dict[str | None, int]:
    names = list(Seat.objects.values_list("reserved_for__name", flat=True))
    return {name: names.count(name) for name in set(names)}


def _everything() -> list[str]:
    """Addresses of the admin's pages, with rows on all of them."""
    organization = make_organization("Rhein League")
    make_organizer(organization, make_user(EMAIL, password=PASSWORD))
    tournament = make_tournament(organization=organization, mode="FIRST_COME", divisions=("masters", "senior"))
    draft = make_tournament(organization=organization, published=False, opens_in=timedelta(days=3))
    group = make_group(draft, members=(make_player(),))
    entry = make_entry(tournament, state=State.CONFIRMED)
    draw = _drawn(organization)
    lottery = make_tournament(organization=organization, mode="LOTTERY", opens_in=timedelta(days=3))
    make_group(lottery, reserved={"masters": 2}, tickets=3)
    running, planned = (f"tournaments/tournament/{row.pk}" for row in (tournament, draft))
    pages = [
        "",
        "tournaments/tournament/",
        "tournaments/tournament/add/",
        *(f"{running}/{page}/" for page in ("change", "history", "seats", "message", "pause", "extend", "cancel")),
        *(f"{planned}/{page}/" for page in ("change", "publish")),
        "tournaments/prioritygroup/",
        *(f"tournaments/prioritygroup/{group.pk}/{page}/" for page in ("change", "import")),
        "tournaments/prioritymember/",
        "registrations/queueentry/",
        f"registrations/queueentry/{entry.pk}/change/",
        "registrations/queueentry/export/",
        "registrations/notice/",
        f"tournaments/tournament/{lottery.pk}/try-rules/",
        f"tournaments/tournament/{lottery.pk}/try-rules/?players_masters_all=2000000",
        "lottery/draw/",
        *(f"lottery/draw/{draw.pk}/{page}/" for page in ("change", "history", "seal")),
        "payments/payment/",
        "payments/refund/",
        f"tournaments/organization/{organization.pk}/change/",
    ]
    return [f"/admin/{page}" for page in pages]


def _drawn(organization: Organization) -> Draw:
    """A draw with a proposal to declare it void, and somebody who was left out."""
    with transaction.atomic():  # or the site's own worker seals it first
        tournament = to_draw(organization=organization, objection_minutes=30)
        make_entry(tournament, make_player(make_user(verified=False)))
        draw = run(seal(open_for(tournament)))
    return propose_void(draw_id=draw.pk, by=make_staff(), reason="An entry was missing.")


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_admin_pages_are_sound(live_site: LiveSite, new_page: Callable[..., Page], console: Any, size: str) -> None:
    paths = live_site.call(_everything)
    page = new_page(size)
    _sign_in(page)
    problems = []
    for path in paths:
        answer = page.goto(path)
        assert answer is not None
        if answer.status != 200:
            problems.append(f"{path}: {answer.status}")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            problems.append(f"{path}: scrolls sideways by {wide} px")
        found = Axe().run(page).response["violations"]
        problems += [f"{path}: axe {one['id']}" for one in found if one["impact"] in ("serious", "critical")]
    assert problems == []


def test_old_tab_of_the_page_saves_only_what_was_typed(live_site: LiveSite, new_page: Callable[..., Page]) -> None:
    paths = live_site.call(_everything)
    page = new_page("desktop")
    _sign_in(page)
    path = next(path for path in paths if "/tournament/" in path and path.endswith("/change/"))
    pk = int(path.split("/")[-3])
    page.goto(path)
    live_site.call(_pause_and_move, pk=pk)

    page.locator("#id_city").fill("Essen")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()

    saved = live_site.call(Tournament.objects.get, pk=pk)
    assert (saved.city, saved.venue) == ("Essen", "Hall 9")


def _pause_and_move(pk: int) -> None:
    Tournament.objects.filter(pk=pk).update(paused_at=now(), venue="Hall 9")
