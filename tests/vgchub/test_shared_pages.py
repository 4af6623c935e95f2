"""Public pages that everybody shares: what is shared, with whom, and that nothing of anybody's own ever is."""

import gzip
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as site
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse
from pytest_django import DjangoAssertNumQueries, Settings

from registrations.rules import State
from tests.builders import Mode, make_entry, make_organization, make_organizer, make_player, make_tournament, now
from tests.lottery import draws
from tests.test_access import named
from tournaments import views as tournaments
from tournaments.models import Tournament
from vgchub import shared_pages
from vgchub.shared_pages import EVERYBODYS, ONES_OWN, SharedPagesMiddleware
from vgchub.shelf import Shelf

pytestmark = pytest.mark.django_db

SHARED = {"home", "tournaments", "tournament", "draw", "terms", "api_tournaments", "api_tournament"}


@pytest.fixture
def shelf(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """An empty one, on which everything stays fresh."""
    settings.SHELF_SECONDS = 3600.0
    empty = Shelf()
    monkeypatch.setattr(shared_pages, "shelf", empty)
    monkeypatch.setattr(tournaments, "shelf", empty)
    return empty


@pytest.fixture
def forget(shelf: Shelf) -> Callable[[], None]:
    """A second goes by: everything is made anew."""

    def forget() -> None:
        shelf._places.clear()
        cache.clear()

    return forget


def test_these_addresses_are_shared_and_no_others() -> None:
    views = {pattern.name: pattern.callback for pattern in _patterns(get_resolver().url_patterns)}
    assert {name for name, view in views.items() if getattr(view, "is_shared", False)} == SHARED
    assert set(named(get_resolver().url_patterns)) >= SHARED


def _patterns(found: list[Any]) -> Iterator[Any]:
    for one in found:
        if hasattr(one, "url_patterns"):
            yield from _patterns(one.url_patterns)
        else:
            yield one


@pytest.fixture
def addresses() -> dict[str, str]:
    """Every shared address, with something to see there; Alice and Bob have entries in all of it."""
    draw = draws.drawn()
    opened = make_tournament(mode=Mode.FAIR_START)
    of = {"tournament": opened.slug, "api_tournament": opened.slug, "draw": draw.public_id}
    return {name: reverse(name, args=[of[name]] if name in of else []) for name in SHARED}


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("first", ["alice", "bob", "nobody"])
def test_nobody_sees_anything_of_anybody_else(addresses: dict[str, str], first: str) -> None:
    people = {name: make_player(display_name=f"Player {name}") for name in ("alice", "bob")}
    clients = {"alice": Client(), "bob": Client(), "nobody": Client()}
    for tournament in Tournament.objects.exclude(mode=Mode.LOTTERY):
        make_entry(tournament, people["alice"], state=State.OFFERED)
    for name, player in people.items():
        clients[name].force_login(player.account)
    seen = 0
    for address in addresses.values():
        for asking in (first, *clients, *clients):
            response = clients[asking].get(address)
            page = response.content.decode()
            assert response.status_code == 200
            for name, player in people.items():
                own = any(text in page for text in (player.display_name, player.account.email))
                assert not own or name == asking, f"{asking} sees {name} at {address}"
                seen += own
            if asking == "nobody":
                assert not response.cookies
                assert "csrfmiddlewaretoken" not in page
                assert response["Cache-Control"] == EVERYBODYS
            elif not address.startswith("/api/"):
                assert response["Cache-Control"] == ONES_OWN
                assert "Cookie" in response["Vary"]
    assert seen > 8  # what is theirs, they do see


@pytest.mark.usefixtures("shelf")
def test_second_answer_costs_no_query(
    client: Client, addresses: dict[str, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for address in addresses.values():
        first = client.get(address)
        with django_assert_num_queries(0):
            second = client.get(address)
        assert first.content == second.content
        assert first.headers.keys() == second.headers.keys()
        assert second["Content-Security-Policy"]
        assert second["X-Frame-Options"] == "DENY"
        assert second["X-Content-Type-Options"] == "nosniff"


def test_part_of_everybodys_is_made_once_for_those_who_are_signed_in(
    client: Client, shelf: Shelf, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    shown = make_tournament(seats={"masters": 5, "junior": 2})
    page = client.get(shown.get_absolute_url()).content.decode()
    about = page[page.index('id="seats-title"') :].split("</article>")[0]
    for _account in range(2):
        client.force_login(make_player().account)
        client.get(shown.get_absolute_url())
        with django_assert_num_queries(2):  # the account; its players with their entries
            assert about in client.get(shown.get_absolute_url()).content.decode()
    assert sum(key.startswith(f"about:{shown.pk}:") for key in shelf._places) == 1


def test_what_has_changed_is_seen_when_it_is_made_anew(client: Client, forget: Callable[[], None]) -> None:
    shown = make_tournament()
    address = shown.get_absolute_url()
    assert b"The hall is flooded." not in client.get(address).content
    Tournament.objects.filter(pk=shown.pk).update(paused_at=now(), message="The hall is flooded.")
    assert b"The hall is flooded." not in client.get(address).content
    forget()
    assert b"The hall is flooded." in client.get(address).content


def test_answer_is_packed_for_those_who_can_unpack_it(client: Client, shelf: Shelf) -> None:
    plain = client.get("/")
    packed = client.get("/", headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert int(packed["Content-Length"]) == len(packed.content)
    assert "Accept-Encoding" in packed["Vary"]


def test_head_says_the_same_without_the_page(client: Client, shelf: Shelf) -> None:
    page, head = client.get("/"), client.head("/")
    assert head.content == b""
    assert {**head.headers, "Server-Timing": ""} == {**page.headers, "Server-Timing": ""}


def test_who_has_the_page_is_told_that_it_still_holds(client: Client, forget: Callable[[], None]) -> None:
    shown = make_tournament(lasts=timedelta(days=9))
    address = shown.get_absolute_url()
    first = client.get(address)
    forget()
    held = client.get(address, headers={"If-None-Match": first["ETag"]})
    assert held.status_code == 304
    assert held.content == b""
    assert held["ETag"] == first["ETag"]
    assert held["Server-Timing"].startswith("clock;dur=")
    make_entry(shown)
    forget()
    moved = client.get(address, headers={"If-None-Match": first["ETag"]})
    assert moved.status_code == 200
    assert moved["ETag"] != first["ETag"]


def test_message_is_shown_to_whom_it_is_for_alone(client: Client, shelf: Shelf) -> None:
    client.force_login(make_player().account)
    client.post(reverse("account_logout"))
    assert "messages" in client.cookies
    told = client.get("/")
    assert b"You are signed out." in told.content
    assert told["Cache-Control"] == ONES_OWN
    assert b"You are signed out." not in Client().get("/").content


def test_drafts_stay_with_their_organizers(client: Client, shelf: Shelf) -> None:
    organization = make_organization()
    draft = make_tournament(organization=organization, published=False, name="Draft Cup")
    organizer = Client()
    organizer.force_login(make_organizer(organization))
    for _time in range(2):
        assert b"Draft Cup" in organizer.get(draft.get_absolute_url()).content
        assert client.get(draft.get_absolute_url()).status_code == 404
        assert b"Draft Cup" not in client.get("/").content


def test_part_for_htmx_and_page_are_kept_apart(client: Client, shelf: Shelf) -> None:
    address = draws.drawn().get_absolute_url()
    for _time in range(2):
        assert b"<html" in client.get(address).content
        assert b"<html" not in client.get(address, headers={"HX-Request": "true"}).content


def test_address_with_a_question_is_answered_by_itself(client: Client, shelf: Shelf) -> None:
    draw = draws.drawn()
    assert client.get(draw.get_absolute_url(), {"place": "2"})["Cache-Control"] == ONES_OWN
    assert not shelf._places


def answered(response: HttpResponse) -> HttpResponse:
    """What the middleware makes of a view's response."""
    return SharedPagesMiddleware(lambda _request: response)(RequestFactory().get("/"))


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("about", ["cookie", "nonce", "redirect"])
def test_answer_that_is_for_one_only_is_not_kept(about: str, shelf: Shelf) -> None:
    own = HttpResponse("own")
    if about == "cookie":
        own.set_cookie("visitor", "17")
    elif about == "nonce":
        own["Content-Security-Policy"] = "script-src 'nonce-17'"
    else:
        own.status_code = 302
    assert answered(own) is own
    assert answered(HttpResponse("another")).content == b"another"


def test_fault_is_covered_by_the_page_that_was_there(shelf: Shelf, settings: Settings) -> None:
    assert answered(HttpResponse("page")).content == b"page"
    settings.SHELF_SECONDS = 1e-9
    assert answered(HttpResponse("sorry", status=503)).content == b"page"
    shelf._places.clear()
    cache.clear()
    assert answered(HttpResponse("sorry", status=503)).status_code == 503


def test_cookies_that_make_an_answer_personal_are_called_so(rf: RequestFactory) -> None:
    request: HttpRequest = rf.get("/")
    assert shared_pages._may_share(request)
    for name in (site.SESSION_COOKIE_NAME, "messages"):
        request.COOKIES = {name: "x"}
        assert not shared_pages._may_share(request)
    request.COOKIES = {site.CSRF_COOKIE_NAME: "x"}
    assert shared_pages._may_share(request)
