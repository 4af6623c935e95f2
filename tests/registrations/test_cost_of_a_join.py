"""What a join over HTTP asks of the database and of Redis, once its process remembers the tournament."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import DjangoAssertNumQueries
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import Player
from tests.builders import make_player, make_tournament, make_user
from tests.shared_redis import commands_asked
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db

Join = Callable[[Tournament, list[Player]], Any]


def join_by_api(tournament: Tournament, players: list[Player]) -> Any:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(players[0].account)}")
    address = f"/api/v1/tournaments/{tournament.slug}/join/"
    return lambda: client.post(address, {"players": [player.pk for player in players]}, format="json")


def join_by_page(tournament: Tournament, players: list[Player]) -> Any:
    client = Client()
    client.force_login(players[0].account)
    address = reverse("join", args=[tournament.slug])
    return lambda: client.post(address, {"players": [player.pk for player in players]})


@pytest.fixture(params=[1, 3])
def players(request: pytest.FixtureRequest) -> list[Player]:
    """One player of an account, or three."""
    account = make_user()
    return [make_player(account) for _ in range(request.param)]


@pytest.fixture
def tournament() -> Tournament:
    """One that this process remembers, and whose limits Redis knows the script of."""
    tournament = make_tournament(join_ceiling=100)
    assert join_by_api(tournament, [make_player()])().status_code == 200
    return tournament


@pytest.mark.parametrize(("join", "status", "statements"), [(join_by_api, 200, 2), (join_by_page, 302, 3)])
def test_a_join_is_two_statements_and_by_page_one_more_for_the_account(
    join: Join,
    status: int,
    statements: int,
    tournament: Tournament,
    players: list[Player],
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    send = join(tournament, players)
    with django_assert_num_queries(statements):
        assert send().status_code == status


@pytest.mark.parametrize(("join", "session"), [(join_by_api, []), (join_by_page, ["GET"])])
def test_a_join_asks_redis_once_for_all_its_limits(
    join: Join, session: list[str], tournament: Tournament, players: list[Player]
) -> None:
    send = join(tournament, players)
    with commands_asked() as asked:
        send()
    assert asked == [*session, "EVALSHA"]
