"""One budget for all calls to Stripe: so many a second at each endpoint, counted for the whole site in Redis.

Who waits at a page may use all of it. Sweeps, batches and comparisons leave a quarter, and wait for their turn. And whoever is at
Stripe stands aside (`vgchub/threads.py`), so that a slow one keeps neither threads nor connections from those who only join.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import BoundedSemaphore
from urllib.parse import urlsplit

from django.conf import settings

from payments.gateway.errors import GatewayAwayError
from vgchub.limits import SECOND, Limit, TooManyRequestsError, take
from vgchub.threads import ASIDE, aside

BUDGET = "budget"  # the code of the error when no turn came
BACKGROUND_SHARE = 0.75
PATIENCE = {True: 2.0, False: 5.0}  # seconds to wait for a turn: urgent calls, and all others
SHORTEST_WAIT, LONGEST_WAIT = 0.01, 0.25

IS_ID = re.compile(r"[A-Z]|\d")  # names of collections have neither

_urgent: ContextVar[bool] = ContextVar("urgent", default=False)
_places = BoundedSemaphore(ASIDE)


@contextmanager
def urgently() -> Iterator[None]:
    """Calls made in here have somebody waiting for them: they come first, and give up sooner. Decorates functions, too."""
    before = _urgent.set(True)
    try:
        yield
    finally:
        _urgent.reset(before)


def is_urgent() -> bool:
    return _urgent.get()


@contextmanager
def place() -> Iterator[None]:
    """Around each request to Stripe, and its wait for a turn: the thread stands aside.

    Raises:
        GatewayAwayError: with the code "budget": as many of this process' threads as may are there and stay. Stripe was not asked.
    """
    if not _places.acquire(blocking=False):
        raise GatewayAwayError("So many wait for Stripe that this call has to come later.", BUDGET)
    try:
        with aside():
            yield
    finally:
        _places.release()


def wait_for_turn(method: str, url: str, headers: Mapping[str, str] | None) -> None:
    """Return once this request may be made, and count it.

    Raises:
        GatewayAwayError: with the code "budget": so many calls are made that no turn came. Stripe was not asked.
    """
    scope = f"stripe:{(headers or {}).get('Stripe-Account', '')}"
    limits, urgent = _limits(endpoint_of(method, url)), is_urgent()
    ends = time.monotonic() + PATIENCE[urgent]
    while True:
        try:
            take(scope, limits[:1] if urgent else limits)
        except TooManyRequestsError as error:
            wait = max(microseconds for _limit, microseconds in error.waits) / SECOND
            if time.monotonic() + wait > ends:
                raise GatewayAwayError("So many calls to Stripe are made that this one has to wait.", BUDGET) from error
            # Others wait for the same moment: what comes in between is seen by looking again.
            time.sleep(min(max(wait, SHORTEST_WAIT), LONGEST_WAIT))
        else:
            return


def endpoint_of(method: str, url: str) -> str:
    """What a call is counted on, such as "POST /v1/payment_intents/*/capture"."""
    version, *parts = urlsplit(url).path.strip("/").split("/")
    return f"{method.upper()} /{'/'.join([version, *('*' if IS_ID.search(part) else part for part in parts)])}"


def _limits(endpoint: str) -> list[Limit]:
    whole = max(1, settings.STRIPE_CALLS_PER_SECOND)
    return [
        Limit("all", endpoint, whole, 1),
        Limit("background", endpoint, max(1, int(whole * BACKGROUND_SHARE)), 1),
    ]
