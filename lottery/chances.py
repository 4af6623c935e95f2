"""The chances of everybody in a draw, as they stand: from the cache, where one process at a time puts them."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.core.cache import cache
from django.db.models import Count

from lottery import sentences
from lottery.models import Draw, DrawEntry, LeftOut
from lottery.odds import Odds, odds_in_time
from lottery.queries import divisions_of, group_codes, sealed_divisions
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.standing import InDraw
from tournaments.models import Tournament

FRESH_SECONDS = 15  # while entries still come
KEPT_SECONDS = 3600
COMPUTING_SECONDS = 20  # who computes is trusted so long to come to an end

Entrants = dict[str, Counter[tuple[str | None, int]]]  # division code -> (group code, tickets) -> how many


@dataclass(frozen=True)
class Chances:
    """The odds by division code; its groups are called as in a manifest."""

    divisions: Mapping[str, Odds]

    def of(self, division: str, group: str | None, tickets: int) -> float | None:
        """The chance of an entry, or None if nobody of its kind was there when the table was made."""
        rows = self.divisions[division].rows if division in self.divisions else ()
        return next((row.chance for row in rows if (row.group, row.tickets) == (group, tickets)), None)

    def named(self, division: str, names: Mapping[str, str]) -> Odds:
        """A division's odds with the groups by their names."""
        found = self.divisions[division]
        rows = (replace(row, group=names.get(row.group, row.group)) if row.group else row for row in found.rows)
        return replace(found, rows=tuple(rows))


def chances_of(draw: Draw) -> Chances | None:
    """The chances in a draw that is not drawn yet, at most some seconds old; None while another process computes the first ones.

    A sealed draw's are computed once.
    """
    key = f"draw-chances:{draw.public_id}:{draw.state}"
    known: tuple[float, Chances] | None = cache.get(key)
    fresh = known is not None and (draw.state != Draw.State.OPEN or time.time() - known[0] < FRESH_SECONDS)
    if fresh or not cache.add(f"{key}:computing", 1, timeout=COMPUTING_SECONDS):
        return known[1] if known else None
    try:
        found = _computed(draw)
        cache.set(key, (time.time(), found), timeout=KEPT_SECONDS)
    finally:
        cache.delete(f"{key}:computing")
    return found


def in_draw(tournament: Tournament, entries: Iterable[QueueEntry], now: datetime) -> dict[int, InDraw]:
    """Entry id -> what the draw says of it, for those of one tournament that wait: their chances before it, their places from the
    draw to the first offer. The others are left out.
    """
    waiting = [entry for entry in entries if entry.state == State.WAITING]
    if not waiting or not tournament.is_drawn_mode:
        return {}
    begin = tournament.offers_begin_at
    if begin is None:
        return _chances_of(tournament, [entry for entry in waiting if entry.place is None])
    return _places_of(tournament, waiting) if begin > now else {}


def _chances_of(tournament: Tournament, waiting: list[QueueEntry]) -> dict[int, InDraw]:
    draw = tournament.draws.standing().first() if waiting else None
    table = chances_of(draw) if draw else None
    if draw is None or table is None:
        return {}
    left_out = LeftOut.objects.filter(draw=draw, entry__in=waiting) if draw.state == Draw.State.SEALED else []
    found = {row.entry_id: InDraw(left_out=sentences.why_left_out(row)) for row in left_out}
    codes = group_codes(tournament)
    for entry in waiting:
        group = codes[entry.group_id] if entry.group_id else None
        chance = table.of(entry.division.code, group, entry.group.tickets if entry.group else 1)
        found.setdefault(entry.pk, InDraw(chance=chance))
    return found


def _places_of(tournament: Tournament, waiting: list[QueueEntry]) -> dict[int, InDraw]:
    rows = DrawEntry.objects.filter(draw__tournament=tournament, draw__state=Draw.State.DRAWN, entry__in=waiting)
    return {pk: InDraw(place=place) for pk, place in rows.values_list("entry", "division_rank")}


def _computed(draw: Draw) -> Chances:
    tournament = draw.tournament
    is_open = draw.state == Draw.State.OPEN
    divisions = sealed_divisions(tournament) if is_open else divisions_of(draw)
    entrants = _waiting(tournament) if is_open else _sealed(draw)
    return Chances(
        {
            division.code: odds_in_time(
                division.unreserved,
                {reserve.group: reserve.seats for reserve in division.reserved},
                entrants.get(division.code, Counter()),
                releases_reserved=tournament.releases_reserved,
            )
            for division in divisions
        }
    )


def _waiting(tournament: Tournament) -> Entrants:
    """Everybody who waits for the draw, also who has still to prove an address: the chance if all of them are drawn."""
    codes = group_codes(tournament)
    rows = QueueEntry.objects.waiting().filter(tournament=tournament, place=None).order_by()
    return _counted(
        (division, codes[group] if group else "", tickets or 1, count)
        for division, group, tickets, count in rows.values_list("division__code", "group", "group__tickets").annotate(
            Count("pk")
        )
    )


def _sealed(draw: Draw) -> Entrants:
    rows = DrawEntry.objects.filter(draw=draw).order_by()
    return _counted(rows.values_list("division", "group", "tickets").annotate(Count("pk")))


def _counted(rows: Iterable[tuple[str, str, int, int]]) -> Entrants:
    entrants: Entrants = {}
    for division, group, tickets, count in rows:
        entrants.setdefault(division, Counter())[group or None, tickets] += count
    return entrants
