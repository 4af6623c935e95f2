"""Every page a player sees: nothing serious for axe, nothing scrolls sideways on a phone, the console stays empty."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.db import transaction
from django.test import Client
from playwright.sync_api import Page

from accounts.models import Player
from lottery import services
from lottery.models import Draw
from payments.rules import State as Paid
from registrations.rules import State
from tests.builders import make_entry, make_group, make_player, make_staff, make_tournament, make_user
from tests.lottery import draws
from tests.payments.rows import make_payment
from tests.stage import LiveSite
from tournaments.models import Tournament

pytestmark = pytest.mark.browser

NOT_OURS = {"api"}  # Swagger's own page: it has to work without a word in the console
SHOTS = os.environ.get("SCREENSHOTS")  # a folder: then every page is kept there as a picture


@pytest.fixture
def pages(live_site: LiveSite) -> dict[str, Any]:
    """Addresses by name, and the session of a player with an entry in every state."""
    return live_site.call(_make_pages)


def _make_pages() -> dict[str, Any]:
    account = make_user("alice@players.example")
    player = make_player(account, display_name="Alice")
    paths = {
        "home": "/",
        "api": "/api/v1/docs/",
        "sign-in": "/accounts/login/",
        "sign-up": "/accounts/signup/",
        "code": "/accounts/login/code/",
        "reset": "/accounts/password/reset/",
        "not-found": "/no-such-page/",
        "entries": "/entries/",
        "account": "/account/",
    }
    for state in (State.WAITING, State.OFFERED, State.CONFIRMED, State.PASSED, State.LAPSED, State.LEFT, State.CLOSED):
        tournament = make_tournament(seats=2, fee_minor=2500, name=f"Cup of those who are {state.lower()}")
        if state == State.WAITING:
            _crowd(tournament)
        entry = make_entry(tournament, player, state=state)
        if state in (State.WAITING, State.OFFERED, State.PASSED):
            paths[f"leave-{state.lower()}"] = f"/e/{entry.public_id}/leave/"
        paths[f"queue-{state.lower()}"] = f"/t/{tournament.slug}/queue/"
        paths[f"tournament-{state.lower()}"] = f"/t/{tournament.slug}/"
        if state == State.CONFIRMED:
            paths |= {name: f"/e/{entry.public_id}/{name}/" for name in ("ticket", "cancel")}
            paths["entry"] = f"/e/{entry.public_id}/"
            make_payment(Paid.CAPTURED, entry=entry, method="card", card_brand="visa", card_last4="4242")
            paths["receipt"] = f"/e/{entry.public_id}/receipt/"
    lottery = make_tournament(mode="LOTTERY")
    entered = make_entry(lottery, player)
    paths["queue-lottery"] = f"/t/{lottery.slug}/queue/"
    paths["leave-lottery"] = f"/e/{entered.public_id}/leave/"
    paths |= _draws(player)
    client = Client()
    client.force_login(account)
    return {"paths": paths, "session": client.cookies[settings.SESSION_COOKIE_NAME].value}


def _draws(player: Player) -> dict[str, str]:
    """The page of a draw in each of its states, and the live page beside it."""
    paths = {}
    makes: dict[str, tuple[Callable[[Draw], Draw], dict[str, Any]]] = {
        "open": (lambda draw: draw, {"opens_in": timedelta(days=-1)}),
        "sealed": (draws.seal, {"entropy": "DRAND", "objection_minutes": 30}),
        "drawn": (lambda draw: draws.run(draws.seal(draw)), {"objection_minutes": 30}),
        "void": (_voided, {}),
    }
    for state, (make, rules) in makes.items():
        # Not to be seen before it is as the test wants it: the running site seals and draws what is due.
        with transaction.atomic():
            tournament = draws.to_draw(entries=60, seats=4, name=f"Lottery that is {state}", **rules)
            make_entry(
                tournament, player, group=make_group(tournament, members=(player,), tickets=3, reserved={"masters": 2})
            )
            make_entry(tournament, make_player(make_user(verified=False)))
            draw = make(draws.open_for(tournament))
        paths[f"draw-{state}"] = draw.get_absolute_url()
        paths[f"queue-of-draw-{state}"] = f"/t/{tournament.slug}/queue/"
    return paths


def _voided(draw: Draw) -> Draw:
    draw = draws.run(draws.seal(draw))
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason="A player was left out by mistake.")
    services.void_draw(draw_id=draw.pk, by=make_staff())
    draw.refresh_from_db()
    return draw


def _crowd(tournament: Tournament) -> None:
    for state in [State.CONFIRMED, State.OFFERED] + [State.WAITING] * 25:
        make_entry(tournament, state=state)


@pytest.mark.parametrize("size", ["phone", "desktop"])
@pytest.mark.parametrize("signed_in", [False, True], ids=["nobody", "player"])
def test_pages_are_sound(
    pages: dict[str, Any], live_site: LiveSite, new_page: Callable[..., Page], console: Any, size: str, signed_in: bool
) -> None:
    console.allow("404")
    page = new_page(size)
    if signed_in:
        page.context.add_cookies([{"name": "sessionid", "value": pages["session"], "url": live_site.url}])
    problems = []
    for name, path in pages["paths"].items():
        page.goto(path)
        page.wait_for_load_state()
        if name not in NOT_OURS:
            problems += [f"{name}: {problem}" for problem in _problems(page)]
        if SHOTS:
            page.screenshot(
                path=Path(SHOTS) / f"{name}-{size}-{'player' if signed_in else 'nobody'}.png", full_page=True
            )
    assert problems == []


def _problems(page: Page) -> list[str]:
    found = []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        found.append(f"scrolls sideways by {wide} px")
    for violation in Axe().run(page).response["violations"]:
        if violation["impact"] in ("serious", "critical"):
            where = ", ".join(
                node["target"][0] if isinstance(node["target"][0], str) else "?" for node in violation["nodes"]
            )
            found.append(f"axe {violation['id']}: {where}")
    return found
