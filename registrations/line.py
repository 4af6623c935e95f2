"""The line as the world sees it: who waits in each block of 1,024 places. Pure; the clock publishes it, readers find themselves.

A lane is one division and one priority. A block holds the entries whose place // 1024 is its number (negative ones too), as a
bitmap of 1,024 bits: bit n stands for place number * 1024 + n. Whoever knows the own place, how many wait before the own block,
and the own block's bitmap, knows the exact position.
"""

import base64
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

BLOCK = 1024
BLOCK_BYTES = BLOCK // 8


@dataclass(frozen=True, order=True)
class Lane:
    """Lanes of a division sort in the order in which they are served: the highest priority first."""

    division_id: int
    behind: int  # minus the priority

    @classmethod
    def of(cls, division_id: int, priority: int) -> "Lane":
        return cls(division_id, -priority)

    @property
    def priority(self) -> int:
        return -self.behind


def block_of(place: int) -> int:
    return place // BLOCK


def bitmap(places: Iterable[int]) -> int:
    """The bits of the given places, which are all of one block."""
    bits = 0
    for place in places:
        bits |= 1 << (place % BLOCK)
    return bits


def pack(bits: int) -> str:
    """A bitmap as base64 text: byte n // 8, bit n % 8 (least significant first) stands for the n-th place of the block."""
    return base64.b64encode(bits.to_bytes(BLOCK_BYTES, "little")).decode("ascii")


def unpack(text: str) -> int:
    return int.from_bytes(base64.b64decode(text), "little")


def ahead_in_block(bits: int, place: int) -> int:
    """How many of the block stand before `place`."""
    return (bits & ((1 << (place % BLOCK)) - 1)).bit_count()


@dataclass
class Line:
    """All that wait in one tournament: lane -> block number -> bitmap. Empty blocks are left out."""

    lanes: dict[Lane, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))

    def replace(self, lane: Lane, block: int, bits: int) -> bool:
        """Set one block; returns whether that changed anything."""
        blocks = self.lanes[lane]
        if blocks.get(block, 0) == bits:
            return False
        if bits:
            blocks[block] = bits
        else:
            del blocks[block]
        return True

    def waiting_counts(self) -> dict[int, int]:
        """Division id -> how many wait."""
        counts: dict[int, int] = defaultdict(int)
        for lane, blocks in self.lanes.items():
            counts[lane.division_id] += sum(bits.bit_count() for bits in blocks.values())
        return counts

    def head(self, division_id: int) -> list[dict[str, object]]:
        """The division's lanes in order: `[{lane, blocks: [[number, how many of the division stand before it], ...]}]`."""
        before = 0
        lanes = []
        for lane in sorted(lane for lane in self.lanes if lane.division_id == division_id):
            blocks = []
            for number, bits in sorted(self.lanes[lane].items()):
                blocks.append([number, before])
                before += bits.bit_count()
            lanes.append({"lane": lane.priority, "blocks": blocks})
        return lanes


def position(head: Iterable[Mapping[str, object]], bits: int, priority: int, place: int) -> int | None:
    """The exact position, 1 is next, from a published head and the own block's bitmap; None if that block is not in it."""
    for number, before in _blocks_of(head, priority):
        if number == block_of(place):
            return before + ahead_in_block(bits, place) + 1
    return None


def counted_up_to(head: Iterable[Mapping[str, object]], priority: int, place: int) -> tuple[int, int] | None:
    """Where to count on from for a place that is not published yet; None if the lane has no block so far ahead.

    Returns the first place of the last block that is published, and how many of the division stand before that.
    """
    blocks = _blocks_of(head, priority)
    return max(((number * BLOCK, before) for number, before in blocks if number <= block_of(place)), default=None)


def _blocks_of(head: Iterable[Mapping[str, object]], priority: int) -> list[list[int]]:
    for lane in head:
        if lane["lane"] == priority:
            blocks: list[list[int]] = lane["blocks"]  # type: ignore[assignment]
            return blocks
    return []


@dataclass(frozen=True)
class Flow:
    """What has happened to a division's offers so far."""

    free: int
    offered: int
    confirmed: int
    taken_up: int  # offers that ended in a confirmation
    missed: int  # offers that ended otherwise
    cancelled: int  # of those taken up, how many were given back


@dataclass(frozen=True)
class Expected:
    """How many seats will still come down the line: mean and standard deviation."""

    mean: float
    deviation: float


def expected_seats(flow: Flow) -> Expected:
    """Seats that are sure to come are the free ones; besides, an open offer is missed, and a confirmed seat given back.

    How often is what was seen so far, each started at imagined counts (3 of 20 missed, 1 of 33 given back), so that the first few
    don't decide.
    """
    miss = (flow.missed + 3) / (flow.taken_up + flow.missed + 20)
    back = (flow.cancelled + 1) / (flow.taken_up + 33)
    # Every seat that is still free is offered, and may be missed, on its way down.
    to_offer = flow.offered + flow.free
    mean = flow.free + to_offer * miss + flow.confirmed * back
    variance = to_offer * miss * (1 - miss) + flow.confirmed * back * (1 - back)
    return Expected(round(mean, 3), round(math.sqrt(variance), 3))


def chance_of_seat(position: int, expected: Expected) -> float:
    """An estimate, 0.0 to 1.0, that a seat comes down to `position`: the number of seats taken as normal."""
    if not expected.deviation:
        return 1.0 if expected.mean >= position else 0.0
    return 0.5 * math.erfc((position - 0.5 - expected.mean) / (expected.deviation * math.sqrt(2)))


def minutes_to_wait(position: int, offers_in_window: int, window_minutes: float) -> float | None:
    """At today's pace; None when nothing has moved in the window."""
    if not offers_in_window:
        return None
    return position * window_minutes / offers_in_window
