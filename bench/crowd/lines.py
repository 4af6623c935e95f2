"""The published line as the sockets get it: each text is read once, however many sockets it comes to."""

import base64
import json
import time
from bisect import bisect_left
from itertools import accumulate
from typing import Any

BLOCK = 1024
KEPT = 64  # personal texts; a line's are all kept, since some socket may still be without it


class Move:
    """One state of the line as it was published, with when the first and the last page had it."""

    __slots__ = ("confirmed", "first", "head", "in_it", "last", "number", "offered", "times")

    def __init__(self, number: int, head: dict[str, Any]) -> None:
        self.number, self.head = number, head
        divisions = head.get("divisions", {}).values()
        self.confirmed = sum(division["confirmed"] for division in divisions)
        self.offered = sum(division["offered"] for division in divisions)
        self.in_it = self.confirmed + self.offered + sum(division["waiting"] for division in divisions)
        self.first = self.last = 0.0
        self.times = 0

    def show(self, now: float) -> None:
        if not self.times:
            self.first = now
        self.last = now
        self.times += 1


class Text:
    """One text of the live process; `move` is None unless it says how the line stands."""

    __slots__ = ("blocks", "kind", "move")

    def __init__(self, kind: str, blocks: dict[str, bytes], move: Move | None) -> None:
        self.kind, self.blocks, self.move = kind, blocks, move


class Published:
    """What was published so far, and how late its last reader had it."""

    def __init__(self) -> None:
        self._lines: dict[bytes, Text] = {}
        self._others: dict[bytes, Text] = {}
        self._moves: list[Move] = []

    def text(self, payload: bytes) -> Text:
        """Read once, however many sockets get it."""
        return self._lines.get(payload) or self._others.get(payload) or self._new(payload)

    @property
    def latest(self) -> Move | None:
        return self._moves[-1] if self._moves else None

    def spread(self) -> float:
        """The longest time between the first and the last page that got a text."""
        return max((move.last - move.first for move in self._moves if move.times), default=0.0)

    def lag(self, joined: list[float], confirmed: list[float], *, ends: float) -> float:
        """The longest time from a join or a confirmation, as its player had the answer, to the last page that showed it.

        What was never shown is as late as the run is long, which ends at `ends`. Joins count until the first offers are shown: from
        then on players leave the line as well.
        """
        moves = [move for move in self._moves if move.times]
        offering = next((number for number, move in enumerate(moves) if move.offered or move.confirmed), None)
        filling = moves if offering is None else moves[: offering + 1]
        until = ends if offering is None else moves[offering].first
        return max(
            _longest(joined, [(move.in_it, move.last) for move in filling], until=until),
            _longest(confirmed, [(move.confirmed, move.last) for move in moves], until=ends),
        )

    def _new(self, payload: bytes) -> Text:
        message = json.loads(payload)
        kind: str = message["kind"]
        blocks = {field: base64.b64decode(bits) for field, bits in (message.get("blocks") or {}).items()}
        if kind == "line":
            text = self._lines[payload] = Text(kind, blocks, self._move(message["head"]))
            return text
        text = self._others[payload] = Text(kind, blocks, None)
        if len(self._others) > KEPT:
            del self._others[next(iter(self._others))]
        return text

    def _move(self, head: dict[str, Any]) -> Move:
        """The same in all texts that differ in their blocks alone: a socket that opens gets its own ones."""
        if not self._moves or self._moves[-1].head != head:
            self._moves.append(Move(len(self._moves), head))
        return self._moves[-1]


class Lines:
    """What one page is sent; `shown` is the move that it shows."""

    __slots__ = ("_published", "shown")

    def __init__(self, published: Published) -> None:
        self._published = published
        self.shown: Move | None = None

    def read(self, payload: bytes, *, broadcast: bool) -> Text:
        """`broadcast` is what comes to all at once; the greeting of a socket that opens says nothing about lateness."""
        text = self._published.text(payload)
        if text.move is not None and (self.shown is None or self.shown.number < text.move.number):
            self.shown = text.move
            if broadcast:
                text.move.show(time.monotonic())
        return text


def _longest(happened: list[float], shown: list[tuple[int, float]], *, until: float) -> float:
    """`shown` are (how many of what happened were known, when to everybody); what `until` then was not is late until then."""
    known = list(accumulate((count for count, _at in shown), max))
    longest = 0.0
    for number, at in enumerate(sorted(happened), 1):
        index = bisect_left(known, number)
        longest = max(longest, (shown[index][1] if index < len(known) else until) - at)
    return longest


def stands_in(bits: bytes, place: int) -> bool:
    bit = place % BLOCK
    return bool(bits[bit >> 3] >> (bit & 7) & 1)
