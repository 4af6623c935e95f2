"""The published line as the sockets get it: each text is read once, however many sockets it comes to."""

import base64
import json
import time
from bisect import bisect_left
from itertools import accumulate
from typing import Any

BLOCK = 1024
KEPT = 64  # texts that may still be on their way to somebody


class Text:
    """One text of the live process, with when the first and the last socket had it."""

    __slots__ = ("blocks", "confirmed", "first", "head", "in_it", "kind", "last", "times")

    def __init__(self, payload: bytes, now: float) -> None:
        message = json.loads(payload)
        self.kind: str = message["kind"]
        self.head: dict[str, Any] = message.get("head") or {}
        self.blocks = {field: base64.b64decode(bits) for field, bits in message.get("blocks", {}).items()}
        divisions = self.head.get("divisions", {}).values()
        self.confirmed = sum(division["confirmed"] for division in divisions)
        self.in_it = self.confirmed + sum(division["waiting"] + division["offered"] for division in divisions)
        self.first = self.last = now
        self.times = 0


class Lines:
    """What was published so far, and how late its last reader had it."""

    def __init__(self) -> None:
        self._known: dict[bytes, Text] = {}
        self._published: list[Text] = []

    def read(self, payload: bytes, *, broadcast: bool) -> Text:
        """`broadcast` is what comes to all at once; the greeting of a socket that opens says nothing about lateness."""
        now = time.monotonic()
        text = self._known.get(payload)
        if text is None:
            text = self._known[payload] = Text(payload, now)
            if len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
        if broadcast and text.kind == "line":
            if not text.times:
                self._published.append(text)
            text.last = now
            text.times += 1
        return text

    def spread(self) -> float:
        """The longest time between the first and the last socket that got a text."""
        return max((text.last - text.first for text in self._published), default=0.0)

    def lag(self, joined: list[float], confirmed: list[float]) -> float:
        """The longest time from a join or a confirmation, as its player had the answer, to the last socket that showed it.

        Joins count until somebody confirmed: from then on players leave the line as well.
        """
        filling = [text for text in self._published if not text.confirmed]
        return max(
            _longest(joined, [text.in_it for text in filling], [text.last for text in filling]),
            _longest(confirmed, [text.confirmed for text in self._published], [text.last for text in self._published]),
        )


def _longest(happened: list[float], counts: list[int], shown: list[float]) -> float:
    """`counts[i]` of what happened were known to everybody at `shown[i]`; both grow."""
    known = list(accumulate(counts, max))
    longest = 0.0
    for number, at in enumerate(sorted(happened), 1):
        index = bisect_left(known, number)
        if index == len(known):
            break
        longest = max(longest, shown[index] - at)
    return longest


def stands_in(bits: bytes, place: int) -> bool:
    bit = place % BLOCK
    return bool(bits[bit >> 3] >> (bit & 7) & 1)
