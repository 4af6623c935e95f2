"""What the probes say, with and without what stands behind the site."""

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from vgchub import limits

pytestmark = pytest.mark.django_db

WELL = {"status": "ok", "database": "ok", "redis": "ok", "limits": "shared"}


def test_a_process_that_answers_lives_and_asks_nobody(
    client: Client, settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    with django_assert_num_queries(0):
        answer = client.get("/health/live/")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_process_with_all_that_it_needs_is_ready(client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True  # whoever probes comes from inside, without TLS
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.json()) == (200, WELL)
    assert "no-store" in answer["Cache-Control"]


def test_without_redis_it_is_ready_and_says_what_is_missing(client: Client, settings: Settings) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    limits.forget()
    answer = client.get("/health/ready/")
    assert answer.status_code == 200
    assert answer.json() == {**WELL, "status": "degraded", "redis": "away", "limits": "of each process"}


def test_without_the_database_it_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "cursor", away)
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.json()) == (503, {**WELL, "status": "away", "database": "away"})
