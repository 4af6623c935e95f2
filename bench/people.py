"""Players in bulk: by SQL as signing up would have left them, with sessions and tokens as signing in would have."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from tournaments.models import Tournament

CHUNK = 1_000  # of one transaction: with its deferred keys, one of 20,000 takes many times as long for each
LIFETIME = timedelta(hours=3)  # of tokens: longer than any benchmark

# No two addresses look alike. Every tenth has points enough for a group that asks for 100. Triggers write the history as always.
MAKE = """
WITH account AS (
    INSERT INTO accounts_user (password, email, is_active, is_staff, is_superuser, joined_at, email_verified_at)
    SELECT %(password)s, %(run)s || translate(i::text, '0123456789', 'abcdefghij') || '@players.example',
           true, false, false, now(), now()
    FROM generate_series(1, %(count)s::int) i RETURNING id, email
), address AS (
    INSERT INTO account_emailaddress (user_id, email, verified, "primary") SELECT id, email, true, true FROM account
), terms AS (
    INSERT INTO accounts_consent (account_id, kind, text_version) SELECT id, 'TERMS', 'bench' FROM account
), player AS (
    INSERT INTO accounts_player (account_id, display_name, player_id, player_id_state, birth_date, country,
                                 championship_points, seasons_played, created_at)
    SELECT id, 'Player ' || id, (1000000000000 + id)::text, 'CLAIMED', %(born)s, 'DE',
           CASE WHEN id %% 10 = 0 THEN 200 ELSE 0 END, 0, now()
    FROM account RETURNING id, account_id
)
SELECT account.id, player.id, account.email FROM player JOIN account ON account.id = account_id ORDER BY player.id
"""

# As if they had joined one by one: every fifth a senior where there are seniors. Where places are drawn later they have none yet.
ENTER = """
INSERT INTO registrations_queueentry (public_id, priority, number, place, state, joined_at, grant_reason, waiver_reason,
                                      address_hash, device_hash, division_id, group_id, player_id, tournament_id)
SELECT substr(md5(random()::text || p.id) || md5(random()::text), 1, 24), 0, n.number,
       CASE WHEN %(placed)s THEN n.number END, 'WAITING', statement_timestamp(), '', '', '', '',
       CASE WHEN p.id %% 5 = 0 THEN %(senior)s::bigint ELSE %(masters)s::bigint END,
       CASE WHEN p.championship_points > 0 THEN %(group)s::bigint END, p.id, %(tournament)s
FROM accounts_player p,
     LATERAL (SELECT nextval('registrations_arrival_number') AS number WHERE p.id IS NOT NULL) n
WHERE p.id = ANY(%(players)s)
"""


@dataclass(frozen=True)
class Person:
    """A verified account with one player, and an address of its own."""

    account: int
    player: int
    email: str
    address: str


def make_people(count: int, *, password: str = "", born: str = "2000-01-01") -> list[Person]:
    """So many new people; those with a `password` can sign in with it (one hash for all of them)."""
    return [person for chunk in people_in_chunks(count, password=password, born=born) for person in chunk]


def people_in_chunks(count: int, *, password: str = "", born: str = "2000-01-01") -> Iterator[list[Person]]:
    """The same for whoever makes millions."""
    stored = make_password(password or None)
    for first in range(0, count, CHUNK):
        run = f"bench-{secrets.token_hex(4)}-"
        given = {"password": stored, "run": run, "born": born, "count": min(CHUNK, count - first)}
        with connection.cursor() as cursor:
            cursor.execute(MAKE, given)
            made = cursor.fetchall()
        yield [Person(*one, _address(first + index)) for index, one in enumerate(made)]


def make_waiting(tournament: Tournament, count: int, *, group: int | None = None) -> None:
    """So many new people who wait in the tournament; who has points enough is in the `group` with this id."""
    divisions = {division.code: division.pk for division in tournament.divisions.all()}
    masters = divisions.get("masters") or next(iter(divisions.values()))
    given = {
        "tournament": tournament.pk,
        "masters": masters,
        "senior": divisions.get("senior", masters),
        "group": group,
        "placed": tournament.drawn_at is not None or not tournament.is_drawn_mode,
    }
    for chunk in people_in_chunks(count):
        with connection.cursor() as cursor:
            cursor.execute(ENTER, {**given, "players": [person.player for person in chunk]})


def sessions(people: Sequence[Person]) -> list[str]:
    """A session key for each, in the order of `people`: kept in the database, and in the cache, as after a visit."""
    engine: Any = import_module(settings.SESSION_ENGINE)
    store = engine.SessionStore()
    expires = timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    passwords = dict(User.objects.filter(pk__in=[person.account for person in people]).values_list("pk", "password"))
    contents = {
        secrets.token_hex(16): {
            SESSION_KEY: str(person.account),
            BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: User(pk=person.account, password=passwords[person.account]).get_session_auth_hash(),
        }
        for person in people
    }
    Session.objects.bulk_create(
        (
            Session(session_key=key, session_data=store.encode(data), expire_date=expires)
            for key, data in contents.items()
        ),
        batch_size=5_000,
    )
    prefix: str = store.cache_key_prefix
    cache.set_many({prefix + key: data for key, data in contents.items()}, timeout=settings.SESSION_COOKIE_AGE)
    return list(contents)


def tokens(people: Sequence[Person]) -> list[str]:
    """An access token for each, in the order of `people`."""
    return [_token(User(pk=person.account)) for person in people]


def _token(account: User) -> str:
    token = AccessToken.for_user(account)
    token.set_exp(lifetime=LIFETIME)
    return str(token)


def _address(index: int) -> str:
    """One of 16 million private addresses."""
    return f"10.{index // 62_500 % 250}.{index // 250 % 250}.{index % 250 + 1}"
