"""Who is offered a seat, and when an offer is over. One admitter a tournament: it holds the tournament's row alone."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pghistory
from django.db import connection, transaction
from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext_lazy

from accounts.models import User
from registrations import rules
from registrations.models import Notice, QueueEntry, QueueEntryQuerySet
from registrations.queries import CAN_BE_OFFERED
from registrations.rules import State
from registrations.services import notices
from registrations.services.errors import NotInQueueError
from registrations.services.leaving import any_entry
from registrations.services.telling import tell_accounts, tell_changed
from tournaments.models import Seat, Tournament
from tournaments.queries import database_now
from tournaments.rules import Phase
from vgchub import health
from vgchub.errors import RefusedError

MINUTE = timedelta(minutes=1)
# Who has a card on file is told of it in the same mail, by payments, which need a moment to find out.
WORDS_OF_CARDS = timedelta(seconds=15)


class NoFreeSeatError(RefusedError):
    code = "no_free_seat"
    message = gettext_lazy("The division has no free seat that this player may take.")
    remedy = gettext_lazy("Add a seat first, then grant it.")


class NotOfferableError(RefusedError):
    code = "not_offerable"
    message = gettext_lazy(
        "The account has not proved its e-mail address yet, or the Player ID is claimed by more than one account."
    )
    remedy = gettext_lazy("A seat can be granted once that is settled; the place in line is kept meanwhile.")


class OrderOpenError(RefusedError):
    code = "order_open"
    message = gettext_lazy("The order is still to be drawn, or can still be questioned.")
    remedy = gettext_lazy("Grant the seat once offers have begun: until then a draw can be declared void.")


def offer_seats(*, tournament_id: int, pace: float | None = None) -> int:
    """Offer free seats to the head of the line, as many as the pace allows; returns how many were offered.

    `pace` is the share of the usual one that payments allow (`health.offer_pace`); who calls this within a transaction asks before.

    The row lock comes first and the line is read by the next statement: so no smaller number is still in flight (without the
    lock, 7% of offers were measured to go to a later number first). Locked entries are waited for, never skipped.
    """
    pace = health.offer_pace() if pace is None else pace
    with transaction.atomic(), pghistory.context(service="offer_seats"):
        tournament = Tournament.objects.locked().get(pk=tournament_id)
        now = database_now()
        limit = _offers_allowed(tournament, now, pace)
        if limit and tournament.releases_reserved and now >= tournament.closes_at:
            _release_reserved(tournament)
        pairs = _pairs(tournament, limit) if limit else []
        return _offer(tournament, pairs, now) if pairs else 0


def _offers_allowed(tournament: Tournament, now: datetime, pace: float) -> int:
    """How many offers may be made now: never more than `offers_per_minute` within a minute, spread over it batch by batch.

    A batch is due a tick early: the clock finds it up to a tick late, and the minute would not be used up if every batch were late.
    While payments are not well the batches are further apart.
    """
    # ANNOUNCED may offer: an early lane's line stands before its tournament's phase says so.
    if tournament.phase(now) in (Phase.DRAFT, Phase.OVER, Phase.CANCELLED):
        return 0
    if tournament.paused_at is not None or not _order_stands(tournament, now):
        return 0
    if not pace:
        return 0
    period = timedelta(minutes=tournament.offer_batch / (tournament.offers_per_minute * pace))
    made = QueueEntry.objects.filter(tournament=tournament, offered_at__gt=now - max(period, MINUTE)).aggregate(
        in_minute=Count("offered_at", filter=Q(offered_at__gt=now - MINUTE)),
        in_period=Count("offered_at", filter=Q(offered_at__gt=now - period + rules.TICK)),
    )
    left: int = min(tournament.offer_batch - made["in_period"], tournament.offers_per_minute - made["in_minute"])
    return max(0, left)


def _order_stands(tournament: Tournament, now: datetime) -> bool:
    begin = tournament.offers_begin_at if tournament.is_drawn_mode else now
    return begin is not None and begin <= now


RELEASE = f"""
UPDATE tournaments_seat s SET reserved_for_id = NULL
FROM tournaments_division d
WHERE d.id = s.division_id AND d.tournament_id = %(tournament)s AND s.reserved_for_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM registrations_queueentry e WHERE e.seat_id = s.id)
  AND NOT EXISTS (SELECT FROM registrations_queueentry e
                  JOIN accounts_player p ON p.id = e.player_id JOIN accounts_user u ON u.id = p.account_id
                  WHERE e.division_id = d.id AND e.group_id = s.reserved_for_id AND e.state = 'WAITING'
                    AND {CAN_BE_OFFERED})
"""  # noqa: S608  a fragment of our own


def _release_reserved(tournament: Tournament) -> None:
    """Open the free seats of groups of which nobody waits who could take one: nobody can join any more."""
    with (
        pghistory.context(service="release_reserved", reason="nobody of the group is left to take it"),
        connection.cursor() as cursor,
    ):
        cursor.execute(RELEASE, {"tournament": tournament.pk})


def _pairs(tournament: Tournament, limit: int) -> list[tuple[int, int]]:
    """Division by division, whoever is due with a seat; in all at most `limit`."""
    free: dict[int, list[rules.FreeSeat]] = {}
    # No more of each kind than can be given out now: there may be thousands.
    turn = Window(RowNumber(), partition_by=["division", "reserved_for"], order_by="number")
    seats = Seat.objects.free().filter(division__tournament=tournament).annotate(turn=turn).filter(turn__lte=limit)
    rows = seats.order_by("division", "number").values_list("pk", "division", "reserved_for")
    for pk, division_id, group_id in rows:
        free.setdefault(division_id, []).append(rules.FreeSeat(pk, group_id))
    pairs: list[tuple[int, int]] = []
    for division_id, seats_free in free.items():
        left = limit - len(pairs)
        if left:
            pairs += rules.match_seats(_heads(division_id, seats_free, left), seats_free, left)
    return pairs


def _heads(division_id: int, seats: Iterable[rules.FreeSeat], limit: int) -> set[rules.InLine]:
    """Everybody in line who could be among the next `limit` to be offered one of `seats`."""
    line = QueueEntry.objects.offerable().filter(division=division_id)
    groups = {seat.group_id for seat in seats}
    heads: set[rules.InLine] = set()
    for group_id in groups:
        # An open seat may go to anybody; a reserved one only to its group, however far back its first member stands.
        candidates = line if group_id is None else line.filter(group=group_id)
        heads |= {
            rules.InLine(pk, (-priority, place or 0), group)  # in_line() has no null places
            for pk, priority, place, group in candidates.values_list("pk", "priority", "place", "group")[:limit]
        }
    return heads


OFFER = """
WITH offer AS MATERIALIZED (
    SELECT entry_id, seat_id, nextval('registrations_offer_number') AS offer_number
    FROM (SELECT * FROM unnest(%(entries)s::bigint[], %(seats)s::bigint[]) WITH ORDINALITY
          AS u (entry_id, seat_id, turn) ORDER BY turn) AS ordered
)
UPDATE registrations_queueentry e
SET state = 'OFFERED', seat_id = offer.seat_id, offer_number = offer.offer_number, offered_at = %(now)s,
    offer_expires_at = %(expires_at)s, hold_until = %(hold_until)s, checkout_at = NULL
FROM offer, accounts_player p
WHERE e.id = offer.entry_id AND e.state = 'WAITING' AND p.id = e.player_id
RETURNING e.id, e.public_id, p.account_id
"""


def _offer(tournament: Tournament, pairs: list[tuple[int, int]], now: datetime) -> int:
    deadlines = offer_deadlines(tournament, now)
    with connection.cursor() as cursor:
        cursor.execute(
            OFFER,
            {
                "entries": [entry for entry, _seat in pairs],
                "seats": [seat for _entry, seat in pairs],
                "now": now,
                "expires_at": deadlines.expires_at,
                "hold_until": deadlines.hold_until,
            },
        )
        offered = cursor.fetchall()
    notices.offers_due(
        [pk for pk, *_ in offered],
        offered_at=now,
        expires_at=deadlines.expires_at,
        told_at=now + WORDS_OF_CARDS if tournament.saves_cards else now,
    )
    tell_accounts((account_id, public_id) for _pk, public_id, account_id in offered)
    return len(offered)


def offer_deadlines(tournament: Tournament, now: datetime) -> rules.Deadlines:
    """Until when an offer made now lasts, by the tournament's rules."""
    return rules.offer_deadlines(_offer_rules(tournament), now)


def _offer_rules(tournament: Tournament) -> rules.OfferRules:
    return rules.OfferRules(
        rush_from=tournament.offers_begin_at or tournament.opens_at,
        rush_minutes=tournament.rush_minutes,
        offer_minutes=tournament.offer_minutes,
        late_offer_hours=tournament.late_offer_hours,
        payment_minutes=tournament.payment_minutes,
        always_late=tournament.mode == Tournament.Mode.LOTTERY,
        zone=ZoneInfo(tournament.time_zone),
    )


def grant_seat(*, public_id: str, by: User, reason: str) -> QueueEntry:
    """Offer a free seat to somebody out of order; the reason is public on the player's timeline.

    Raises:
        EntryNotFoundError, NotInQueueError, OrderOpenError, NotOfferableError, NoFreeSeatError
    """
    with transaction.atomic(), pghistory.context(service="grant_seat", by=by.pk, reason=reason):
        tournament = Tournament.objects.locked().get(pk=any_entry(public_id).tournament_id)
        now = database_now()
        # Leaving needs no lock of the tournament, so that the entry is held as well.
        entry = QueueEntry.objects.select_for_update().get(public_id=public_id)
        if (
            entry.state != State.WAITING
            or entry.place is None
            or tournament.phase(now) in (Phase.OVER, Phase.CANCELLED)
        ):
            raise NotInQueueError(entry.state)
        if not _order_stands(tournament, now):
            raise OrderOpenError
        if not QueueEntry.objects.offerable().filter(pk=entry.pk).exists():
            raise NotOfferableError
        seat = _seat_to_grant(entry)
        QueueEntry.objects.filter(pk=entry.pk).update(granted_by=by, grant_reason=reason)
        _offer(tournament, [(entry.pk, seat.pk)], now)
        entry.refresh_from_db()
    return entry


def _seat_to_grant(entry: QueueEntry) -> Seat:
    """One reserved for the entry's own group if there is one, else an open one."""
    seats = Seat.objects.free().filter(division=entry.division_id)
    own = seats.filter(reserved_for=entry.group_id).first() if entry.group_id else None
    seat = own or seats.filter(reserved_for=None).first()
    if seat is None:
        raise NoFreeSeatError
    return seat


def extend_offers(*, tournament_id: int, minutes: int, by: User, reason: str) -> int:
    """Give every open offer of a tournament more time; returns how many there were."""
    with transaction.atomic(), pghistory.context(service="extend_offers", by=by.pk, reason=reason):
        tournament = Tournament.objects.locked().get(pk=tournament_id)
        return add_time(tournament, timedelta(minutes=minutes))


def add_time(tournament: Tournament, more: timedelta) -> int:
    """Move the deadlines of all open offers; the caller holds the tournament's row. Returns how many there are."""
    offered = QueueEntry.objects.filter(tournament=tournament, state=State.OFFERED)
    changed = _move(offered, more)
    offer_rules = _offer_rules(tournament)
    # Who is paying has minutes, by day or night; a late offer that now ends in the venue's night lasts until the morning.
    for entry in offered.filter(checkout_at=None):
        if entry.offered_at and entry.offer_expires_at and rules.is_late(offer_rules, entry.offered_at):
            morning = rules.out_of_the_night(entry.offer_expires_at, offer_rules.zone)
            if morning != entry.offer_expires_at:
                _move(offered.filter(pk=entry.pk), morning - entry.offer_expires_at)
    tell_changed(*offered.select_related("player"))
    return changed


def _move(offered: QueueEntryQuerySet, more: timedelta) -> int:
    notices.postpone(offered, more)
    return offered.update(offer_expires_at=F("offer_expires_at") + more, hold_until=F("hold_until") + more)


LAPSE = """
UPDATE registrations_queueentry e
SET state = CASE WHEN stepped_back_at IS NULL THEN 'PASSED' ELSE 'LAPSED' END,
    ended_at = CASE WHEN stepped_back_at IS NULL THEN NULL ELSE %(now)s END,
    seat_id = NULL, offer_expires_at = NULL, hold_until = NULL, checkout_at = NULL
WHERE e.tournament_id = %(tournament)s AND e.state = 'OFFERED' AND (%(entry)s::bigint IS NULL OR e.id = %(entry)s::bigint)
  AND ((e.offer_expires_at <= %(now)s AND (e.checkout_at IS NULL OR %(settled)s)) OR e.hold_until <= %(now)s)
RETURNING e.id
"""


def lapse_offers(*, tournament_id: int, pace: float | None = None) -> int:
    """End the offers that ran out; returns how many. A first miss is PASSED, a second LAPSED. `pace` as in `offer_seats`.

    One with a checkout is left to payments until `hold_until`: the player may be paying this very second. Nothing lapses while
    the tournament is paused; while payments are unhealthy, what would end gets the minutes of a new offer instead.
    """
    pace = health.offer_pace() if pace is None else pace
    with transaction.atomic(), pghistory.context(service="lapse_offers"):
        tournament = Tournament.objects.locked().get(pk=tournament_id)
        if tournament.paused_at is not None:
            return 0
        if not pace:
            due = QueueEntry.objects.filter(tournament=tournament).offers_due(database_now())
            _move(due, timedelta(minutes=tournament.offer_minutes))
            return 0
        return lapse(tournament_id, entry_id=None, settled=False)


def lapse(tournament_id: int, *, entry_id: int | None, settled: bool) -> int:
    """Lapse what is due; with `settled`, also an offer whose checkout is known to be over. Returns how many."""
    now = database_now()
    with connection.cursor() as cursor:
        cursor.execute(LAPSE, {"tournament": tournament_id, "entry": entry_id, "settled": settled, "now": now})
        ids = [row[0] for row in cursor.fetchall()]
    entries = QueueEntry.objects.filter(pk__in=ids).select_related("player")
    notices.due([e for e in entries if e.state == State.PASSED], Notice.Kind.PASSED, now)
    notices.due([e for e in entries if e.state == State.LAPSED], Notice.Kind.LAPSED, now)
    tell_changed(*entries)
    return len(ids)
