"""The address that limits count on, through the proxies that are ours."""

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from vgchub.ratelimit import address_prefix, client_address


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
