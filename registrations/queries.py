"""Reads of the queue that deserve a name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Q
from django.db.models.functions import Now

from accounts.models import Player
from registrations.models import QueueEntry
from registrations.rules import LIVE, State
from tournaments.models import Division, Seat, Tournament
from tournaments.queries import EntryRules, known_entry_rules
from vgchub.postgresql.prepared import Columns, fetch, split

PACE_WINDOW = timedelta(minutes=10)

# Whom `QueueEntryQuerySet.offerable` finds in the line, in SQL: `p` is the player, `u` the account.
CAN_BE_OFFERED = "u.email_verified_at IS NOT NULL AND p.player_id_state <> 'DISPUTED'"


@dataclass(frozen=True)
class DivisionSeats:
    """How a division's seats stand, and how many wait for one."""

    division: Division
    seats: int
    reserved: int
    reserved_free: int
    confirmed: int
    offered: int
    waiting: int
    sold_out_at: datetime | None  # when the last seat was confirmed; None while one is not

    @property
    def free(self) -> int:
        return self.seats - self.confirmed - self.offered


@dataclass(frozen=True)
class DivisionFlow:
    """What happened to a division's offers so far."""

    taken_up: int
    missed: int
    cancelled: int
    offers_in_window: int  # made within PACE_WINDOW


def seat_summary(tournament: Tournament, waiting: Mapping[int, int] | None = None) -> list[DivisionSeats]:
    """Each division's seats and line, in the order of the divisions (three queries).

    Whoever knows how many wait, by division id, spares the database counting them, which costs as much as there are.
    """
    seats: dict[int, Any] = {
        row["division"]: row
        for row in Seat.objects.filter(division__tournament=tournament)
        .order_by()
        .values("division")
        .annotate(
            seats=Count("pk"),
            reserved=Count("reserved_for"),
            reserved_free=Count("reserved_for", filter=Q(entry=None)),
            confirmed=Count("pk", filter=Q(entry__state=State.CONFIRMED)),
            offered=Count("pk", filter=Q(entry__state=State.OFFERED)),
            last=Max("entry__confirmed_at"),
        )
    }
    if waiting is None:
        waiting = waiting_counts(tournament)
    return [
        _division_seats(division, seats.get(division.pk, {}), waiting.get(division.pk, 0))
        for division in tournament.divisions.all()
    ]


def waiting_counts(tournament: Tournament) -> dict[int, int]:
    """Division id -> how many wait, with a place or without; divisions where nobody does are left out."""
    return dict(
        QueueEntry.objects.waiting()
        .filter(tournament=tournament)
        .order_by()
        .values_list("division")
        .annotate(Count("pk"))
    )


def _division_seats(division: Division, row: dict[str, Any], waiting: int) -> DivisionSeats:
    seats, confirmed = row.get("seats", 0), row.get("confirmed", 0)
    return DivisionSeats(
        division=division,
        seats=seats,
        reserved=row.get("reserved", 0),
        reserved_free=row.get("reserved_free", 0),
        confirmed=confirmed,
        offered=row.get("offered", 0),
        waiting=waiting,
        sold_out_at=row.get("last") if seats and confirmed == seats else None,
    )


def offer_flow(tournament: Tournament) -> dict[int, DivisionFlow]:
    """Per division id, how offers ended (one query over the entries that ever had one)."""
    rows = (
        QueueEntry.objects.filter(tournament=tournament, offered_at__isnull=False)
        .order_by()
        .values("division")
        .annotate(
            taken_up=Count("pk", filter=Q(confirmed_at__isnull=False)),
            missed=Count("pk", filter=Q(state__in=[State.PASSED, State.LAPSED, State.LEFT], confirmed_at=None)),
            cancelled=Count("pk", filter=Q(state=State.CANCELLED)),
            offers_in_window=Count("pk", filter=Q(offered_at__gt=Now() - PACE_WINDOW)),
        )
        .values_list("division", "taken_up", "missed", "cancelled", "offers_in_window")
    )
    return {pk: DivisionFlow(*counts) for pk, *counts in rows}


def queue_position(entry: QueueEntry) -> int | None:
    """The entry's exact position, 1 is next, by counting; None unless it waits in a line (`standing` has the published one)."""
    if entry.state != State.WAITING or entry.place is None:
        return None
    ahead = QueueEntry.objects.waiting().filter(
        Q(priority__gt=entry.priority) | Q(priority=entry.priority, place__lt=entry.place), division=entry.division_id
    )
    return ahead.count() + 1


def waiting_between(entry: QueueEntry, first_place: int) -> int:
    """How many wait in the entry's lane before it, from `first_place` on."""
    lane = QueueEntry.objects.waiting().filter(division=entry.division_id, priority=entry.priority)
    return lane.filter(place__gte=first_place, place__lt=entry.place).count()


ENTRY, PLAYER, SEAT = Columns(QueueEntry, "e"), Columns(Player, "p"), Columns(Seat, "s")
OF_ACCOUNT = f"""
SELECT {ENTRY}, {PLAYER}, {SEAT}, t.rules_version
FROM accounts_player p
JOIN registrations_queueentry e ON e.player_id = p.id
JOIN tournaments_tournament t ON t.id = e.tournament_id
LEFT JOIN tournaments_seat s ON s.id = e.seat_id
WHERE p.account_id = %(account)s::bigint AND t.slug = %(slug)s AND t.published_at <= statement_timestamp()
ORDER BY e.number
"""  # noqa: S608  names of our own columns


def entries_of_account(account_id: int, slug: str) -> list[QueueEntry]:
    """The account's entries in a published tournament: for each player the latest, in the order in which they joined.

    One statement, and all that belongs to them: what is the tournament's comes from what this process remembers, which is
    known to hold still.

    Raises:
        Tournament.DoesNotExist: its address has just changed
    """
    entries = {}
    for row in fetch(OF_ACCOUNT, {"account": account_id, "slug": slug}):
        own, player, seat, (version,) = split(row, ENTRY, PLAYER, SEAT)
        entry = ENTRY.row(own)
        entry.player = PLAYER.row(player)
        entry.seat = SEAT.row(seat) if entry.seat_id else None
        complete(entry, known_entry_rules(slug, version, pk=entry.tournament_id))
        entries[entry.player_id] = entry
    return list(entries.values())


def complete(entry: QueueEntry, entry_rules: EntryRules) -> None:
    """Give an entry its tournament, and the division and group that its rules know; a newer one is read once it is asked for."""
    entry.tournament = entry_rules.tournament
    if division := entry_rules.division(entry.division_id):
        entry.division = division
    if group := entry_rules.group(entry.group_id):
        entry.group = group


# One row for each block: a million places are a thousand rows. Negative places shift and mask by their two's complement, which
# is what `line.block_of` and `line.bitmap` say of them.
WAITING_BLOCKS = """
SELECT division_id, priority, place >> 10, bit_or(set_bit(0::bit(1024), (place & 1023)::int, 1))::text
FROM {source}
WHERE tournament_id = %(tournament)s AND state = 'WAITING' AND place IS NOT NULL GROUP BY 1, 2, 3
"""
ALL_BLOCKS = WAITING_BLOCKS.format(source="registrations_queueentry")
THESE_BLOCKS = WAITING_BLOCKS.format(
    source="""unnest(%(blocks)s::bigint[]) AS block
JOIN registrations_queueentry ON place BETWEEN block * 1024 AND block * 1024 + 1023"""
)


def waiting_blocks(tournament_id: int, blocks: Iterable[int] | None) -> list[tuple[int, int, int, int]]:
    """(division id, priority, block, its bitmap) of all in line, or of those in the given blocks (see `registrations.line`)."""
    with connection.cursor() as cursor:
        if blocks is None:
            cursor.execute(ALL_BLOCKS, {"tournament": tournament_id})
        else:
            cursor.execute(THESE_BLOCKS, {"tournament": tournament_id, "blocks": list(blocks)})
        return [(division, lane, block, int(bits[::-1], 2)) for division, lane, block, bits in cursor.fetchall()]


WITH_LIVE_ENTRIES = f"""
SELECT {PLAYER}, {ENTRY}
FROM accounts_player p
LEFT JOIN registrations_queueentry e ON e.player_id = p.id AND e.tournament_id = %(tournament)s::bigint
    AND e.state IN ({", ".join(f"'{state}'" for state in LIVE)})
WHERE p.account_id = %(account)s::bigint
ORDER BY e.number
"""  # noqa: S608  names of our own columns


def players_and_entries(account_id: int, tournament: Tournament) -> tuple[list[Player], list[QueueEntry]]:
    """The account's players, and the entries with which they take part now, in the order in which they joined (one statement)."""
    players, entries = [], []
    for row in fetch(WITH_LIVE_ENTRIES, {"account": account_id, "tournament": tournament.pk}):
        player, entry, _rest = split(row, PLAYER, ENTRY)
        players.append(PLAYER.row(player))
        if entry[0] is not None:
            entries.append(ENTRY.row(entry))
            entries[-1].player = players[-1]
    return sorted(players, key=lambda player: (player.display_name, player.pk)), entries


def seats_and_free(tournaments: Iterable[Tournament]) -> dict[int, tuple[int, int]]:
    """Tournament id -> (seats, free ones), in one query for a whole list; a tournament without seats is left out."""
    rows = (
        Seat.objects.filter(division__tournament__in=list(tournaments))
        .order_by()
        .values_list("division__tournament")
        .annotate(seats=Count("pk"), free=Count("pk", filter=Q(entry=None)))
    )
    return {tournament: (seats, free) for tournament, seats, free in rows}
