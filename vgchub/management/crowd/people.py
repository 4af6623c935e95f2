"""The accounts of a crowd, made at once: one password hash for all, and sessions for those who are signed in already."""

import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import import_module
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.models import Consent, Player, User

PASSWORD = "crowd-" + secrets.token_hex(8)
CHUNK = 1000


@dataclass(frozen=True)
class Person:
    """Somebody in the crowd: how to sign in, or a session, and an address."""

    number: int
    email: str
    player: int
    address: str
    session: str | None


def make_people(count: int, *, signing_in: int, birth_date: date) -> list[Person]:
    """`count` verified accounts with a player each; the first `signing_in` of them have no session yet."""
    run = secrets.token_hex(3)
    now = timezone.now()
    password = make_password(PASSWORD)
    people: list[Person] = []
    for start in range(0, count, CHUNK):
        numbers = range(start, min(start + CHUNK, count))
        users = User.objects.bulk_create(
            User(email=f"{run}-{n}@crowd.example", password=password, email_verified_at=now) for n in numbers
        )
        EmailAddress.objects.bulk_create(
            EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users
        )
        Consent.objects.bulk_create(
            Consent(account=user, kind=Consent.Kind.TERMS, text_version="crowd") for user in users
        )
        players = Player.objects.bulk_create(
            Player(
                account=user,
                display_name=f"Crowd {n + 1}",
                player_id=str(9 * 10**11 + int(run, 16) * 10**4 + n),
                birth_date=birth_date,
                country="DE",
            )
            for n, user in zip(numbers, users, strict=True)
        )
        sessions = _sessions([user for n, user in zip(numbers, users, strict=True) if n >= signing_in])
        people += [
            Person(n, user.email, player.pk, _address(n), sessions.get(user.pk))
            for n, user, player in zip(numbers, users, players, strict=True)
        ]
    return people


def _sessions(users: list[User]) -> dict[int, str]:
    """A session key for each user, as signing in would have left it."""
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore()
    expires = timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    keys = {user.pk: secrets.token_hex(16) for user in users}
    Session.objects.bulk_create(
        Session(
            session_key=keys[user.pk],
            session_data=store.encode(
                {
                    SESSION_KEY: str(user.pk),
                    BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
                    HASH_SESSION_KEY: user.get_session_auth_hash(),
                }
            ),
            expire_date=expires,
        )
        for user in users
    )
    return keys


def _address(number: int) -> str:
    """One of 16 million private addresses."""
    return f"10.{number // 62500 % 250}.{number // 250 % 250}.{number % 250 + 1}"
