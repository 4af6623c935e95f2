"""A draw as a table for those who run the tournament: who took part, what came out, who it is."""

from collections.abc import Iterator
from itertools import chain, tee
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from lottery.drawing import allocate
from lottery.models import Draw, DrawEntry, LeftOut
from lottery.queries import CHUNK, divisions_of, in_order
from vgchub import tables

COLUMNS = (
    "public_id", "division", "group", "tickets", "key", "rank", "division_place", "outcome", "state", "player", "player_id"
)  # fmt: skip
SEALED = ("entry__public_id", "division", "group", "tickets", "key", "rank", "division_rank")
TODAY = ("entry__state", "entry__player__display_name", "entry__player__player_id")


def csv_pieces(draw: Draw) -> Iterator[str]:
    """The whole table as CSV, some lines at a time: it takes little memory, however many entered."""
    return tables.csv_pieces(chain([COLUMNS], rows(draw)))


def rows(draw: Draw) -> Iterator[tuple[Any, ...]]:
    """Under COLUMNS: division by division in the order that was drawn (before that: by public id), then who was left out."""
    if draw.drawn_at is None:
        for row in _by_pk(DrawEntry.objects.filter(draw=draw), *SEALED, *TODAY):
            yield _told(row, "")
    else:
        yield from _drawn(draw)
    for public_id, division, reason, *today in _by_pk(
        LeftOut.objects.filter(draw=draw), "entry__public_id", "entry__division__code", "reason", *TODAY
    ):
        why = _("left out: %(reason)s") % {"reason": LeftOut.Reason(reason).label}
        yield public_id, division, "", "", "", "", "", why, *today


def _drawn(draw: Draw) -> Iterator[tuple[Any, ...]]:
    for division in divisions_of(draw):
        entries = DrawEntry.objects.filter(draw=draw, division=division.code).order_by("division_rank")
        ranked, seated = tee(in_order(entries.values_list("division_rank", *SEALED, *TODAY), "division_rank"))
        outcomes = allocate(division, ((row[1], row[3] or None) for row in seated))
        for row, (_public_id, how) in zip(ranked, outcomes, strict=True):
            yield _told(row[1:], how.value)


def _told(row: tuple[Any, ...], outcome: str) -> tuple[Any, ...]:
    public_id, division, group, tickets, key, rank, place, *today = row
    return public_id, division, group, tickets, bytes(key or b"").hex(), rank, place, outcome, *today


def _by_pk(found: QuerySet[Any], *fields: str) -> Iterator[Any]:
    last = 0
    while chunk := list(found.filter(pk__gt=last).order_by("pk").values_list("pk", *fields)[:CHUNK]):
        last = chunk[-1][0]
        yield from (row[1:] for row in chunk)
