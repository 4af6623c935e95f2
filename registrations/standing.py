"""Where an entry stands, for pages and the API: the published line if there is one, else counted in the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from registrations import queries, sentences
from registrations.line import BLOCK, Expected, block_of, chance_of_seat, minutes_to_wait, position, unpack
from registrations.models import QueueEntry
from registrations.publisher import LineStore, block_field, head_of
from registrations.rules import State
from tournaments.models import Tournament


@dataclass(frozen=True)
class Division:
    """A division's public numbers."""

    seats: int
    confirmed: int
    offered: int
    free: int
    waiting: int
    mean: float
    deviation: float
    offers_in_window: int
    sold_out_at: datetime | None


@dataclass(frozen=True)
class Standing:
    """An entry with what can be said of it now; `position` is None unless it waits in a line."""

    entry: QueueEntry
    division: Division
    position: int | None
    chance: float | None
    minutes: float | None
    sentence: str
    block: str  # the bitmap of its block, base64, or ""

    @property
    def likely(self) -> int:
        """How many of the line a seat will likely come down to."""
        return min(self.division.waiting, sentences.half_up(self.division.mean))

    @property
    def field(self) -> str:
        """The name of its block in the published line, or "" without a place."""
        entry = self.entry
        return "" if entry.place is None else block_field(entry.division_id, entry.priority, block_of(entry.place))


def standings(tournament: Tournament, entries: list[QueueEntry]) -> tuple[list[Standing], dict[str, Any]]:
    """The standing of each entry, and the head of the line that they were read from (one round trip to Redis)."""
    fields = [
        block_field(e.division_id, e.priority, block_of(e.place))
        for e in entries
        if e.state == State.WAITING and e.place is not None
    ]
    head, blocks = LineStore(tournament.pk).read(fields)
    head = head or head_of(tournament, None)
    return [_standing(entry, head, blocks) for entry in entries], head


def _standing(entry: QueueEntry, head: dict[str, Any], blocks: dict[str, str]) -> Standing:
    numbers = dict(head["divisions"][str(entry.division_id)])
    lanes = numbers.pop("lanes", [])
    numbers.pop("code", None)
    sold_out_at = numbers.pop("sold_out_at")
    division = Division(**numbers, sold_out_at=sold_out_at and datetime.fromisoformat(sold_out_at))
    if entry.state != State.WAITING or entry.place is None:
        still = sentences.standing_still(
            entry, seats=division.seats, sold_out_at=division.sold_out_at, now=timezone.now()
        )
        return Standing(entry, division, None, None, None, still, "")
    block = blocks.get(block_field(entry.division_id, entry.priority, block_of(entry.place)), "")
    own = position(lanes, unpack(block), entry.priority, entry.place) if _in_block(block, entry.place) else None
    own = own or queries.queue_position(entry) or 1
    chance = chance_of_seat(own, Expected(division.mean, division.deviation))
    minutes = minutes_to_wait(own, division.offers_in_window, queries.PACE_WINDOW.total_seconds() / 60)
    sentence = sentences.waiting(
        {
            "position": own,
            "division": entry.division.name,
            "seats": division.seats,
            "open": division.free + division.offered,
            "chance": chance,
            "minutes": minutes,
            "paused": head["paused"],
        }
    )
    return Standing(entry, division, own, chance, minutes, sentence, block)


def _in_block(block: str, place: int) -> bool:
    """Whether the published block knows this entry yet: somebody who joined this very second is not in it."""
    return bool(block) and bool(unpack(block) >> (place % BLOCK) & 1)
