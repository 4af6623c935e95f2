"""What every list of the admin has in common."""

import re
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from tests.builders import make_entry, make_tournament, make_user

pytestmark = pytest.mark.django_db

LETTERS = "/admin/payments/deadletter/"


@pytest.fixture
def dora(client: Client) -> Client:
    """Signed in as staff."""
    client.force_login(make_user(is_staff=True))
    return client


def words_of(client: Client, path: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", client.get(path).content.decode()).split())


def test_a_time_in_a_list_carries_its_zone(dora: Client) -> None:
    make_entry(make_tournament(), joined_at=datetime(2026, 11, 28, 19, 5, tzinfo=UTC))
    assert "28 Nov 2026, 19:05 UTC" in words_of(dora, reverse("admin:registrations_queueentry_changelist"))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("", "Nothing here So far there has been nothing to list."),
        ("?q=refund", "Nothing here Nothing fits the search and the filters. Show all"),
    ],
)
def test_an_empty_list_asks_for_nothing_that_cannot_be_done(dora: Client, asked: str, says: str) -> None:
    assert says in words_of(dora, LETTERS + asked)
