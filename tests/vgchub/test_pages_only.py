"""Programs show a token with each request: sessions and messages are for pages."""

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from tests.builders import make_player, make_tournament
from vgchub.pages_only import API

pytestmark = pytest.mark.django_db


def test_nothing_else_stands_under_the_address_of_the_api() -> None:
    assert reverse("admin:index").startswith(API) is False
    addresses = [str(part.pattern) for part in get_resolver().url_patterns]
    assert [address for address in addresses if address.startswith("api")] == ["api/v1/"]


def test_a_session_is_nobody_to_the_api() -> None:
    alice, tournament = make_player(), make_tournament()
    client = Client()
    client.force_login(alice.account)
    answer = client.post(
        reverse("api_join", args=[tournament.slug]), {"players": [alice.pk]}, content_type="application/json"
    )
    assert answer.status_code == 401
    assert "sessionid" not in answer.cookies


def test_a_page_still_asks_for_the_token_of_its_form() -> None:
    alice, tournament = make_player(), make_tournament()
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.account)
    assert client.post(reverse("join", args=[tournament.slug]), {"players": [alice.pk]}).status_code == 403
