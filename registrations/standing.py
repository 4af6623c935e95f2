"""Where an entry stands, for pages and the API: the published line if there is one, else counted in the database."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from registrations import queries, sentences
from registrations.line import BLOCK, Expected, chance_of_seat, counted_up_to, minutes_to_wait, position, unpack
from registrations.models import QueueEntry
from registrations.publisher import LineStore, field_of, head_of
from registrations.rules import State
from tournaments.models import Tournament
from vgchub import live
from vgchub.shelf import shelf


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
class InDraw:
    """What the draw says of an entry: its chance of a seat before (None if not known), its place in the division after.

    `left_out` is the sentence of one that was not sealed.
    """

    chance: float | None = None
    place: int | None = None
    left_out: str = ""


@dataclass(frozen=True)
class Standing:
    """An entry with what can be said of it now; `position` is None unless it waits in a line.

    `until` is how long the sentence holds, however the line moves; None for one that moves with it.
    """

    entry: QueueEntry
    division: Division
    position: int | None
    chance: float | None
    minutes: float | None
    sentence: str
    block: str  # the bitmap of its block, base64, or ""
    until: datetime | None = None

    @property
    def waiting(self) -> int:
        """How many wait in the division; the published line may not count this entry yet."""
        return max(self.division.waiting, self.position or 0)

    @property
    def likely(self) -> int:
        """How many of the line a seat will likely come down to."""
        return min(self.division.waiting, sentences.half_up(self.division.mean))

    @property
    def field(self) -> str:
        """The name of its block in the published line, or "" where it stands in none."""
        return field_of(self.entry)


def standings(
    tournament: Tournament, entries: list[QueueEntry], drawing: Mapping[int, InDraw] | None = None
) -> tuple[list[Standing], dict[str, Any]]:
    """The standing of each entry, and the head of the line that they were read from.

    One round trip to Redis, and a statement for each entry that joined after the line was published. `drawing` has what the draw
    says, by entry id.
    """
    head, blocks = LineStore(tournament.pk).read([field for entry in entries if (field := field_of(entry))])
    if head is None or any(str(entry.division_id) not in head["divisions"] for entry in entries):
        head, blocks = _counted(tournament), {}  # nothing is published, or one of the divisions is newer
    nothing = InDraw()
    return [_standing(entry, head, blocks, (drawing or {}).get(entry.pk, nothing)) for entry in entries], head


def _counted(tournament: Tournament) -> dict[str, Any]:
    """The head from the database, made once a second; of rules as new as the entries', so that it has their divisions."""
    made = shelf.take(
        f"head:{tournament.pk}:{tournament.rules_version}", lambda: live.compact(head_of(tournament)).encode()
    )
    head: dict[str, Any] = json.loads(made)
    return head


def _standing(entry: QueueEntry, head: dict[str, Any], blocks: dict[str, str], drawn: InDraw) -> Standing:
    numbers = dict(head["divisions"][str(entry.division_id)])
    lanes = numbers.pop("lanes", [])
    numbers.pop("code", None)
    sold_out_at = numbers.pop("sold_out_at")
    division = Division(**numbers, sold_out_at=sold_out_at and datetime.fromisoformat(sold_out_at))
    if entry.state != State.WAITING or entry.place is None:
        still = sentences.standing_still(
            entry, seats=division.seats, sold_out_at=division.sold_out_at, chance=drawn.chance, now=timezone.now()
        )
        return Standing(entry, division, None, None, None, drawn.left_out or still, "")
    block = blocks.get(field_of(entry), "")
    own = _position(entry, entry.place, lanes, block)
    chance = chance_of_seat(own, Expected(division.mean, division.deviation))
    until = entry.tournament.offers_begin_at
    if drawn.place and until and until > (now := timezone.now()):
        sentence = sentences.drawn(entry, drawn.place, division.seats, now)
        return Standing(entry, division, own, chance, None, sentence, block, until)
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


def _position(entry: QueueEntry, place: int, lanes: list[dict[str, Any]], block: str) -> int:
    """As published. Who joined since is not in that yet, and counted from the last block that is in it."""
    bits = unpack(block)
    if bits >> (place % BLOCK) & 1 and (own := position(lanes, bits, entry.priority, place)):
        return own
    if known := counted_up_to(lanes, entry.priority, place):
        first_place, before = known
        return before + queries.waiting_between(entry, first_place) + 1
    return queries.queue_position(entry) or 1
