"""A request that finds no connection in the pool within its time is told that the site is busy, and when to ask again."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from tests.builders import make_player, make_tournament
from vgchub.postgresql.base import DatabaseWrapper

pytestmark = pytest.mark.django_db(transaction=True)


def pooled() -> DatabaseWrapper:
    """One more thread's way to a pool of one connection."""
    given = {**connection.settings_dict, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}
    given["OPTIONS"] = {**given["OPTIONS"], "pool": {"min_size": 1, "max_size": 1, "timeout": 0.2}}
    wrapper = DatabaseWrapper(given, alias="full")
    pool: Any = wrapper.pool
    pool.open(wait=True, timeout=20)  # so that the short time above is only waited for one that is in use
    return wrapper


@pytest.fixture
def account() -> User:
    return make_player().account


@pytest.fixture
def client(account: User) -> Client:
    """Signed in, as most who click are."""
    client = Client(raise_request_exception=False)
    client.force_login(account)
    return client


@pytest.fixture
def program(account: User) -> Client:
    token = AccessToken.for_user(account)
    return Client(raise_request_exception=False, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def slug() -> str:
    return make_tournament(seats=3).slug


@pytest.fixture
def pool(client: Client, program: Client, slug: str) -> Iterator[DatabaseWrapper]:
    """What the site asks from now on; all is prepared before."""
    before, asks = connections["default"], pooled()
    connections["default"] = asks
    yield asks
    connections["default"] = before
    asks.close()
    asks.close_pool()


@pytest.fixture
def full(pool: DatabaseWrapper) -> Iterator[None]:
    """Another request has the only connection."""
    holds = pooled()
    holds.connect()
    yield
    holds.close()


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("path", ["/", "/t/{}/", "/t/{}/queue/", "/account/"])
def test_a_page_says_that_the_site_is_busy_and_asks_again_by_itself(client: Client, slug: str, path: str) -> None:
    answer = client.get(path.format(slug))
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert 'http-equiv="refresh" content="5"' in answer.content.decode()


@pytest.mark.usefixtures("full")
def test_a_form_is_not_sent_again_by_itself(client: Client, slug: str) -> None:
    answer = client.post(f"/t/{slug}/join/", {"players": 1})
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "http-equiv" not in answer.content.decode()


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/tournaments/{}/"), ("GET", "/api/v1/entries/"), ("POST", "/api/v1/tournaments/{}/join/")],
)
def test_the_api_answers_with_its_code(program: Client, slug: str, method: str, path: str) -> None:
    data = '{"players": [1]}'
    answer = program.generic(method, path.format(slug), data, content_type="application/json")
    assert (answer.status_code, answer["Retry-After"], answer.json()["code"]) == (503, "5", "busy")


@pytest.mark.usefixtures("pool")
def test_with_a_connection_in_the_pool_all_is_answered(client: Client, program: Client, slug: str) -> None:
    assert client.get(f"/t/{slug}/").status_code == 200
    assert program.get("/api/v1/entries/").status_code == 200
