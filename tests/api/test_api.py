"""The API's journeys and its refusals."""

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Player
from registrations.rules import State
from registrations.services import offer_seats
from tests.builders import PASSWORD, make_entry, make_player, make_tournament, make_user
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Player:
    return make_player(make_user("alice@players.example", password=PASSWORD))


@pytest.fixture
def api(alice: Player) -> APIClient:
    """A client that is signed in as alice, the way a program does it."""
    client = APIClient(HTTP_HOST="127.0.0.1")
    pair = sign_in(client, "alice@players.example").json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair['access']}")
    return client


def sign_in(client: APIClient, email: str, password: str = PASSWORD) -> Any:
    return client.post("/api/v1/token/", {"email": email, "password": password}, format="json")


def join(api: APIClient, tournament: Tournament, *players: Player) -> Any:
    return api.post(f"/api/v1/tournaments/{tournament.slug}/join/", {"players": [p.pk for p in players]}, format="json")


def test_anybody_reads_tournaments_and_their_seats() -> None:
    tournament = make_tournament(seats={"masters": 3, "senior": 2})
    make_tournament(published=False)
    make_entry(tournament, state=State.CONFIRMED)
    client = APIClient(HTTP_HOST="127.0.0.1")

    listed = client.get("/api/v1/tournaments/").json()
    one = client.get(f"/api/v1/tournaments/{tournament.slug}/").json()

    assert [t["slug"] for t in listed["results"]] == [tournament.slug]
    masters = next(d for d in one["divisions"] if d["code"] == "masters")
    assert (masters["seats"], masters["confirmed"], masters["free"], masters["waiting"]) == (3, 1, 2, 0)
    assert one["phase"] == "OPEN"


def test_a_draft_is_not_found() -> None:
    tournament = make_tournament(published=False)
    answer = APIClient(HTTP_HOST="127.0.0.1").get(f"/api/v1/tournaments/{tournament.slug}/")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_program_joins_waits_and_takes_up_a_free_seat(api: APIClient, alice: Player) -> None:
    tournament = make_tournament(seats=1)
    ahead = make_entry(tournament)

    entry = join(api, tournament, alice).json()[0]
    assert join(api, tournament, alice).json()[0]["id"] == entry["id"]
    assert api.get(f"/api/v1/entries/{entry['id']}/").json()["position"] == 2

    type(ahead).objects.filter(pk=ahead.pk).update(state=State.LEFT, ended_at=ahead.joined_at)
    offer_seats(tournament_id=tournament.pk)
    taken = api.post(f"/api/v1/entries/{entry['id']}/take-up/").json()

    assert (taken["entry"]["state"], taken["entry"]["seat"], taken["checkout_url"]) == ("CONFIRMED", 1, None)
    assert [e["state"] for e in api.get("/api/v1/entries/").json()["results"]] == ["CONFIRMED"]


def test_several_players_join_at_once_or_none(api: APIClient, alice: Player) -> None:
    child = make_player(alice.account, division="senior")
    masters_only = make_tournament()
    both = make_tournament(seats={"masters": 1, "senior": 1})

    refused = join(api, masters_only, alice, child)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_eligible")
    assert masters_only.entries.count() == 0
    assert [e["division"] for e in join(api, both, alice, child).json()] == ["masters", "senior"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"opens_in": timedelta(hours=1)}, "not_open_yet"),
        ({"lasts": timedelta(minutes=5)}, "registration_closed"),
        ({"cancelled_at": "2026-01-01T00:00Z"}, "tournament_cancelled"),
        ({"max_waiting": 0}, "waiting_room_full"),
    ],
)
def test_a_refusal_has_code_message_and_data(api: APIClient, alice: Player, changes: dict[str, Any], code: str) -> None:
    answer = join(api, make_tournament(**changes), alice)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert set(answer.json()) == {"code", "message", "data"}
    assert answer.json()["message"]


def test_a_body_that_is_no_object_is_answered_as_the_schema_says(api: APIClient) -> None:
    address = f"/api/v1/tournaments/{make_tournament().slug}/join/"
    answer = api.generic("POST", address, "null", content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["data"] == {"non_field_errors": ["This field may not be null."]}


def test_joining_with_somebody_elses_player_is_refused(api: APIClient) -> None:
    answer = join(api, make_tournament(), make_player())
    assert (answer.status_code, answer.json()["code"]) == (404, "player_not_found")


def test_an_entry_of_somebody_else_is_not_found(api: APIClient) -> None:
    entry = make_entry(make_tournament())
    for method, path in [("get", ""), ("post", "leave/"), ("post", "take-up/"), ("post", "step-back-in/")]:
        answer = getattr(api, method)(f"/api/v1/entries/{entry.public_id}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "entry_not_found")


def test_nobody_gets_a_challenge_for_what_is_an_accounts_own() -> None:
    client = APIClient(HTTP_HOST="127.0.0.1")
    for path in ("players/", "entries/", f"entries/{'0' * 24}/"):
        answer = client.get(f"/api/v1/{path}")
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
        assert answer.json()["code"] == "not_authenticated"


def test_too_many_joins_say_when_to_come_back(api: APIClient, alice: Player) -> None:
    tournament = make_tournament()
    answers = [join(api, tournament, alice) for _ in range(6)]
    assert [a.status_code for a in answers] == [200] * 5 + [429]
    wait = answers[-1]["Retry-After"]
    assert 0 < int(wait) <= 60
    assert answers[-1]["RateLimit-Policy"] == '"player";q=5;w=60, "flood";q=3000;w=60'
    assert answers[-1]["RateLimit"] == f'"player";r=0;t={wait}'
    assert tournament.entries.live().count() == 1


def test_a_wrong_password_says_nothing_about_the_account(alice: Player) -> None:
    client = APIClient(HTTP_HOST="127.0.0.1")
    wrong, unknown = sign_in(client, "alice@players.example", "wrong"), sign_in(client, "nobody@players.example")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_guessing_passwords_is_stopped_for_that_address_only(alice: Player) -> None:
    client = APIClient(HTTP_HOST="127.0.0.1")
    guesses = [sign_in(client, "alice@players.example", f"guess {n}").status_code for n in range(11)]
    assert guesses == [401] * 10 + [429]
    assert (
        sign_in(APIClient(HTTP_HOST="127.0.0.1", REMOTE_ADDR="203.0.113.9"), "alice@players.example").status_code == 200
    )


def test_a_refresh_token_is_used_up_and_a_copy_ends_all(alice: Player) -> None:
    client = APIClient(HTTP_HOST="127.0.0.1")
    first = sign_in(client, "alice@players.example").json()["refresh"]

    second = client.post("/api/v1/token/refresh/", {"refresh": first}, format="json").json()["refresh"]
    stolen = client.post("/api/v1/token/refresh/", {"refresh": first}, format="json")
    after = client.post("/api/v1/token/refresh/", {"refresh": second}, format="json")

    assert second != first
    assert (stolen.status_code, after.status_code) == (401, 401)


def test_a_refresh_token_of_a_deleted_account_is_refused(alice: Player) -> None:
    client = APIClient(HTTP_HOST="127.0.0.1")
    refresh = sign_in(client, "alice@players.example").json()["refresh"]
    alice.account.delete()
    assert client.post("/api/v1/token/refresh/", {"refresh": refresh}, format="json").status_code == 401


def test_malformed_requests_name_the_field(api: APIClient) -> None:
    tournament = make_tournament()
    bodies: tuple[dict[str, Any], ...] = ({}, {"players": []}, {"players": "x"}, {"players": [0]}, {"players": [2**70]})
    for body in bodies:
        answer = api.post(f"/api/v1/tournaments/{tournament.slug}/join/", body, format="json")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
        assert "players" in answer.json()["data"]
