"""How well the outside services answer, counted in Redis by the minute; without Redis nobody can tell, and all counts as well."""

import contextlib
import time

from django.core.cache import cache

WINDOW_SECONDS = 60
# Too few calls say nothing: one declined of two is no outage.
MIN_CALLS = 10


def record_call(service: str, *, ok: bool) -> None:
    """Count one call to `service` (such as "checkout")."""
    key = _key(service, ok, _slot())
    cache.add(key, 0, timeout=WINDOW_SECONDS * 2)
    with contextlib.suppress(ValueError):  # it expired between the two calls, or there is no cache
        cache.incr(key)


def failing_share(service: str) -> float:
    """The share of calls that failed within about the last minute, 0.0 to 1.0."""
    slots = [_slot(), _slot() - 1]
    counts = cache.get_many([_key(service, ok, slot) for ok in (True, False) for slot in slots])
    bad = sum(count for key, count in counts.items() if ":bad:" in key)
    total = sum(counts.values())
    return bad / total if total >= MIN_CALLS else 0.0


def offer_pace() -> float:
    """What share of the usual pace offers may have: half above 5% failed checkouts, none above 20%."""
    failing = failing_share("checkout")
    if failing > 0.20:
        return 0.0
    return 0.5 if failing > 0.05 else 1.0


def _slot() -> int:
    return int(time.time()) // (WINDOW_SECONDS // 2)


def _key(service: str, ok: bool, slot: int) -> str:
    return f"health:{service}:{'ok' if ok else 'bad'}:{slot}"
