"""What every test stands on: a database and a Redis of its worker's own, both empty."""

import os
from collections.abc import Iterator

import pytest
import redis
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

from tests.databases import Emptier, make_worker_database


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """In place of pytest-django's: the worker's own database, copied from a template that is migrated once."""
    url = os.environ["DATABASE_URL"]
    make_worker_database(url)
    emptier = Emptier(url)
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _self: emptier.empty())
        yield


@pytest.fixture(scope="session")
def _redis_of_worker() -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


@pytest.fixture(autouse=True)
def _empty_redis(_redis_of_worker: "redis.Redis") -> None:
    """No test sees another's cache, limits or jobs."""
    _redis_of_worker.flushdb()
