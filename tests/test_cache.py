"""The cache, with and without Redis."""

import time

import pytest
from allauth.core.internal.ratelimit import cache_lock
from django.core.cache import caches
from pytest_django import Settings

AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture
def without_redis(settings: Settings) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": AWAY}}


def test_limits_are_kept_in_redis_for_all_processes() -> None:
    caches["default"].set("allauth:rl:shared", [1.0], 60)

    assert caches["default"].get("allauth:rl:shared") == [1.0]
    assert caches["default"]._here.get("allauth:rl:shared") is None  # type: ignore[attr-defined]  # our SiteCache


@pytest.mark.usefixtures("without_redis")
def test_without_redis_pages_find_nothing_in_the_cache() -> None:
    caches["default"].set("page", "text", 60)

    assert caches["default"].get("page", "default") == "default"


@pytest.mark.usefixtures("without_redis")
def test_without_redis_limits_go_on_and_locks_are_had_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allauth.core.internal.ratelimit.CACHE_LOCK_WAIT_TIMEOUT", 20)
    begun = time.monotonic()
    with cache_lock("allauth:rl:login") as first, cache_lock("allauth:rl:other") as second:
        caches["default"].set("allauth:rl:login", [1.0], 60)

    assert (first, second) == (True, True)
    assert caches["default"].get("allauth:rl:login") == [1.0]
    assert time.monotonic() - begun < 10
