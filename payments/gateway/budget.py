"""One budget for all calls to Stripe: so many a second at each endpoint, counted for the whole site in Redis.

Who waits at a page may use all of it. Sweeps, batches and comparisons leave a quarter. And whoever is at Stripe, or waits for a
turn there, stands aside (`vgchub/threads.py`), so that neither keeps threads or connections from those who only join.
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
from vgchub.threads import ASIDE, FairLock, aside

BUDGET = "budget"  # the code of the error when no turn came
BACKGROUND_SHARE = 0.75
# Seconds that a call waits for a turn: urgent ones, and all others. In the first 300 are let through, 20 a second, for which two
# processes have places. No more than what is left of a page's planned end beyond Stripe's shortest (SESSION_STARTABLE).
PATIENCE = {True: 15.0, False: 5.0}
SHORTEST_WAIT, LONGEST_WAIT = 0.01, 0.25

IS_ID = re.compile(r"[A-Z]|\d")  # names of collections have neither

_urgent: ContextVar[bool] = ContextVar("urgent", default=False)
_places = BoundedSemaphore(ASIDE)
# Of this process' threads one at a time asks Redis for a turn.
_queues: dict[tuple[str, str, bool], FairLock] = {}


@contextmanager
def urgently() -> Iterator[None]:
    """Calls made in here have somebody waiting for them: they come first, and await a silent Stripe less. A decorator, too."""
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
    scope, endpoint = f"stripe:{(headers or {}).get('Stripe-Account', '')}", endpoint_of(method, url)
    urgent = is_urgent()
    limits = _limits(endpoint)[:1] if urgent else _limits(endpoint)
    ends = time.monotonic() + PATIENCE[urgent]
    queue = _queues.setdefault((scope, endpoint, urgent), FairLock())
    if not queue.acquire(timeout=PATIENCE[urgent]):
        raise _no_turn()
    try:
        while (wait := _wait_for(scope, limits)) is not None:
            if time.monotonic() + wait > ends:
                raise _no_turn()
            # Others wait for the same moment: what comes in between is seen by looking again.
            time.sleep(min(max(wait, SHORTEST_WAIT), LONGEST_WAIT))
    finally:
        queue.release()


def _wait_for(scope: str, limits: list[Limit]) -> float | None:
    """Take a turn; or how many seconds there is none."""
    try:
        take(scope, limits)
    except TooManyRequestsError as error:
        return max(microseconds for _limit, microseconds in error.waits) / SECOND
    return None


def _no_turn() -> GatewayAwayError:
    return GatewayAwayError("So many calls to Stripe are made that this one has to wait.", BUDGET)


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
