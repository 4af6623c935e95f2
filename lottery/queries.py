"""Reads of draws that deserve a name."""

import zlib
from collections.abc import Iterator
from typing import Any

from django.db.models import Count, QuerySet
from django.utils.text import slugify

from lottery.drawing import Division, Entry, Head, Reserve
from lottery.models import Draw, DrawEntry, DrawFile
from tournaments.models import Seat, Tournament

CHUNK = 20_000


def group_codes(tournament: Tournament) -> dict[int, str]:
    """Group id -> what a manifest calls it: its name in lower-case ASCII, made unique within the tournament."""
    codes: dict[int, str] = {}
    for group in sorted(tournament.groups.all(), key=lambda group: group.pk):
        code = stem = slugify(group.name)[:56] or "group"
        number = 1
        while code in codes.values():
            number += 1
            code = f"{stem}-{number}"
        codes[group.pk] = code
    return codes


def sealed_divisions(tournament: Tournament) -> tuple[Division, ...]:
    """The tournament's divisions with all their seats, as a manifest has them, sorted by code."""
    codes = group_codes(tournament)
    seats: dict[str, dict[int | None, int]] = {code: {} for code in tournament.divisions.values_list("code", flat=True)}
    rows = Seat.objects.filter(division__tournament=tournament).order_by()
    for code, group, count in rows.values_list("division__code", "reserved_for").annotate(Count("pk")):
        seats[code][group] = count
    return tuple(
        Division(
            code,
            sum(kinds.values()),
            tuple(sorted((Reserve(codes[group], n) for group, n in kinds.items() if group), key=lambda r: r.group)),
        )
        for code, kinds in sorted(seats.items())
    )


def divisions_of(draw: Draw) -> tuple[Division, ...]:
    """The divisions as the draw sealed them."""
    return tuple(
        Division(row["code"], row["seats"], tuple(Reserve(**reserve) for reserve in row["reserved"]))
        for row in draw.divisions
    )


def head_of(draw: Draw) -> Head:
    """The manifest but for its entries; the draw has its `sealed_at`, its divisions and, of drand, its round."""
    assert draw.sealed_at is not None  # noqa: S101  whoever seals says when
    return Head(
        draw=draw.public_id,
        tournament=draw.tournament.slug,
        kind=draw.kind,
        sealed_at=draw.sealed_at,
        entropy=draw.named(),
        divisions=divisions_of(draw),
        supersedes=draw.supersedes.public_id if draw.supersedes else None,
    )


def sealed_rows(draw: Draw) -> Iterator[tuple[int, Entry]]:
    """(pk, entry) of all that were sealed, sorted by the entries' ids; read in chunks."""
    rows = DrawEntry.objects.filter(draw=draw).order_by("pk")
    last = 0
    while True:
        chunk = rows.filter(pk__gt=last).values_list("pk", "entry__public_id", "division", "group", "tickets")[:CHUNK]
        for pk, public_id, division, group, tickets in chunk:
            last = pk
            yield pk, Entry(public_id, division, group or None, tickets)
        if len(chunk) < CHUNK:
            return


def sealed_entries(draw: Draw) -> Iterator[Entry]:
    return (entry for _pk, entry in sealed_rows(draw))


def ranking(draw: Draw) -> Iterator[tuple[bytes, str]]:
    """(key, id) in the order that was drawn; read in chunks."""
    rows = DrawEntry.objects.filter(draw=draw).order_by("rank").values_list("rank", "key", "entry__public_id")
    for _rank, key, public_id in in_order(rows, "rank"):
        yield bytes(key), public_id


def ranked_in(draw: Draw, division: str) -> Iterator[tuple[str, str | None]]:
    """(id, group) of a division in the order that was drawn; read in chunks."""
    rows = DrawEntry.objects.filter(draw=draw, division=division).order_by("division_rank")
    for _rank, public_id, group in in_order(
        rows.values_list("division_rank", "entry__public_id", "group"), "division_rank"
    ):
        yield public_id, group or None


def in_order(rows: QuerySet[DrawEntry, Any], by: str) -> Iterator[Any]:
    """The rows by their ranks, which have no gaps; read in chunks."""
    last = 0
    while True:
        chunk = list(rows.filter(**{f"{by}__gt": last, f"{by}__lte": last + CHUNK}))
        if not chunk:
            return
        yield from chunk
        last += CHUNK


def file_of(draw: Draw, name: str) -> DrawFile | None:
    """A published file of the draw, or None while it is not there yet."""
    return draw.files.filter(name=name).first()


def parts_of(file: DrawFile) -> Iterator[bytes]:
    """Its gzip stream, a megabyte at a time."""
    number = 0
    while part := file.parts.filter(number=number).values_list("content", flat=True).first():
        yield bytes(part)
        number += 1


def plain_bytes(file: DrawFile) -> Iterator[bytes]:
    """The file as it was before packing, in pieces."""
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    for part in parts_of(file):
        yield unpacker.decompress(part)
    yield unpacker.flush()
