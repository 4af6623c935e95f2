"""The databases that tests run on."""

import pytest
from django.core.cache import cache
from django.db import connection

from accounts.models import User
from tests.settings import of_this_worker


def test_worker_environment_is_of_the_worker_alone() -> None:
    given = {"DATABASE_URL": "postgres://a:b@127.0.0.1:1/site", "REDIS_URL": "redis://127.0.0.1:2/0"}
    whole = of_this_worker(given)
    assert whole["DATABASE_URL"] == "postgres://a:b@127.0.0.1:1/site_test"
    assert whole["REDIS_URL"] == "redis://127.0.0.1:2/1"
    second = of_this_worker(whole | {"PYTEST_XDIST_WORKER": "gw1"})
    assert second["DATABASE_URL"] == "postgres://a:b@127.0.0.1:1/site_test_gw1"
    assert second["REDIS_URL"] == "redis://127.0.0.1:2/2"
    assert of_this_worker(second | {"PYTEST_XDIST_WORKER": "gw1"}) == second


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.django_db(transaction=True)
def test_committed_rows_and_cached_values_are_gone_in_the_next_test(turn: int) -> None:
    assert not User.objects.exists()
    assert cache.get("turn") is None
    assert not connection.in_atomic_block
    User.objects.create(email="alice@example.org")
    cache.set("turn", turn)


@pytest.mark.django_db
def test_migrations_own_rows_stay() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auth_permission")
        assert cursor.fetchone()[0] > 100
