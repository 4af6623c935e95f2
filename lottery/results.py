"""What a draw made of everybody, for its page. Nothing here decides: seats are offered down the order by registrations."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Count, Max
from django.db.models.functions import Now

from accounts.models import User
from lottery.drawing import Division, How, allocate
from lottery.models import Draw, DrawEntry, LeftOut
from lottery.queries import divisions_of, in_order

PUBLIC_ID = re.compile("[0-9a-f]{24}")
KEPT_SECONDS = 24 * 3600
REACH_KEPT_SECONDS = 600  # seats of the tournament before may still move


@dataclass(frozen=True)
class Outcome:
    """A division as it was drawn. `reserved` are the places (1 is first) that took reserved seats, ascending; `last_open` is the
    last place that took an open one, 0 if there was none to take.
    """

    division: Division
    entries: int
    reserved: tuple[int, ...]
    last_open: int

    @property
    def code(self) -> str:
        return self.division.code

    @property
    def seats(self) -> int:
        return self.division.seats

    @property
    def seated(self) -> int:
        return min(self.last_open, self.entries) + sum(place > self.last_open for place in self.reserved)

    @property
    def waitlist(self) -> int:
        return self.entries - self.seated

    def how(self, place: int) -> How:
        at = bisect_left(self.reserved, place)
        if at < len(self.reserved) and self.reserved[at] == place:
            return How.RESERVED
        return How.OPEN if place <= self.last_open else How.WAITLIST

    def waitlist_place(self, place: int) -> int:
        """Where on the waitlist somebody stands that is on it, 1 is first."""
        before = bisect_left(self.reserved, place) - bisect_left(self.reserved, self.last_open + 1)
        return place - self.last_open - before


def outcomes_of(draw: Draw) -> dict[str, Outcome]:
    """Division code -> what was drawn; the draw is drawn. Computed once, since it never changes."""
    key = f"draw-outcomes:{draw.public_id}"
    found: dict[str, Outcome] | None = cache.get(key)
    if found is None:
        found = _computed(draw)
        cache.set(key, found, timeout=KEPT_SECONDS)
    return found


def _computed(draw: Draw) -> dict[str, Outcome]:
    sizes: dict[str, dict[str, int]] = {}
    rows = DrawEntry.objects.filter(draw=draw).order_by().values_list("division", "group").annotate(Count("pk"))
    for code, group, count in rows:
        sizes.setdefault(code, {})[group] = count
    return {division.code: _walked(draw, division, sizes.get(division.code, {})) for division in divisions_of(draw)}


def _walked(draw: Draw, division: Division, sizes: dict[str, int]) -> Outcome:
    """Down the ranking, as far as there are seats that somebody can take."""
    taken = sum(min(reserve.seats, sizes.get(reserve.group, 0)) for reserve in division.reserved)
    entries = sum(sizes.values())
    left = taken + min(division.unreserved, entries - taken)
    reserved, last_open = [], 0
    for place, how in allocate(division, _places(draw, division.code)) if left else ():
        left -= how is not How.WAITLIST
        if how is How.RESERVED:
            reserved.append(int(place))
        elif how is How.OPEN:
            last_open = int(place)
        if not left:
            break
    return Outcome(division, entries, tuple(reserved), last_open)


def _places(draw: Draw, code: str) -> Iterator[tuple[str, str | None]]:
    rows = DrawEntry.objects.filter(draw=draw, division=code).order_by("division_rank")
    for place, group in in_order(rows.values_list("division_rank", "group"), "division_rank"):
        yield str(place), group or None


@dataclass(frozen=True)
class Line:
    """An entry in a division's result; `waitlist` is its place there, None for a seat."""

    place: int
    rank: int
    public_id: str
    tickets: int
    group: str
    how: How
    waitlist: int | None


def lines_of(draw: Draw, outcome: Outcome, first: int, count: int) -> list[Line]:
    """So many places of a division from the `first` on (one query)."""
    rows = DrawEntry.objects.filter(draw=draw, division=outcome.code, division_rank__range=(first, first + count - 1))
    found = []
    columns = ("division_rank", "rank", "entry__public_id", "tickets", "group")
    row: tuple[int, int, str, int, str]  # drawn, so that none has no rank
    for row in rows.order_by("division_rank").values_list(*columns):
        place, rank, public_id, tickets, group = row
        how = outcome.how(place)
        waitlist = outcome.waitlist_place(place) if how is How.WAITLIST else None
        found.append(Line(place, rank, public_id, tickets, group, how, waitlist))
    return found


def place_of(draw: Draw, public_id: str) -> tuple[str, int] | None:
    """(division code, place) of an entry; None if it is not in the draw, or that is not drawn, or no id at all."""
    if not PUBLIC_ID.fullmatch(public_id):
        return None
    rows = DrawEntry.objects.filter(draw=draw, entry__public_id=public_id, division_rank__isnull=False)
    found: tuple[str, int] | None = rows.values_list("division", "division_rank").first()  # type: ignore[assignment]
    return found


def own_draw_entries(draw: Draw, account: User) -> list[DrawEntry]:
    """What was sealed of an account's entries."""
    rows = DrawEntry.objects.filter(draw=draw, entry__player__account=account)
    return list(rows.select_related("entry__player", "entry__division", "entry__seat").order_by("entry__number"))


def own_left_out(draw: Draw, account: User) -> list[LeftOut]:
    rows = LeftOut.objects.filter(draw=draw, entry__player__account=account)
    return list(rows.select_related("entry__player", "entry__division").order_by("entry__number"))


def left_out_counts(draw: Draw) -> list[tuple[LeftOut.Reason, int]]:
    """How many were left out, for each reason."""
    rows = LeftOut.objects.filter(draw=draw).order_by("reason").values_list("reason").annotate(Count("pk"))
    return [(LeftOut.Reason(reason), count) for reason, count in rows]


def reach_before(draw: Draw, code: str) -> int | None:
    """Down to which place seats were taken in this division of the organization's last drawn tournament whose offers are over.

    Seats reserved or granted don't count: they went past the line. None if there is nothing to compare with.
    """
    key = f"draw-reach:{draw.public_id}:{code}"
    reach: int | None = cache.get_or_set(key, lambda: _reach(draw, code) or 0, timeout=REACH_KEPT_SECONDS)
    return reach or None


def _reach(draw: Draw, code: str) -> int | None:
    before = Draw.objects.filter(
        state=Draw.State.DRAWN,
        tournament__organization=draw.tournament.organization_id,
        tournament__cancelled_at=None,
        tournament__offers_end_at__lte=Now(),
        drawn_at__lt=draw.drawn_at,
        divisions__contains=[{"code": code}],
    ).exclude(tournament=draw.tournament_id)
    last = before.order_by("-drawn_at").first()
    if last is None:
        return None
    groups = [reserve.group for division in divisions_of(last) for reserve in division.reserved]
    rows = DrawEntry.objects.filter(
        draw=last, division=code, entry__confirmed_at__isnull=False, entry__granted_by=None
    ).exclude(group__in=groups)
    found: int | None = rows.aggregate(reach=Max("division_rank"))["reach"]
    return found
