"""Who may ask for what: every address of the site with every role. An address without a row fails."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from post_office.models import Email
from rest_framework.test import APIClient

from accounts.models import User
from registrations.models import QueueEntry
from registrations.rules import State
from tests.builders import make_entry, make_organizer, make_player, make_staff, make_tournament, make_user
from tests.lottery import draws

pytestmark = pytest.mark.django_db

ROLES = ("nobody", "owner", "stranger", "organizer", "foreign_organizer", "staff")

EVERYBODY = (200, 200, 200, 200, 200, 200)
SIGNED_IN = (302, 200, 200, 200, 200, 200)
GUESTS = (200, 302, 302, 302, 302, 302)  # who is signed in is sent on
OWNER = (302, 200, 404, 404, 404, 404)
CONFIRMED_OWNER = (302, 409, 404, 404, 404, 404)  # refused in words: the entry has no seat yet
STAFF = (302, 404, 404, 200, 404, 200)
POST_ONLY = (405, 405, 405, 405, 405, 405)
API_OWN = (401, 200, 200, 200, 200, 200)
API_OWNER = (401, 200, 404, 404, 404, 404)
API_POST_ONLY = (401, 405, 405, 405, 405, 405)

# What each role gets for a GET, in the order of ROLES. POSTs have tests of their own, beside what they do.
TABLE: dict[str, tuple[int, ...]] = {
    "home": EVERYBODY,
    "tournaments": EVERYBODY,
    "tournament": EVERYBODY,
    "terms": EVERYBODY,
    "join": POST_ONLY,
    "leave": OWNER,
    "step_back_in": POST_ONLY,
    "take_up": POST_ONLY,
    "tournament_draw": (302, 302, 302, 302, 302, 302),
    "draw": EVERYBODY,
    "draw_manifest": EVERYBODY,
    "draw_bundle": EVERYBODY,
    "queue": (302, 200, 302, 302, 302, 302),  # without an entry there is no place to show: to the tournament
    "entries": SIGNED_IN,
    "entry": OWNER,
    "ticket": CONFIRMED_OWNER,
    "ticket_calendar": CONFIRMED_OWNER,
    "payment_return": OWNER,
    "checkout_left": (302, 302, 404, 404, 404, 404),
    "cancel": (302, 302, 404, 404, 404, 404),
    "receipt": (302, 302, 404, 404, 404, 404),
    "card": POST_ONLY,
    "card_return": OWNER,
    "card_remove": POST_ONLY,
    "entry_staff": STAFF,
    "account": SIGNED_IN,
    "player_add": SIGNED_IN,
    "player_edit": OWNER,
    "player_remove": (302, 200, 302, 302, 302, 302),  # a player who is not yours is gone for you
    "email_change": SIGNED_IN,
    "email_code": (302, 302, 302, 302, 302, 302),  # they have all proved their addresses
    "email_code_new": POST_ONLY,
    "account_login": GUESTS,
    "account_signup": GUESTS,
    "account_logout": SIGNED_IN,
    "account_inactive": EVERYBODY,
    "account_request_login_code": GUESTS,
    "account_confirm_login_code": (302, 302, 302, 302, 302, 302),
    "account_change_password": (302, 200, 302, 302, 302, 302),  # only who has a password changes it,
    "account_set_password": (302, 302, 200, 200, 200, 200),  # and only who has none sets one
    "account_reset_password": EVERYBODY,
    "account_reset_password_done": EVERYBODY,
    "account_reset_password_from_key": EVERYBODY,
    "account_reset_password_from_key_done": EVERYBODY,
    "metrics": (404, 404, 404, 404, 404, 404),  # only where a token is set: tests/reports/test_metrics.py
    "health_live": EVERYBODY,
    "health_ready": EVERYBODY,
    "api_token": POST_ONLY,
    "api_token_refresh": POST_ONLY,
    "api_tournaments": EVERYBODY,
    "api_tournament": EVERYBODY,
    "api_join": API_POST_ONLY,
    "api_players": API_OWN,
    "api_entries": API_OWN,
    "api_entry": API_OWNER,
    "api_leave": API_POST_ONLY,
    "api_step_back_in": API_POST_ONLY,
    "api_take_up": API_POST_ONLY,
    "api_schema": EVERYBODY,
    "api_docs": EVERYBODY,
    # Under bin/run and in tests only.
    "styleguide": EVERYBODY,
    "local_mailbox": EVERYBODY,
    "local_mail": EVERYBODY,
    "local_mail_html": EVERYBODY,
}


def named(patterns: list[Any]) -> Iterator[str]:
    """Every named address of our own; the admin and dj-stripe (namespaces) have tests of their own."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver) and not pattern.namespace:
            yield from named(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield pattern.name


@dataclass
class World:
    """One entry, and somebody of each role."""

    entry: QueueEntry
    mail: Email
    roles: dict[str, User | None]

    def address(self, name: str) -> str:
        if "draw" in name:
            drawn = draws.drawn()
            return reverse(name, args=[drawn.tournament.slug if name == "tournament_draw" else drawn.public_id])
        given = {
            "slug": self.entry.tournament.slug,
            "public_id": self.entry.public_id,
            "pk": self.mail.pk if name.startswith("local_") else self.entry.player_id,
            "uidb36": "1",
            "key": "not-a-key",
        }
        patterns = get_resolver().reverse_dict.getlist(name)
        wanted = patterns[0][0][0][1]
        return reverse(name, kwargs={key: given[key] for key in wanted})


@pytest.fixture
def world() -> World:
    tournament = make_tournament()
    entry = make_entry(tournament, make_player(make_user("alice@players.example", password="a-good-long-password")))
    other = make_tournament()
    mail = Email.objects.create(from_email="a@example.org", to="b@example.org", subject="s", message="m")
    return World(
        entry,
        mail,
        {
            "nobody": None,
            "owner": entry.player.account,
            "stranger": make_player().account,
            "organizer": make_organizer(tournament.organization),
            "foreign_organizer": make_organizer(other.organization),
            "staff": make_staff(),
        },
    )


def client_of(account: User | None, address: str) -> Client:
    client: Client = APIClient() if address.startswith("/api/") else Client()
    if account is not None:
        if isinstance(client, APIClient):
            client.force_authenticate(account)
        else:
            client.force_login(account)
    return client


def test_every_address_has_a_row() -> None:
    assert set(named(get_resolver().url_patterns)) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_each_role_gets_what_the_table_says(name: str, world: World) -> None:
    address = world.address(name)
    found = tuple(client_of(account, address).get(address).status_code for account in world.roles.values())
    assert dict(zip(ROLES, found, strict=True)) == dict(zip(ROLES, TABLE[name], strict=True))


@pytest.mark.parametrize("name", ["leave", "step_back_in", "take_up", "cancel"])
def test_nobody_changes_somebody_elses_entry(name: str, world: World) -> None:
    address = world.address(name)
    for role, account in world.roles.items():
        if role == "owner":
            continue
        answer = client_of(account, address).post(address)
        assert answer.status_code == (302 if account is None else 404), role
    world.entry.refresh_from_db()
    assert world.entry.state == State.WAITING
