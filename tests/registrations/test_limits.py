"""How often one may join: machines are stopped, a venue is not, and nobody loses anything."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django_redis import get_redis_connection
from pytest_django import Settings

from accounts.models import Player, User
from registrations import services
from registrations.limits import BURST, BURST_SECONDS, ManyFromHereError
from registrations.models import QueueEntry
from registrations.services import joining
from tests.admin.browsing import untouched
from tests.builders import make_organizer, make_player, make_tournament, make_user, now
from tournaments.forms.tournament import HELP
from tournaments.models import Tournament
from tournaments.queries import known_entry_rules
from vgchub import limits
from vgchub.limits import NotYourTurnError, TooManyRequestsError
from vgchub.ratelimit import Source

pytestmark = pytest.mark.django_db

VENUE = Source("203.0.113.9")


def join(tournament: Tournament, player: Player, source: Source = VENUE) -> list[QueueEntry]:
    return services.join_queue(account=player.account, tournament=tournament, player_ids=[player.pk], source=source)


def let_in(tournament: Tournament, players: list[Player], source: Source = VENUE) -> int:
    """How many of the players may join."""
    return sum(_joins(tournament, player, source) for player in players)


def _joins(tournament: Tournament, player: Player, source: Source) -> bool:
    try:
        return bool(join(tournament, player, source))
    except TooManyRequestsError:
        return False


def newcomers(number: int, *, verified: bool) -> list[Player]:
    return [make_player(make_user(verified=verified)) for _ in range(number)]


def test_five_hundred_verified_players_behind_one_address_all_join() -> None:
    assert let_in(make_tournament(), newcomers(500, verified=True)) == 500


def test_the_eleventh_unverified_account_behind_an_address_waits_and_others_do_not() -> None:
    tournament = make_tournament()
    assert let_in(tournament, newcomers(11, verified=False)) == 10
    assert let_in(tournament, newcomers(2, verified=True)) == 2
    assert let_in(tournament, newcomers(2, verified=False), Source("203.0.113.10")) == 2
    assert let_in(make_tournament(), newcomers(2, verified=False)) == 2


def test_unverified_accounts_never_come_all_at_once() -> None:
    assert let_in(make_tournament(joins_per_address=100), newcomers(21, verified=False)) == 20
    assert f"more than {BURST} within {BURST_SECONDS} seconds" in str(HELP["joins_per_address"])  # nor can it be set


def test_a_player_joins_five_times_a_minute_and_the_brother_beside_is_not_counted() -> None:
    tournament, guardian = make_tournament(), make_user()
    anna, bob = make_player(guardian), make_player(guardian)
    assert let_in(tournament, [anna] * 6) == 5
    assert let_in(tournament, [bob]) == 1
    assert QueueEntry.objects.live().filter(player=anna).count() == 1


def save_in_admin(tournament: Tournament, **values: int) -> None:
    """An organizer types them into the tournament's page; what this process remembers it does not touch, as in any other."""
    remembered, organizer = known_entry_rules(tournament.slug), Client()
    organizer.force_login(make_organizer(tournament.organization))
    page = f"/admin/tournaments/tournament/{tournament.pk}/change/"
    answer = organizer.post(page, {**untouched(organizer.get(page).content.decode()), **values})
    assert answer.status_code == 302
    assert known_entry_rules(tournament.slug) is remembered


@pytest.mark.parametrize(
    ("field", "verified"),
    [("joins_per_player", True), ("joins_per_address", False), ("joins_per_address_verified", True)],
)
def test_an_organizer_settles_the_limits_and_whoever_comes_next_meets_the_new_ones(field: str, verified: bool) -> None:
    settled: dict[str, Any] = {field: 2}
    tournament = make_tournament(**settled)
    players = newcomers(1, verified=verified) * 5 if field == "joins_per_player" else newcomers(5, verified=verified)
    assert let_in(tournament, players) == 2
    save_in_admin(tournament, **{field: 4})
    assert let_in(tournament, players) == 2
    save_in_admin(tournament, **{field: 1})
    assert let_in(tournament, players[:1], Source("203.0.113.10")) == (field != "joins_per_player")
    assert let_in(tournament, newcomers(1, verified=verified)) == (field == "joins_per_player")


def test_an_organizer_sets_a_ceiling_and_whoever_comes_next_meets_it() -> None:
    tournament = make_tournament()
    assert let_in(tournament, newcomers(2, verified=True)) == 2
    save_in_admin(tournament, join_ceiling=1)
    assert let_in(tournament, newcomers(2, verified=True)) == 1


def test_by_rules_of_no_known_version_a_limit_that_was_raised_still_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    version = "(SELECT rules_version FROM tournaments_tournament WHERE id = %(tournament)s::bigint)"
    assert version in joining.PLAYERS
    monkeypatch.setattr(joining, "PLAYERS", joining.PLAYERS.replace(version, "0"))
    tournament, alice = make_tournament(joins_per_player=1), make_player()
    assert let_in(tournament, [alice] * 2) == 1
    save_in_admin(tournament, joins_per_player=2)
    assert let_in(tournament, [alice]) == 0


def test_a_ceiling_keeps_a_turn_for_whoever_comes_when_it_is_reached() -> None:
    tournament = make_tournament(join_ceiling=2)
    anna, bob, zoe = newcomers(3, verified=True)
    assert let_in(tournament, [anna, bob]) == 2
    waits = []
    for _attempt in range(7):
        with pytest.raises(NotYourTurnError) as refusal:
            join(tournament, zoe)
        waits.append(refusal.value.data["retry_after"])
    assert all(50 <= wait <= 60 for wait in waits)
    assert not QueueEntry.objects.filter(player=zoe).exists()

    redis = get_redis_connection("default")
    [turns] = redis.keys("vgchub:limit:*:turns")
    redis.zincrby(turns, -60_000_000, str(zoe.account_id))  # a minute later
    assert let_in(tournament, [zoe]) == 1


def page(client: Client, tournament: Tournament, player: Player, address: str = "203.0.113.9") -> int:
    answer = client.post(
        reverse("join", args=[tournament.slug]), {"players": [player.pk]}, headers={"X-Forwarded-For": address}
    )
    return answer.status_code


def signed_in(account: User) -> Client:
    client = Client()
    client.force_login(account)
    return client


def test_the_page_of_a_refusal_holds_the_same_form_to_send_again() -> None:
    tournament, guardian = make_tournament(joins_per_player=1), make_user()
    anna, bob = make_player(guardian), make_player(guardian)
    client = signed_in(guardian)
    sent = {"players": [anna.pk, bob.pk], "csrfmiddlewaretoken": "an-old-one"}
    for _attempt in range(2):
        answer = client.post(reverse("join", args=[tournament.slug]), sent)

    shown = answer.content.decode()
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 60
    assert answer["RateLimit-Policy"] == '"player";q=1;w=60, "flood";q=3000;w=60'
    assert answer["RateLimit"] == f'"player";r=0;t={answer["Retry-After"]}'
    assert f'<form method="post" action="/t/{tournament.slug}/join/"' in shown
    for player in (anna, bob):
        assert f'<input type="hidden" name="players" value="{player.pk}">' in shown
    assert 'data-then="send"' in shown
    assert "an-old-one" not in shown


def test_whoever_is_not_verified_is_told_what_helps() -> None:
    tournament = make_tournament(joins_per_address=1)
    anna, bob = newcomers(2, verified=False)
    join(tournament, anna)
    with pytest.raises(ManyFromHereError) as refusal:
        join(tournament, bob)
    assert "verified" in str(refusal.value.remedy)
    User.objects.filter(pk=bob.account_id).update(email_verified_at=now())
    assert let_in(tournament, [bob]) == 1


def test_a_forged_address_does_not_help() -> None:
    tournament = make_tournament(joins_per_address=1)
    anna, bob = newcomers(2, verified=False)
    assert page(signed_in(anna.account), tournament, anna, "198.51.100.1, 203.0.113.9") == 302
    assert page(signed_in(bob.account), tournament, bob, "198.51.100.2, 203.0.113.9") == 429
    assert page(signed_in(bob.account), tournament, bob, "203.0.113.9, 198.51.100.2") == 302


def test_looking_at_pages_is_not_counted() -> None:
    tournament, anna = make_tournament(), make_player()
    client = signed_in(anna.account)
    assert page(client, tournament, anna) == 302
    redis = get_redis_connection("default")
    before = {key: redis.lrange(key, 0, -1) for key in redis.keys("vgchub:limit:*")}
    for name in ("queue", "tournament"):
        for _poll in range(10):
            assert client.get(reverse(name, args=[tournament.slug])).status_code == 200
    assert {key: redis.lrange(key, 0, -1) for key in redis.keys("vgchub:limit:*")} == before


def test_without_redis_joins_go_on(settings: Settings) -> None:
    tournament = make_tournament()
    anna, *others = newcomers(3, verified=True)
    client = signed_in(anna.account)
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    limits.forget()

    assert [page(client, tournament, anna) for _attempt in range(6)] == [302] * 5 + [429]
    assert let_in(tournament, others) == 2
    limits.forget()
