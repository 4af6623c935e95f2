"""Getting into the line, out of it, and back in. `join_queue` is the hot path: one INSERT decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pghistory
from django.db import connection, transaction
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Player, User
from registrations.models import QueueEntry, new_public_id
from registrations.rules import State
from tournaments import rules
from tournaments.models import Tournament
from tournaments.queries import EntryRules, database_now, entry_rules, memberships
from vgchub import live
from vgchub.errors import RefusedError


class PlayerNotFoundError(RefusedError):
    code = "player_not_found"
    status = 404
    message = gettext_lazy("That player is not one of yours.")
    remedy = gettext_lazy("Choose one of the players of your account, or add the player first.")


class EntryNotFoundError(RefusedError):
    code = "entry_not_found"
    status = 404
    message = gettext_lazy("There is no such entry.")
    remedy = gettext_lazy("Open it from “My entries”.")


class NotOpenYetError(RefusedError):
    code = "not_open_yet"

    def __init__(self, opens_at: datetime) -> None:
        super().__init__(
            _("Registration is not open yet: it opens on %(time)s UTC.") % {"time": date_format(opens_at, "j F, H:i")},
            remedy=_("Come back then; the page counts down to it."),
            opens_at=opens_at.isoformat(),
        )


class ClosedError(RefusedError):
    code = "registration_closed"
    message = gettext_lazy("Registration for this tournament has closed.")
    remedy = gettext_lazy("Nobody can join any more; those who wait keep their place.")


class CancelledError(RefusedError):
    code = "tournament_cancelled"
    message = gettext_lazy("This tournament has been cancelled.")
    remedy = gettext_lazy("Whoever paid gets the money back without asking.")


class FullError(RefusedError):
    code = "waiting_room_full"
    message = gettext_lazy("The line has reached the length that the organizer allows.")
    remedy = gettext_lazy("Try again later: places come free when players leave.")


class NotEligibleError(RefusedError):
    code = "not_eligible"

    def __init__(self, player: Player) -> None:
        super().__init__(
            _("%(player)s was born on %(date)s, which is in none of the tournament's divisions.")
            % {"player": player.display_name, "date": date_format(player.birth_date, "j F Y")},
            remedy=_("If the date is wrong, correct it under “My account” and join again."),
            player=player.pk,
        )


class NotInQueueError(RefusedError):
    code = "not_in_queue"

    def __init__(self, state: str) -> None:
        super().__init__(
            _("This entry can't do that any more."),
            remedy=_("Its page shows what happened and what is possible now."),
            state=state,
        )


@dataclass(frozen=True)
class Arrival:
    """A player with where the tournament's rules put them."""

    player: Player
    division_id: int
    group: rules.Group | None


ATTEMPTS = 3

# The row of the tournament is held FOR KEY SHARE: an admitter, a seal or a close, which hold it FOR UPDATE, never run while
# an arrival number is drawn but not committed, and a join that waited for one of them is judged anew by the same WHERE.
JOIN = """
WITH tournament AS MATERIALIZED (
    SELECT id, mode, prequeue_opens_at, opens_at, entries_sealed_at
    FROM tournaments_tournament t
    WHERE id = %(tournament)s
      AND published_at <= statement_timestamp() AND statement_timestamp() < closes_at
      AND cancelled_at IS NULL AND closed_at IS NULL
      AND (mode <> 'LOTTERY' OR entries_sealed_at IS NULL)
      AND (max_waiting IS NULL OR max_waiting > (
          SELECT count(*) FROM registrations_queueentry w WHERE w.tournament_id = t.id AND w.state = 'WAITING'))
    FOR KEY SHARE
), numbered AS MATERIALIZED (
    SELECT a.*, t.id AS tournament_id, nextval('registrations_arrival_number') AS number,
           t.mode = 'FIRST_COME' AS has_lanes,
           t.mode <> 'FIRST_COME' AND t.entries_sealed_at IS NULL
               AND (t.mode = 'LOTTERY' OR statement_timestamp() < t.opens_at) AS awaits_draw
    FROM tournament t
    JOIN unnest(%(players)s::bigint[], %(divisions)s::bigint[], %(groups)s::bigint[], %(priorities)s::int[],
                %(early)s::int[], %(public_ids)s::text[])
         AS a (player_id, division_id, group_id, priority, early, public_id)
      ON statement_timestamp() >= coalesce(
          t.prequeue_opens_at,
          t.opens_at - CASE WHEN t.mode = 'FIRST_COME' THEN make_interval(mins => a.early) ELSE interval '0' END)
)
INSERT INTO registrations_queueentry
    (public_id, tournament_id, division_id, player_id, group_id, priority, number, place, state, joined_at,
     grant_reason, waiver_reason, address_hash, device_hash)
SELECT public_id, tournament_id, division_id, player_id, group_id, CASE WHEN has_lanes THEN priority ELSE 0 END,
       number, CASE WHEN awaits_draw THEN NULL ELSE number END, 'WAITING', statement_timestamp(), '', '', %(address)s, %(device)s
FROM numbered
ON CONFLICT DO NOTHING
"""


def join_queue(
    *, account: User, tournament: Tournament, player_ids: Sequence[int], address_hash: str = "", device_hash: str = ""
) -> list[QueueEntry]:
    """Put players of an account into the line; returns their live entries, in the order of `player_ids`.

    Repeating it returns the same entries. All join, or none does.

    Raises:
        PlayerNotFoundError, NotEligibleError, NotOpenYetError, ClosedError, CancelledError, FullError
    """
    players = list(Player.objects.of(account).filter(pk__in=player_ids))
    if not player_ids or {player.pk for player in players} != set(player_ids):
        raise PlayerNotFoundError
    arrivals = _arrivals(players, tournament, entry_rules(tournament))
    for _attempt in range(ATTEMPTS):
        with transaction.atomic():
            _insert(tournament.pk, arrivals, address_hash, device_hash)
            entries = {
                entry.player_id: entry
                for entry in QueueEntry.objects.live().filter(tournament=tournament, player__in=players)
            }
            if len(entries) == len(arrivals):
                return [entries[pk] for pk in player_ids]
            transaction.set_rollback(True)
        if refusal := _refusal(tournament.pk, arrivals):
            raise refusal
    raise ClosedError


def _arrivals(players: Sequence[Player], tournament: Tournament, entry: EntryRules) -> list[Arrival]:
    listed = memberships(players, tournament) if entry.groups else {}
    arrivals = []
    for player in players:
        division = rules.division_for(player.birth_date, entry.divisions)
        if division is None:
            raise NotEligibleError(player)
        facts = player.facts(memberships=listed.get(player.pk, frozenset()))
        arrivals.append(Arrival(player, division.id, rules.group_for(facts, division.code, entry.groups)))
    return arrivals


def _insert(tournament_id: int, arrivals: Sequence[Arrival], address_hash: str, device_hash: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            JOIN,
            {
                "tournament": tournament_id,
                "players": [a.player.pk for a in arrivals],
                "divisions": [a.division_id for a in arrivals],
                "groups": [a.group.id if a.group else None for a in arrivals],
                "priorities": [a.group.priority if a.group else 0 for a in arrivals],
                "early": [a.group.opens_early_minutes if a.group else 0 for a in arrivals],
                "public_ids": [new_public_id() for _ in arrivals],
                "address": address_hash,
                "device": device_hash,
            },
        )


def _refusal(tournament_id: int, arrivals: Sequence[Arrival]) -> RefusedError | None:
    """Why the INSERT took nobody, read afterwards: only for the words. None if nothing stands against it any more.

    Then registration opened, or an entry that was in the way ended, between the two: whoever comes a millisecond early is not
    told that registration has closed.
    """
    tournament = Tournament.objects.get(pk=tournament_id)
    early = min(arrival.group.opens_early_minutes if arrival.group else 0 for arrival in arrivals)
    times = tournament.times(early_minutes=early if tournament.mode == Tournament.Mode.FIRST_COME else 0)
    match rules.phase(times, database_now()):
        case rules.Phase.CANCELLED:
            return CancelledError()
        case rules.Phase.DRAFT | rules.Phase.ANNOUNCED:
            return NotOpenYetError(times.first_join_at)
        case rules.Phase.OVER | rules.Phase.CLOSED:
            return ClosedError()
    if tournament.closed_at or (tournament.mode == Tournament.Mode.LOTTERY and tournament.entries_sealed_at):
        return ClosedError()
    most = tournament.max_waiting
    if most is not None and QueueEntry.objects.waiting().filter(tournament=tournament).count() >= most:
        return FullError()
    return None


def leave_queue(*, account: User, public_id: str) -> QueueEntry:
    """Give up a place, or decline an offer. Leaving again is no error.

    Raises:
        EntryNotFoundError: not an entry of this account
        NotInQueueError: it is confirmed (then it is cancelled instead), or over
    """
    with transaction.atomic(), pghistory.context(service="leave_queue"):
        entry = own_entry(account, public_id)
        left = QueueEntry.objects.filter(pk=entry.pk, state__in=[State.WAITING, State.OFFERED, State.PASSED]).update(
            state=State.LEFT,
            seat=None,
            offer_expires_at=None,
            hold_until=None,
            checkout_at=None,
            ended_at=database_now(),
        )
        entry.refresh_from_db()
        if not left and entry.state != State.LEFT:
            raise NotInQueueError(entry.state)
        live.tell_on_commit(account.pk, "entry.changed", entry=entry.public_id)
    return entry


STEP_BACK_IN = """
WITH tournament AS MATERIALIZED (
    SELECT id FROM tournaments_tournament
    WHERE id = %(tournament)s AND cancelled_at IS NULL AND closed_at IS NULL AND statement_timestamp() < offers_end_at
    FOR KEY SHARE
)
UPDATE registrations_queueentry e SET state = 'WAITING', stepped_back_at = statement_timestamp()
FROM tournament t
WHERE e.id = %(entry)s AND e.tournament_id = t.id AND e.state = 'PASSED' AND e.stepped_back_at IS NULL
"""


def step_back_in(*, account: User, public_id: str) -> QueueEntry:
    """Return to the old place after a missed offer, once.

    Raises:
        EntryNotFoundError, NotInQueueError, ClosedError (registration is over)
    """
    with transaction.atomic(), pghistory.context(service="step_back_in"):
        entry = own_entry(account, public_id)
        with connection.cursor() as cursor:
            cursor.execute(STEP_BACK_IN, {"tournament": entry.tournament_id, "entry": entry.pk})
            stepped = cursor.rowcount
        entry.refresh_from_db()
        if not stepped and not (entry.state == State.WAITING and entry.stepped_back_at):
            raise ClosedError if entry.state == State.PASSED else NotInQueueError(entry.state)
        live.tell_on_commit(account.pk, "entry.changed", entry=entry.public_id)
    return entry


def own_entry(account: User, public_id: str) -> QueueEntry:
    """The account's entry with this id; EntryNotFoundError otherwise, also for somebody else's."""
    try:
        return QueueEntry.objects.of(account).select_related("tournament", "player").get(public_id=public_id)
    except QueueEntry.DoesNotExist:
        raise EntryNotFoundError from None


def any_entry(public_id: str) -> QueueEntry:
    """The entry with this id, whosever it is: for staff. EntryNotFoundError if there is none."""
    try:
        return QueueEntry.objects.select_related("tournament", "player").get(public_id=public_id)
    except QueueEntry.DoesNotExist:
        raise EntryNotFoundError from None
