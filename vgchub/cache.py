"""Redis as the cache. It makes the site faster, and the site goes on without it."""

from collections.abc import Callable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django_redis.cache import RedisCache
from django_redis.exceptions import ConnectionInterrupted

# The keys of limits: allauth's on sign-in, sign-up, codes and resets, and django-ratelimit's on other forms.
LIMITS = ("allauth:rl:", "rl:")


class SiteCache(RedisCache):
    """While Redis is away everything is a miss, except the limits, which each process then keeps for itself.

    A miss would do harm there: allauth takes a lock in the cache for each limit, and refuses a sign-in whose lock it
    can't get; django-ratelimit refuses what it can't count.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._here = LocMemCache("limits", {})

    def add(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return self._limit_or(super().add, "add", key, *args, **kwargs)

    def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return self._limit_or(super().get, "get", key, *args, **kwargs)

    def set(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return self._limit_or(super().set, "set", key, *args, **kwargs)

    def delete(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return self._limit_or(super().delete, "delete", key, *args, **kwargs)

    def incr(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return self._limit_or(super().incr, "incr", key, *args, **kwargs)

    def _limit_or(self, usual: Callable[..., Any], verb: str, key: str, *args: Any, **kwargs: Any) -> Any:
        if not key.startswith(LIMITS):
            return usual(key, *args, **kwargs)
        try:
            return getattr(self.client, verb)(key, *args, **kwargs)
        except ConnectionInterrupted:
            return getattr(self._here, verb)(key, *args, **kwargs)
