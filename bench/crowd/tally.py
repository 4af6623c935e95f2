"""What a crowd met: answers and their times, failures and when they were, sockets that were open."""

import time
from collections import Counter, defaultdict
from typing import Any

from bench.load import percentiles


class Tally:
    """Times are of the monotonic clock, which all processes of a machine share."""

    def __init__(self) -> None:
        self._took: dict[str, list[float]] = defaultdict(list)
        self.outcomes: Counter[str] = Counter()
        self.failed: list[tuple[float, float, str]] = []  # when it was sent, when it broke, what it was
        self.looks: list[tuple[float, int, int, int]] = []  # sockets away, requests under way, answers so far
        self.joined: list[float] = []
        self.confirmed: list[float] = []
        self.sockets = 0
        self.away = 0  # sockets that broke and are not back yet
        self.asked = self.answers = 0
        self.lost = 0  # players who gave up

    def answered(self, step: str, began: float) -> None:
        self._took[step].append((time.monotonic() - began) * 1000)

    def failure(self, step: str, what: str, *, sent: float | None = None) -> None:
        """A request that came to nothing, sent now unless `sent` says when."""
        now = time.monotonic()
        self.failed.append((now if sent is None else sent, now, f"{step}: {what}"))

    def look(self) -> None:
        self.looks.append((time.monotonic(), self.away, self.asked - self.answers, self.answers))

    def report(self) -> dict[str, Any]:
        return {
            "steps": {step: {"requests": len(took), **percentiles(took)} for step, took in self._took.items()},
            "outcomes": dict(self.outcomes),
            "failed": self.failed,
            "looks": self.looks,
            "joined": [min(self.joined, default=0.0), max(self.joined, default=0.0), len(self.joined)],
            "lost": self.lost,
        }
