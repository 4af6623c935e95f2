"""Getting into the line. This is the hot path: one SELECT finds the players, one INSERT decides.

Everything else that a join needs is in memory: the tournament's rules, of a version that both statements know.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import pghistory

from accounts.models import Player, User
from registrations.limits import take_join
from registrations.models import QueueEntry, new_public_id
from registrations.queries import complete
from registrations.rules import LIVE, State
from registrations.services.errors import (
    ClosedError,
    FullError,
    NotEligibleError,
    NotOpenYetError,
    OvertakenError,
    PlayerNotFoundError,
    TournamentNotFoundError,
)
from tournaments import rules
from tournaments.models import Seat, Tournament
from tournaments.queries import EntryRules, entry_rules_now, known_entry_rules, memberships
from tournaments.services import TournamentCancelledError
from vgchub.errors import RefusedError
from vgchub.postgresql.prepared import HISTORY, Columns, fetch, history, split
from vgchub.ratelimit import Source


@dataclass(frozen=True)
class Arrival:
    """A player with where the tournament's rules put them."""

    player: Player
    division_id: int
    group: rules.Group | None

    @property
    def early_minutes(self) -> int:
        return self.group.opens_early_minutes if self.group else 0


Found = TypeVar("Found")

ATTEMPTS = 3
PLAYER, ENTRY, SEAT = Columns(Player, "p"), Columns(QueueEntry, "e"), Columns(Seat, "s")
STATES = ", ".join(f"'{state}'" for state in LIVE)

# In one order in every tab: the INSERT takes them as they come, and waits at each for a tab that has just put it in.
# With them comes the version that the tournament's rules have at this moment: nobody is limited or refused by older ones.
PLAYERS = f"""
SELECT {PLAYER}, a.email_verified_at, (SELECT rules_version FROM tournaments_tournament WHERE id = %(tournament)s::bigint)
FROM accounts_player p JOIN accounts_user a ON a.id = p.account_id
WHERE a.id = %(account)s::bigint AND a.is_active AND p.id = ANY(%(players)s::bigint[])
ORDER BY p.id
"""  # noqa: S608  names of our own columns

# The row of the tournament is held FOR KEY SHARE: an admitter, a seal or a close, which hold it FOR UPDATE, never run while
# an arrival number is drawn but not committed, and a join that waited for one of them is judged anew by the same WHERE.
# `rules_version` is the one that the players were placed by: if it has moved on, nobody joins, and they are placed again.
# `max_waiting` is held against those whose joins were committed before: joins of the same moment don't wait for each other, and
# may make the line a few longer.
JOIN = f"""
WITH tournament AS MATERIALIZED (
    SELECT id, mode, opens_at, entries_sealed_at
    FROM tournaments_tournament t
    WHERE id = %(tournament)s::bigint AND rules_version = %(rules_version)s::bigint
      AND published_at <= statement_timestamp() AND statement_timestamp() < closes_at
      AND statement_timestamp() >= coalesce(
          prequeue_opens_at,
          opens_at - CASE WHEN mode = 'FIRST_COME' THEN make_interval(mins => %(early_minutes)s::int) ELSE interval '0' END)
      AND cancelled_at IS NULL AND closed_at IS NULL
      AND (mode <> 'LOTTERY' OR entries_sealed_at IS NULL)
      AND (max_waiting IS NULL OR max_waiting >= cardinality(%(players)s::bigint[]) + (
          SELECT count(*) FILTER (WHERE w.state = 'WAITING') - count(*) FILTER (WHERE w.player_id = ANY(%(players)s::bigint[]))
          FROM registrations_queueentry w WHERE w.tournament_id = t.id AND w.state IN ({STATES})))
    FOR KEY SHARE
), numbered AS MATERIALIZED (
    SELECT a.*, t.id AS tournament_id, nextval('registrations_arrival_number') AS number,
           t.mode = 'FIRST_COME' AS has_lanes,
           t.mode <> 'FIRST_COME' AND t.entries_sealed_at IS NULL
               AND (t.mode = 'LOTTERY' OR statement_timestamp() < t.opens_at) AS awaits_draw,
           {HISTORY}
    FROM tournament t
    CROSS JOIN unnest(%(players)s::bigint[], %(divisions)s::bigint[], %(groups)s::bigint[], %(priorities)s::int[],
                      %(public_ids)s::text[])
         AS a (player_id, division_id, group_id, priority, public_id)
)
INSERT INTO registrations_queueentry AS e
    (public_id, tournament_id, division_id, player_id, group_id, priority, number, place, state, joined_at,
     grant_reason, waiver_reason, address_hash, device_hash)
SELECT public_id, tournament_id, division_id, player_id, group_id, CASE WHEN has_lanes THEN priority ELSE 0 END,
       number, CASE WHEN awaits_draw THEN NULL ELSE number END, 'WAITING', statement_timestamp(), '', '', %(address)s, %(device)s
FROM numbered
ON CONFLICT DO NOTHING
RETURNING {ENTRY}
"""  # noqa: S608  names of our own columns

LIVE_ENTRIES = f"""
SELECT {ENTRY}, {SEAT}
FROM registrations_queueentry e LEFT JOIN tournaments_seat s ON s.id = e.seat_id
WHERE e.tournament_id = %(tournament)s::bigint AND e.player_id = ANY(%(players)s::bigint[]) AND e.state IN ({STATES})
"""  # noqa: S608  names of our own columns


def join_queue(
    *, account: User, tournament: Tournament, player_ids: Sequence[int], source: Source | None = None
) -> list[QueueEntry]:
    """Put players of an account into the line; returns their live entries, in the order of `player_ids`.

    Repeating it returns the same entries. All join, or none does (docs/adr/0018 names the exception). Limits are counted for
    where it came from, `source`; without one nothing is counted. Of `account` and `tournament` no more than the key and the
    address are looked at: everything else that decides is read here, or was remembered and is tested by the INSERT.

    Raises:
        PlayerNotFoundError, NotEligibleError, NotOpenYetError, ClosedError, TournamentCancelledError, FullError,
        OvertakenError, TooManyRequestsError, NotYourTurnError, TournamentNotFoundError
    """
    players, version = _players(account, tournament, player_ids)
    entry_rules = _found(lambda: known_entry_rules(tournament.slug, version, pk=tournament.pk))
    if source:
        take_join(entry_rules, players, source.prefix)
    for _attempt in range(ATTEMPTS):
        arrivals = _arrivals(players, entry_rules)
        entries = _insert(entry_rules, arrivals, source) if len(arrivals) == len(players) else {}
        if len(entries) < len(players):  # some had joined before, or nobody may: by what is true a moment later
            entry_rules, now = _found(lambda: entry_rules_now(tournament.slug))
            entries = _live_entries(entry_rules, players)
        if len(entries) == len(players):
            return [entries[pk] for pk in player_ids]
        if refusal := _refusal(entry_rules, players, now):
            raise refusal
    raise OvertakenError


def _players(account: User, tournament: Tournament, player_ids: Sequence[int]) -> tuple[list[Player], int]:
    """The account's players of these ids, and the version of the tournament's rules (0 where there is none any more).

    Of the players' account it is known whether its address is verified.
    """
    rows = fetch(PLAYERS, {"account": account.pk, "players": list(player_ids), "tournament": tournament.pk})
    if not player_ids or {row[0] for row in rows} != set(player_ids):
        raise PlayerNotFoundError
    players = []
    for row in rows:
        own, (verified_at, version) = split(row, PLAYER)
        player = PLAYER.row(own)
        player.account = User.from_db("default", ["id", "email_verified_at"], (player.account_id, verified_at))
        players.append(player)
    return players, version or 0


def _found(read: Callable[[], Found]) -> Found:
    try:
        return read()
    except Tournament.DoesNotExist:  # nor is there one at an address that has just changed
        raise TournamentNotFoundError from None


def _arrivals(players: Sequence[Player], entry_rules: EntryRules) -> list[Arrival]:
    """Where each player belongs; whoever was born outside of all divisions is left out."""
    listed = memberships(players, entry_rules.tournament) if entry_rules.groups else {}
    arrivals = []
    for player in players:
        division = rules.division_for(player.birth_date, entry_rules.divisions)
        if division:
            facts = player.facts(memberships=listed.get(player.pk, frozenset()))
            arrivals.append(Arrival(player, division.id, rules.group_for(facts, division.code, entry_rules.groups)))
    return arrivals


def _insert(entry_rules: EntryRules, arrivals: Sequence[Arrival], source: Source | None) -> dict[int, QueueEntry]:
    """The new entries, by the pk of their player; nothing to ask the database for hangs on them."""
    with pghistory.context(service="join_queue") as context:
        values = {
            "tournament": entry_rules.tournament.pk,
            "rules_version": entry_rules.tournament.rules_version,
            "early_minutes": min(arrival.early_minutes for arrival in arrivals),
            "players": [arrival.player.pk for arrival in arrivals],
            "divisions": [arrival.division_id for arrival in arrivals],
            "groups": [arrival.group.id if arrival.group else None for arrival in arrivals],
            "priorities": [arrival.group.priority if arrival.group else 0 for arrival in arrivals],
            "public_ids": [new_public_id() for _ in arrivals],
            "address": source.address_hash if source else "",
            "device": source.device_hash if source else "",
            **history(context),
        }
        entries = [ENTRY.row(row) for row in fetch(JOIN, values)]
    return _whole(entries, entry_rules, [arrival.player for arrival in arrivals])


def _live_entries(entry_rules: EntryRules, players: Sequence[Player]) -> dict[int, QueueEntry]:
    """The entries with which players take part already, by the pk of their player."""
    entries = []
    for row in fetch(
        LIVE_ENTRIES, {"tournament": entry_rules.tournament.pk, "players": [player.pk for player in players]}
    ):
        own, seat, _rest = split(row, ENTRY, SEAT)
        entry = ENTRY.row(own)
        entry.seat = SEAT.row(seat) if entry.seat_id else None
        entries.append(entry)
    return _whole(entries, entry_rules, players)


def _whole(entries: list[QueueEntry], entry_rules: EntryRules, players: Sequence[Player]) -> dict[int, QueueEntry]:
    """By the pk of their player, and with all that belongs to them."""
    by_pk = {player.pk: player for player in players}
    for entry in entries:
        complete(entry, entry_rules)
        entry.player = by_pk[entry.player_id]
    return {entry.player_id: entry for entry in entries}


def _refusal(entry_rules: EntryRules, players: Sequence[Player], now: datetime) -> RefusedError | None:
    """Why nobody could join, by the rules and the time afterwards: only for the words. None if nothing stands against it any more.

    Then registration opened, the rules changed, or an entry that was in the way ended, between the two: whoever comes a
    millisecond early is not told that registration has closed.
    """
    arrivals = _arrivals(players, entry_rules)
    placed = {arrival.player.pk for arrival in arrivals}
    if left_out := next((player for player in players if player.pk not in placed), None):
        return NotEligibleError(left_out)
    early = min(arrival.early_minutes for arrival in arrivals)
    return _shut(entry_rules.tournament, early, now) or _full(entry_rules.tournament, players)


def _shut(tournament: Tournament, early: int, now: datetime) -> RefusedError | None:
    """What stands against joining this tournament now, for somebody who may join `early` minutes before the rest."""
    times = tournament.times(early_minutes=early if tournament.mode == Tournament.Mode.FIRST_COME else 0)
    match rules.phase(times, now):
        case rules.Phase.CANCELLED:
            return TournamentCancelledError()
        case rules.Phase.DRAFT | rules.Phase.ANNOUNCED:
            return NotOpenYetError(times.first_join_at)
        case rules.Phase.OVER | rules.Phase.CLOSED:
            return ClosedError()
    if tournament.closed_at or (tournament.mode == Tournament.Mode.LOTTERY and tournament.entries_sealed_at):
        return ClosedError()
    return None


def _full(tournament: Tournament, players: Sequence[Player]) -> RefusedError | None:
    """Whether so many wait already that not all of the players may come to them."""
    if tournament.max_waiting is None:
        return None
    live = QueueEntry.objects.live().filter(tournament=tournament)
    waiting, there_already = live.filter(state=State.WAITING).count(), live.filter(player__in=players).count()
    return FullError() if waiting + len(players) - there_already > tournament.max_waiting else None
