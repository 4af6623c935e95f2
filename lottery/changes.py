"""What of a draw's rules was changed after entries had opened: from the history, with the reasons that were given."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.apps import apps
from django.core.cache import cache
from django.db.models import Count

from tournaments.models import Tournament

KEPT_SECONDS = 15
TIMES = ("closes_at", "seals_at")
SIGNS = {"insert": 1, "delete": -1}
LISTED = {"listed": 1, "unlisted": -1}


@dataclass(frozen=True)
class TimeMoved:
    at: datetime
    field: str  # one of TIMES
    before: datetime
    after: datetime
    reason: str


@dataclass(frozen=True)
class SeatsChanged:
    at: datetime
    division: int  # its id
    group: int | None
    change: int  # more than 0: added
    reason: str


@dataclass(frozen=True)
class ListChanged:
    at: datetime
    group: int  # its id
    change: int  # players; more than 0: added
    reason: str


Change = TimeMoved | SeatsChanged | ListChanged


def changes_of(tournament: Tournament) -> list[Change]:
    """The changes since entries opened (and the draw with its rules), the newest first; at most some seconds old."""
    key = f"draw-changes:{tournament.pk}"
    found: list[Change] | None = cache.get(key)
    if found is None:
        opened_at = tournament.prequeue_opens_at or tournament.opens_at
        since = max(opened_at, tournament.draw_opened_at or opened_at)
        changes: list[Change] = [*_times(tournament, since), *_seats(tournament, since), *_lists(tournament, since)]
        found = sorted(changes, key=lambda change: change.at, reverse=True)
        cache.set(key, found, timeout=KEPT_SECONDS)
    return found


def _times(tournament: Tournament, since: datetime) -> list[TimeMoved]:
    rows = _events("TournamentEvent").filter(pgh_obj_id=tournament.pk).order_by("pgh_id")
    steps = pairwise(rows.values("pgh_created_at", "pgh_context", *TIMES))
    return [
        TimeMoved(after["pgh_created_at"], field, before[field], after[field], _reason(after))
        for before, after in steps
        for field in TIMES
        if after["pgh_created_at"] >= since and before[field] and after[field] and before[field] != after[field]
    ]


def _seats(tournament: Tournament, since: datetime) -> list[SeatsChanged]:
    rows = _events("SeatEvent").filter(division__tournament=tournament, pgh_created_at__gte=since, pgh_label__in=SIGNS)
    columns = ("pgh_created_at", "pgh_context", "pgh_label", "division", "reserved_for")
    return [
        SeatsChanged(
            row["pgh_created_at"],
            row["division"],
            row["reserved_for"],
            SIGNS[row["pgh_label"]] * row["seats"],
            _reason(row),
        )
        for row in rows.order_by().values(*columns).annotate(seats=Count("pgh_id"))
    ]


def _lists(tournament: Tournament, since: datetime) -> list[ListChanged]:
    rows = _events("PriorityGroupEvent").filter(tournament=tournament, pgh_created_at__gte=since, pgh_label__in=LISTED)
    return [
        ListChanged(
            row["pgh_created_at"],
            row["pgh_obj_id"],
            LISTED[row["pgh_label"]] * row["pgh_context"]["players"],
            _reason(row),
        )
        for row in rows.values("pgh_created_at", "pgh_context", "pgh_label", "pgh_obj_id")
    ]


def _events(name: str) -> Any:
    return apps.get_model("tournaments", name)._default_manager.all()  # noqa: SLF001


def _reason(row: dict[str, Any]) -> str:
    return str((row["pgh_context"] or {}).get("reason") or "")
