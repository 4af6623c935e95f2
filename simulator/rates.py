"""Rate limits: so many requests a second for an account, or for addresses; off unless the control endpoint sets them."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from time import monotonic

from simulator.errors import ApiError

MESSAGE = "Request rate limit exceeded. You can learn more about rate limits here https://docs.stripe.com/rate-limits."
ACCOUNT = "*"


@dataclass
class Rates:
    """`limits` maps a pattern of addresses to requests a second; `*` is the account's own. In memory."""

    clock: Callable[[], float] = monotonic
    limits: dict[str, int] = field(default_factory=dict)
    passed: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def check(self, account: str, path: str) -> None:
        """Count the request, or refuse it; a refused one counts nowhere."""
        now = self.clock()
        windows = []
        for pattern, limit in self.limits.items():
            if not fnmatchcase(path, pattern):
                continue
            window = self.passed.setdefault((account, pattern), deque())
            while window and window[0] <= now - 1:
                window.popleft()
            if len(window) >= limit:
                raise _exceeded("global-rate" if pattern == ACCOUNT else "endpoint-rate")
            windows.append(window)
        for window in windows:
            window.append(now)

    def set(self, pattern: str, per_second: int) -> None:
        if per_second < 1:
            raise ValueError("per_second is at least 1")
        self.limits[pattern] = per_second

    def clear(self) -> None:
        self.limits.clear()
        self.passed.clear()


def _exceeded(reason: str) -> ApiError:
    error = ApiError(429, MESSAGE, code="rate_limit", began=False)
    error.headers = {"Stripe-Rate-Limited-Reason": reason}
    return error
