"""What organizers write that needs tournaments only. What moves a queue with it is `registrations.services`."""

from collections.abc import Iterable
from dataclasses import dataclass

import pghistory
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from tournaments.models import PriorityGroup, PriorityMember, Seat, Tournament
from tournaments.queries import database_now
from vgchub.errors import RefusedError

CHUNK = 5000


class NotReadyError(RefusedError):
    """A draft that can't be published yet."""

    code = "not_ready"


class TakingEntriesError(RefusedError):
    code = "taking_entries"
    message = _("Somebody has entered already, so this tournament can't go back to being a draft.")
    remedy = _("Pause it, or cancel it.")


class AlreadySealedError(RefusedError):
    code = "already_sealed"
    message = _("Its entries are sealed already, so this tournament can't go back to being a draft.")
    remedy = _("Cancel it, and announce a new one.")


class TournamentCancelledError(RefusedError):
    code = "tournament_cancelled"
    message = _("This tournament has been cancelled.")
    remedy = _("Whoever paid gets the money back without asking.")


class ListSealedError(RefusedError):
    code = "list_sealed"
    message = _("Entries are sealed: the draw has been promised with the lists as they are.")


@dataclass(frozen=True)
class Imported:
    """How many Player IDs of an import are new in the group, and how many it had already."""

    added: int
    known: int


def publish_tournament(*, tournament_id: int, by: User) -> None:
    """Show a draft to everybody. Publishing twice changes nothing.

    Raises:
        TournamentCancelledError; NotReadyError: no seats yet, or registration is over before it could begin
    """
    with transaction.atomic(), pghistory.context(service="publish_tournament", by=by.pk):
        tournament = _locked(tournament_id)
        if tournament.published_at is not None:
            return
        now = database_now()
        if tournament.closes_at <= now:
            raise NotReadyError(_("Registration would be over already."), remedy=_("Correct when it opens and closes."))
        empty = tournament.divisions.exclude(pk__in=Seat.objects.values("division")).values_list("name", flat=True)
        if not tournament.divisions.exists():
            raise NotReadyError(_("It has no divisions yet."), remedy=_("Add at least one, with its seats."))
        if empty:
            raise NotReadyError(
                _("No seats yet: %(divisions)s.") % {"divisions": ", ".join(empty)},
                remedy=_("Give each division seats, or take it off."),
            )
        Tournament.objects.filter(pk=tournament.pk, published_at=None).update(published_at=now)


def withdraw_tournament(*, tournament_id: int, by: User, reason: str) -> None:
    """Make a published tournament a draft again, as long as nobody has entered (who joins holds the same row).

    Raises:
        TournamentCancelledError, TakingEntriesError, AlreadySealedError
    """
    with transaction.atomic(), pghistory.context(service="withdraw_tournament", by=by.pk, reason=reason):
        tournament = _locked(tournament_id)
        if tournament.entries_sealed_at is not None:
            raise AlreadySealedError
        if tournament.entries.exists():
            raise TakingEntriesError
        # Its draw is opened anew with it; until then nothing stands still for one.
        Tournament.objects.filter(pk=tournament.pk).update(published_at=None, draw_opened_at=None)


def set_message(*, tournament_id: int, message: str, by: User) -> None:
    """What those waiting read on their page, until it is changed or emptied."""
    with transaction.atomic(), pghistory.context(service="set_message", by=by.pk):
        Tournament.objects.locked().get(pk=tournament_id)
        Tournament.objects.filter(pk=tournament_id).update(message=message.strip())


def import_members(*, group_id: int, player_ids: Iterable[str], by: User) -> Imported:
    """List players in a group by (valid) Player ID; who is listed already stays. All, or on an error none.

    Raises:
        TournamentCancelledError, ListSealedError
    """
    wanted = set(player_ids)
    with transaction.atomic(), pghistory.context(service="import_members", by=by.pk):
        group = PriorityGroup.objects.get(pk=group_id)
        _unsealed(group.tournament_id)
        known = set(group.members.filter(player_id__in=wanted).values_list("player_id", flat=True))
        rows = (PriorityMember(group=group, player_id=player_id) for player_id in sorted(wanted - known))
        PriorityMember.objects.bulk_create(rows, batch_size=CHUNK)
        _keep_in_history(group, "listed", len(wanted - known))
    return Imported(added=len(wanted - known), known=len(known))


def remove_members(*, group_id: int, player_ids: Iterable[str], by: User, reason: str) -> int:
    """Take players off a group's list; returns how many were on it.

    Raises:
        TournamentCancelledError, ListSealedError
    """
    with transaction.atomic(), pghistory.context(service="remove_members", by=by.pk, reason=reason):
        group = PriorityGroup.objects.get(pk=group_id)
        _unsealed(group.tournament_id)
        removed, _by_model = group.members.filter(player_id__in=set(player_ids)).delete()
        _keep_in_history(group, "unlisted", removed)
    return removed


def _keep_in_history(group: PriorityGroup, label: str, players: int) -> None:
    """Lists can be long: the history has who changed one, when, why, and by how many, but not each player."""
    if players:
        with pghistory.context(players=players):
            pghistory.create_event(group, label=label)


def _locked(tournament_id: int) -> Tournament:
    """The tournament, held alone: who joins, imports or decides meanwhile waits."""
    tournament = Tournament.objects.locked().get(pk=tournament_id)
    if tournament.cancelled_at is not None:
        raise TournamentCancelledError
    return tournament


def _unsealed(tournament_id: int) -> None:
    if _locked(tournament_id).entries_sealed_at is not None:
        raise ListSealedError
