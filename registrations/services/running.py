"""What organizers and the end of registration do to a whole queue. All hold the tournament's row alone."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

import pghistory
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User
from accounts.rules import PlayerFacts
from registrations.models import Heartbeat, Notice, QueueEntry, QueueEntryQuerySet
from registrations.rules import State
from registrations.services import notices
from registrations.services.errors import NotInQueueError
from registrations.services.leaving import any_entry, end
from registrations.services.offering import add_time
from registrations.services.telling import tell_changed
from tournaments import rules
from tournaments.models import Division, Seat, Tournament
from tournaments.queries import EntryRules, database_now, entry_rules, listed
from tournaments.services import TournamentCancelledError
from vgchub.errors import RefusedError

CHUNK = 1000
READ = 10_000
# Shorter silences are restarts, which a player hardly notices.
SILENCE = timedelta(seconds=30)


class SeatsTakenError(RefusedError):
    code = "seats_taken"

    def __init__(self, free: int, asked: int) -> None:
        super().__init__(
            ngettext(
                "%(asked)d seats should go, but only %(free)d is free.",
                "%(asked)d seats should go, but only %(free)d are free.",
                free,
            )
            % {"asked": asked, "free": free},
            remedy=ngettext("Take away at most %(free)d.", "Take away at most %(free)d.", free) % {"free": free},
            free=free,
        )


class SealedError(RefusedError):
    code = "entries_sealed"
    message = gettext_lazy(
        "The entries are sealed: what takes part in the draw, seats included, is fixed until it is done."
    )
    remedy = gettext_lazy("Change the number of seats after the draw.")


def beat() -> timedelta:
    """The clock is alive. After a silence (the site was down) every open offer gets that time on top; returns how much.

    A paused tournament is left out: resuming it adds the whole pause anyway.
    """
    with transaction.atomic(), pghistory.context(service="beat", reason="the site was away"):
        now = database_now()
        last, _made = Heartbeat.objects.select_for_update().get_or_create(id=1, defaults={"beat_at": now})
        silent = now - last.beat_at
        Heartbeat.objects.filter(id=1).update(beat_at=now)
        if silent <= SILENCE:
            return timedelta()
        offering = QueueEntry.objects.filter(state=State.OFFERED, tournament__paused_at=None)
        for tournament_id in sorted(set(offering.order_by().values_list("tournament", flat=True))):
            add_time(Tournament.objects.locked().get(pk=tournament_id), silent)
    return silent


def pause_tournament(*, tournament_id: int, by: User, reason: str = "") -> None:
    """Stop offers and lapses. Joining goes on. Pausing twice changes nothing.

    Raises:
        TournamentCancelledError
    """
    with transaction.atomic(), pghistory.context(service="pause_tournament", by=by.pk, reason=reason):
        tournament = Tournament.objects.locked().get(pk=tournament_id)
        if tournament.cancelled_at is not None:
            raise TournamentCancelledError
        Tournament.objects.filter(pk=tournament_id, paused_at=None).update(paused_at=Now())


def resume_tournament(*, tournament_id: int, by: User, reason: str = "") -> None:
    """Go on; every open offer gets the paused time on top, so that a pause costs nobody a minute."""
    with transaction.atomic(), pghistory.context(service="resume_tournament", by=by.pk, reason=reason):
        tournament = Tournament.objects.locked().get(pk=tournament_id)
        if tournament.paused_at is None:
            return
        add_time(tournament, database_now() - tournament.paused_at)
        Tournament.objects.filter(pk=tournament_id).update(paused_at=None)


def set_seats(*, division_id: int, seats: int, by: User | None, reason: str, group_id: int | None = None) -> int:
    """Make a division have `seats` seats of one kind: open ones, or those reserved for a group. Returns the change.

    Raises:
        SeatsTakenError: fewer of that kind are free than should go; nothing is changed
        SealedError: between sealing and drawing, when the manifest promises the seats
    """
    context = {"by": by.pk} if by else {}
    with transaction.atomic(), pghistory.context(service="set_seats", reason=reason, **context):
        division = Division.objects.get(pk=division_id)
        tournament = Tournament.objects.locked().get(pk=division.tournament_id)
        if tournament.entries_sealed_at is not None and tournament.drawn_at is None:
            raise SealedError
        kind = Seat.objects.filter(division=division, reserved_for=group_id)
        change = seats - kind.count()
        if change > 0:
            last = Seat.objects.filter(division=division).aggregate(last=Max("number"))["last"] or 0
            Seat.objects.bulk_create(
                Seat(division=division, number=last + n, reserved_for_id=group_id) for n in range(1, change + 1)
            )
        elif change < 0:
            _take_away(division, group_id, -change)
    return change


def _take_away(division: Division, group_id: int | None, count: int) -> None:
    """The free seats with the highest numbers go. No offer can be made meanwhile: the tournament's row is held."""
    free = Seat.objects.free().filter(division=division, reserved_for=group_id)
    going = list(free.order_by("-number").values_list("pk", flat=True)[:count])
    if len(going) < count:
        raise SeatsTakenError(free=len(going), asked=count)
    Seat.objects.filter(pk__in=going).delete()


def regroup_entries(*, tournament_id: int) -> int:
    """Put waiting entries into the groups that members, criteria and corrections now say; returns how many changed.

    Offered and confirmed entries keep what they were offered with; sealed and drawn ones what the manifest says.
    """
    with transaction.atomic(), pghistory.context(service="regroup_entries"):
        tournament = Tournament.objects.locked().get(pk=tournament_id)
        if tournament.entries_sealed_at is not None and tournament.drawn_at is None:
            return 0
        return _regroup_waiting(tournament, QueueEntry.objects.waiting().exclude(place__lt=0))


def regroup_sealed(*, tournament_id: int) -> int:
    """The same for those who wait for the draw, between sealing and the manifest: nobody else changes them, and joins go on."""
    with transaction.atomic(), pghistory.context(service="regroup_sealed"):
        tournament = Tournament.objects.held().get(pk=tournament_id)
        return _regroup_waiting(tournament, QueueEntry.objects.waiting().filter(place=None))


class Grouped(NamedTuple):
    """An entry as it is grouped, with what its group depends on. A model for each of a hundred thousand would take seconds."""

    pk: int
    group_id: int | None
    priority: int
    division_id: int
    player: int
    player_id: str
    player_id_state: str
    birth_date: date
    country: str
    championship_points: int
    best_placement: int | None
    seasons_played: int

    def facts(self, memberships: frozenset[int]) -> PlayerFacts:
        return PlayerFacts(*self[7:], memberships)


GROUPED = (
    "pk", "group", "priority", "division", "player", "player__player_id", "player__player_id_state", "player__birth_date",
    "player__country", "player__championship_points", "player__best_placement", "player__seasons_played",
)  # fmt: skip


def _regroup_waiting(tournament: Tournament, waiting: QueueEntryQuerySet) -> int:
    entry = entry_rules(tournament)
    # Without groups there is nothing to do: a group that has entries can't be deleted.
    if not entry.groups:
        return 0
    rows = waiting.filter(tournament=tournament).order_by("pk").values_list(*GROUPED)
    changed, last = 0, 0
    while chunk := [Grouped(*row) for row in rows.filter(pk__gt=last)[:READ]]:
        last = chunk[-1].pk
        moved = _moved(tournament, chunk, entry)
        changed += len(moved)
        for start in range(0, len(moved), CHUNK):
            _regroup(tournament, dict(moved[start : start + CHUNK]))
    return changed


def _moved(tournament: Tournament, chunk: list[Grouped], entry: EntryRules) -> list[tuple[int, rules.Group | None]]:
    """(pk, group) of the entries that belong to another group than the one they stand in."""
    codes = {division.id: division.code for division in entry.divisions}
    lists = listed(((e.player, e.player_id, e.player_id_state) for e in chunk), tournament)
    now = (
        (e, rules.group_for(e.facts(lists.get(e.player, frozenset())), codes[e.division_id], entry.groups))
        for e in chunk
    )
    return [(e.pk, group) for e, group in now if (e.group_id, e.priority) != _group_and_lane(group, tournament)]


def _group_and_lane(group: rules.Group | None, tournament: Tournament) -> tuple[int | None, int]:
    """What an entry of this group has in its row: there are lanes where nothing is drawn."""
    if group is None:
        return None, 0
    return group.id, 0 if tournament.is_drawn_mode else group.priority


def _regroup(tournament: Tournament, groups: dict[int, rules.Group | None]) -> None:
    """Put each entry, by its pk, into its group, and into that group's lane where there are lanes."""
    entries = list(QueueEntry.objects.filter(pk__in=groups).select_related("player").order_by("pk"))
    for entry in entries:
        entry.group_id, entry.priority = _group_and_lane(groups[entry.pk], tournament)
    QueueEntry.objects.bulk_update(entries, ["group", "priority"])
    tell_changed(*entries)


def close_due_registrations() -> int:
    """Close every tournament whose last offers are over; returns how many entries ended."""
    over = Tournament.objects.filter(
        offers_end_at__lte=Now(), entries__state__in=[State.WAITING, State.PASSED]
    ).distinct()
    return sum(close_registration(tournament_id=tournament.pk) for tournament in over)


def close_registration(*, tournament_id: int) -> int:
    """Registration is over: who still waits or stood aside is CLOSED. Open offers run out on their own."""
    with transaction.atomic(), pghistory.context(service="close_registration"):
        Tournament.objects.locked().get(pk=tournament_id)
        now = database_now()
        Tournament.objects.filter(pk=tournament_id, offers_end_at__lte=now, closed_at=None).update(closed_at=now)
        if not Tournament.objects.filter(pk=tournament_id, closed_at__isnull=False).exists():
            return 0
        return _close(tournament_id, [State.WAITING, State.PASSED], now)


def close_entries_of_cancelled(*, tournament_id: int) -> int:
    """After a cancellation: everybody who has no confirmed seat is CLOSED. Confirmed ones are cancelled and refunded by payments.

    The caller has set `cancelled_at` and holds the tournament's row.
    """
    return _close(tournament_id, [State.WAITING, State.PASSED, State.OFFERED], database_now())


def _close(tournament_id: int, states: list[State], now: datetime) -> int:
    ids = list(
        QueueEntry.objects.select_for_update()
        .filter(tournament=tournament_id, state__in=states)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        end(QueueEntry.objects.filter(pk__in=chunk), State.CLOSED, now)
        entries = list(QueueEntry.objects.filter(pk__in=chunk).select_related("player"))
        notices.due(entries, Notice.Kind.CLOSED, now)
        tell_changed(*entries)
    return len(ids)


def reject_entry(*, public_id: str, by: User, reason: str) -> QueueEntry:
    """Staff take an entry out, with a reason, from any live state. Money is payments' (`payments.services`).

    Raises:
        EntryNotFoundError
        NotInQueueError: it is over already
    """
    with transaction.atomic(), pghistory.context(service="reject_entry", by=by.pk, reason=reason):
        now = database_now()
        rejected = end(QueueEntry.objects.live().filter(public_id=public_id), State.REJECTED, now)
        entry = any_entry(public_id)
        if not rejected:
            raise NotInQueueError(entry.state)
        notices.due([entry], Notice.Kind.REJECTED, now)
        tell_changed(entry)
    return entry
