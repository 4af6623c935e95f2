"""The address that limits count on, through the proxies that are ours; and the limits on forms."""

import time
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from django.conf import settings as site
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from tests.builders import make_entry, make_tournament, make_user
from vgchub.ratelimit import address_prefix, client_address
from vgchub.words import duration


def address(forwarded: str | None, *, connection: str = "10.0.0.1") -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=connection, headers=headers))


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, None, "10.0.0.1"),
        (0, "203.0.113.9", "10.0.0.1"),  # nobody of ours wrote that header
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the client forged the first
        (2, "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "203.0.113.9", "10.0.0.1"),  # did not come through both
        (1, None, "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "not an address", "10.0.0.1"),
        (1, "2001:DB8::1", "2001:db8::1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (1, "[2001:db8::1]:50123", "2001:db8::1"),
        (1, "203.0.113.9:50123", "203.0.113.9"),
        (1, "203.0.113.9:port", "10.0.0.1"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_client_address_counts_from_our_own_proxies(
    settings: Settings, proxies: int, forwarded: str | None, expected: str
) -> None:
    settings.TRUSTED_PROXIES = proxies

    assert address(forwarded) == expected


def test_client_address_has_an_answer_without_a_network(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = 0

    assert address(None, connection="") == "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
    ],
)
def test_address_prefix_is_what_one_household_cannot_vary(given: str, prefix: str) -> None:
    assert address_prefix(given) == prefix


# --- Whatever a client writes --------------------------------------------------------------------------------

addresses = st.ip_addresses().map(str)
# What a client may send of its own: addresses, lists of them, and what is none.
forged = st.one_of(
    addresses, st.lists(addresses).map(", ".join), st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]))
)


@given(client=addresses, ours=st.lists(addresses, max_size=3), header=forged)
def test_no_header_of_a_client_is_believed(client: str, ours: list[str], header: str) -> None:
    """The first of our proxies appends the client's address to what it sent, each other the one it was called from."""
    called_from = [client, *ours]
    with override_settings(TRUSTED_PROXIES=len(ours)):
        seen = address(", ".join([header, *called_from[:-1]]), connection=called_from[-1])
    parsed = ip_address(client)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    assert seen == str(mapped or parsed)


@given(header=forged, proxies=st.integers(0, 3), connection=addresses)
def test_every_request_has_an_address_with_a_prefix(header: str, proxies: int, connection: str) -> None:
    with override_settings(TRUSTED_PROXIES=proxies):
        seen = address(header, connection=connection)
    assert ip_address(seen) in ip_network(address_prefix(seen))


# --- Forms -----------------------------------------------------------------------------------------------------


def send(client: Client, name: str, *args: object, address: str = "203.0.113.9") -> int:
    return client.post(reverse(name, args=args), {}, headers={"X-Forwarded-For": address}).status_code


@pytest.fixture
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """django-ratelimit's windows are the clock's: one might end between two forms."""
    ends = int(time.time()) + 300
    monkeypatch.setattr("django_ratelimit.core._get_window", lambda _value, _period: ends)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "taken"),
    [("email_code_new", 10), ("email_change", 10), ("email_code", 30), ("leave", 30), ("step_back_in", 30),
     ("take_up", 30), ("cancel", 30), ("card", 30), ("card_remove", 30), ("player_add", 30), ("player_edit", 30),
     ("player_remove", 30)],
)  # fmt: skip
def test_a_form_is_taken_so_often_from_one_account_at_one_address(
    name: str, taken: int, client: Client, one_window: None
) -> None:
    account, other = make_user(verified=False), Client()
    entry = make_entry(make_tournament())
    of: dict[str, list[object]] = {"player_add": [], "player_edit": [0], "player_remove": [0]}
    at = of.get(name, [] if name.startswith("email") else [entry.public_id])
    client.force_login(account)
    other.force_login(make_user(verified=False))

    answers = [send(client, name, *at) for _ in range(taken + 1)]
    assert 429 not in answers[:-1]
    assert answers[-1] == 429
    assert send(other, name, *at) != 429
    assert send(client, name, *at, address="203.0.113.10") != 429


@pytest.mark.django_db
def test_a_form_that_was_sent_too_often_says_when_and_is_not_repeated_by_its_page(
    client: Client, one_window: None
) -> None:
    client.force_login(make_user())
    for _attempt in range(11):
        answer = client.post(reverse("email_change"), {"email": "alice@players.example"})
    assert (answer.status_code, 0 < int(answer["Retry-After"]) <= 600) == (429, True)
    assert answer["RateLimit-Policy"] == '"form";q=10;w=600'
    assert answer["RateLimit"] == f'"form";r=0;t={answer["Retry-After"]}'
    shown = answer.content.decode()
    assert "That was tried too often." in shown
    assert f"Try again in {duration(timedelta(seconds=int(answer['Retry-After'])))}." in shown
    assert "alice@players.example" not in shown
    assert client.get(reverse("email_change")).status_code == 200


@pytest.mark.django_db
def test_forms_are_taken_and_counted_without_redis(client: Client, settings: Settings, one_window: None) -> None:
    client.force_login(make_user(verified=False))
    settings.CACHES = {"default": {**site.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    assert [send(client, "email_change") for _ in range(11)] == [200] * 10 + [429]
