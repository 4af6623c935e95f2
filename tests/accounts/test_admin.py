"""Staff settle whose a Player ID is, and type results."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Player
from tests.admin.browsing import untouched
from tests.builders import make_entry, make_group, make_player, make_tournament, make_user

pytestmark = pytest.mark.django_db

IdState = Player.IdState


@pytest.fixture
def dora(client: Client) -> Client:
    """Signed in as staff."""
    client.force_login(make_user(is_staff=True))
    return client


def test_settle_says_whose_it_is_and_why(dora: Client) -> None:
    ash, gary = (make_player(player_id="1001", player_id_state=IdState.DISPUTED) for _ in range(2))
    there = reverse("admin:accounts_player_settle", args=[gary.pk])
    assert ash.account.email in dora.get(there).content.decode()

    unreasoned = dora.post(there, {"owner": ash.pk})
    dora.post(there, {"owner": ash.pk, "reason": "sent a photo of the card"})

    assert list(unreasoned.context["form"].errors) == ["reason"]
    ash.refresh_from_db()
    gary.refresh_from_db()
    assert (ash.player_id_state, gary.player_id_state) == (IdState.VERIFIED, IdState.DISPUTED)


def test_settle_takes_claimants_only(dora: Client) -> None:
    ash, stranger = make_player(player_id="1001"), make_player()

    refused = dora.post(
        reverse("admin:accounts_player_settle", args=[ash.pk]), {"owner": stranger.pk, "reason": "says so"}
    )

    assert list(refused.context["form"].errors) == ["owner"]


def test_results_regroup_who_waits(dora: Client) -> None:
    tournament = make_tournament()
    group = make_group(tournament, "Champions", min_championship_points=500)
    player = make_player()
    entry = make_entry(tournament, player)
    there = reverse("admin:accounts_player_change", args=[player.pk])

    sent = untouched(dora.get(there).content.decode())
    answer = dora.post(there, {**sent, "championship_points": "800", "player_id": "9", "player_id_state": "VERIFIED"})

    assert answer.status_code == 302
    told = [str(message) for message in dora.get(there).context["messages"]]
    assert told[0] == "1 entry regrouped."
    player.refresh_from_db()
    entry.refresh_from_db()
    assert (player.championship_points, player.player_id_state) == (800, IdState.CLAIMED)
    assert entry.group == group


def test_a_password_hash_can_not_be_guessed_by_narrowing_the_list_down(dora: Client) -> None:
    accounts = reverse("admin:accounts_user_changelist")
    assert dora.get(accounts, {"is_staff__exact": "1"}).status_code == 200
    assert dora.get(accounts, {"password__startswith": "argon2"}).status_code == 400
