"""The public pages of tournaments."""

from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from registrations.rules import State
from tests.builders import (
    Mode,
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

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def text_of(client: Client, url: str) -> str:
    """The page's words, with the white space of its markup made single."""
    response = client.get(url)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_home_names_what_is_open_and_what_opens_soon(client: Client) -> None:
    make_tournament(name="Open Cup")
    make_tournament(name="Coming Cup", opens_in=DAY)
    make_tournament(name="Draft Cup", published=False)
    make_tournament(name="Cancelled Cup", cancelled_at=now())
    page = text_of(client, "/")
    assert page.index("Open now") < page.index("Open Cup") < page.index("Opening soon") < page.index("Coming Cup")
    assert "Draft Cup" not in page
    assert "Cancelled Cup" not in page


def test_home_without_tournaments_says_so(client: Client) -> None:
    assert "No tournament is open at the moment" in text_of(client, "/")


def test_list_has_past_and_cancelled_ones_but_no_drafts(client: Client) -> None:
    make_tournament(name="Cancelled Cup", cancelled_at=now())
    make_tournament(name="Old Cup", opens_in=-40 * DAY)
    make_tournament(name="Draft Cup", published=False)
    page = text_of(client, "/tournaments/")
    assert "Cancelled Cup" in page
    assert "Old Cup" in page
    assert "Draft Cup" not in page


@pytest.mark.parametrize("url", ["/", "/tournaments/"])
def test_lists_cost_the_same_queries_for_one_and_for_three(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries, url: str
) -> None:
    make_tournament()
    with django_assert_num_queries(2):
        client.get(url)
    make_tournament(mode=Mode.FAIR_START)
    make_tournament(mode=Mode.LOTTERY)
    with django_assert_num_queries(2):
        client.get(url)


def test_tournament_costs_the_same_queries_for_one_and_for_three_divisions(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    small = make_tournament()
    large = make_tournament(divisions=("junior", "senior", "masters"))
    for name in ("Veterans", "Guests", "Locals"):
        make_group(large, name, members=(make_player(), make_player()))
        make_entry(large)
    for shown in (small, large):
        with django_assert_num_queries(5):
            client.get(shown.get_absolute_url())


def test_tournament_costs_a_signed_in_player_the_same_queries_for_one_and_for_three_entries(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    shown, alice = make_tournament(seats=10), make_user()
    client.force_login(alice)
    make_entry(shown, make_player(alice))
    client.get(shown.get_absolute_url())  # this process knows the tournament's rules from now on
    with django_assert_num_queries(7):
        client.get(shown.get_absolute_url())
    make_entry(shown, make_player(alice), state=State.CONFIRMED)
    make_entry(shown, make_player(alice), state=State.PASSED)
    with django_assert_num_queries(7):
        client.get(shown.get_absolute_url())


def test_tournament_tells_times_by_the_venues_clock(client: Client) -> None:
    shown = make_tournament(opens_in=DAY, time_zone="America/Sao_Paulo")
    page = text_of(client, shown.get_absolute_url())
    assert f'<time datetime="{shown.opens_at.isoformat()}" data-zone="America/Sao_Paulo"' in page
    assert "(Sao Paulo time)" in page


def test_tournament_counts_down_by_the_servers_clock(client: Client) -> None:
    shown = make_tournament(opens_in=DAY)
    page = text_of(client, shown.get_absolute_url())
    assert "Registration opens in" in page
    assert f'role="timer" data-deadline="{shown.opens_at.isoformat()}" data-now="' in page


def test_tournament_shows_its_seats_by_division(client: Client) -> None:
    shown = make_tournament(seats={"masters": 5, "junior": 2})
    make_group(shown, reserved={"masters": 3})
    make_entry(shown, state=State.CONFIRMED)
    make_entry(shown, state=State.OFFERED)
    make_entry(shown)
    page = text_of(client, shown.get_absolute_url())
    assert page.index("Juniors") < page.index("Masters")
    assert '<strong data-count="free">6</strong> of 8 seats free' in page
    assert '<strong data-count="confirmed">1</strong> confirmed' in page
    assert '<strong data-count="offered">1</strong> on offer' in page
    assert "<strong>3</strong> free, but reserved" in page
    assert '<strong data-count="waiting">1</strong> waiting' in page


def test_tournament_that_is_sold_out_says_since_when(client: Client) -> None:
    shown = make_tournament(seats=2)
    make_entry(shown, state=State.CONFIRMED, confirmed_at=now() - HOUR)
    last = make_entry(shown, state=State.CONFIRMED)
    page = text_of(client, shown.get_absolute_url())
    assert "<strong>Sold out</strong>, all 2 seats confirmed" in page
    assert last.confirmed_at is not None
    assert f'The last seat was confirmed <time datetime="{last.confirmed_at.isoformat()}"' in page


def test_tournament_that_is_cancelled_or_paused_says_so(client: Client) -> None:
    cancelled = make_tournament(cancelled_at=now(), fee_minor=2500)
    paused = make_tournament(paused_at=now(), message="The hall is flooded.")
    page = text_of(client, cancelled.get_absolute_url())
    assert "Everybody who paid gets all of it back" in page
    assert "Join the line" not in page
    page = text_of(client, paused.get_absolute_url())
    assert "Offers are paused" in page
    assert "The hall is flooded." in page


def test_draft_is_shown_to_its_own_organizers_and_staff_only(client: Client) -> None:
    organization = make_organization()
    draft = make_tournament(organization=organization, published=False)
    other_organizer = make_organizer(make_organization())
    for stranger in (None, make_user(), other_organizer):
        if stranger:
            client.force_login(stranger)
        assert client.get(draft.get_absolute_url()).status_code == 404
    for reader in (make_organizer(organization), make_staff()):
        client.force_login(reader)
        assert "Only you see this" in text_of(client, draft.get_absolute_url())


def test_player_of_an_early_group_may_join_before_the_others(client: Client) -> None:
    shown = make_tournament(opens_in=HOUR)
    alice, bob = make_player(), make_player()
    make_group(shown, members=(alice,), opens_early_minutes=90)
    join = f'action="{shown.get_absolute_url()}join/"'
    client.force_login(alice.account)
    assert f'<form method="post" {join}' in text_of(client, shown.get_absolute_url()).split('id="join-now" hidden')[0]
    client.force_login(bob.account)
    assert join not in text_of(client, shown.get_absolute_url()).split('id="join-now" hidden')[0]


def test_group_that_opens_early_is_seen_as_soon_as_there_is_one(client: Client) -> None:
    shown, alice = make_tournament(opens_in=HOUR), make_player()
    client.force_login(alice.account)
    closed = text_of(client, shown.get_absolute_url())
    make_group(shown, members=(alice,), opens_early_minutes=90)
    opened = text_of(client, shown.get_absolute_url())
    assert "<form" not in closed.split('id="join-now" hidden')[0]
    assert "<form" in opened.split('id="join-now" hidden')[0]


def test_form_comes_along_hidden_shortly_before_the_opening(client: Client) -> None:
    soon, later = make_tournament(opens_in=HOUR), make_tournament(opens_in=DAY)
    client.force_login(make_player().account)
    assert 'id="join-now" hidden' in text_of(client, soon.get_absolute_url())
    assert 'data-reveal="join-now"' in text_of(client, soon.get_absolute_url())
    assert 'id="join-now"' not in text_of(client, later.get_absolute_url())


def test_page_without_javascript_asks_again_when_something_changes(client: Client) -> None:
    soon = make_tournament(opens_in=timedelta(seconds=10))
    over = make_tournament(opens_in=-40 * DAY)
    assert '<noscript> <meta http-equiv="refresh"' in text_of(client, soon.get_absolute_url())
    assert "http-equiv" not in text_of(client, over.get_absolute_url())


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (State.WAITING, "is in line, and needs to do nothing to stay in it."),
        (State.OFFERED, "a seat is on offer. Take it up before its time runs out."),
        (State.PASSED, "an offer was missed. Step back in once, to the old place."),
        (State.CONFIRMED, "has a seat."),
    ],
)
def test_tournament_tells_a_player_what_is_to_be_done(client: Client, state: State, says: str) -> None:
    shown, alice = make_tournament(), make_player(display_name="Alice")
    make_entry(shown, alice, state=state)
    client.force_login(alice.account)
    page = text_of(client, shown.get_absolute_url())
    assert "<strong>Alice</strong>" in page
    assert says in page
