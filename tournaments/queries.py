"""Reads of tournaments that deserve a name."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery, prefetch_related_objects
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from accounts.models import Player, User
from tournaments import rules
from tournaments.models import Division, Organization, PriorityGroup, PriorityMember, Seat, Tournament


@dataclass(frozen=True)
class EntryRules:
    """What decides where a player of a tournament belongs and how often one may try, as of its `rules_version`."""

    tournament: Tournament
    divisions: tuple[rules.DivisionBounds, ...]
    groups: tuple[rules.Group, ...]
    limits: rules.JoinLimits

    def division(self, pk: int) -> Division | None:
        """The tournament's division of this key; None where it is newer than these rules."""
        return next((one for one in self.tournament.divisions.all() if one.pk == pk), None)

    def group(self, pk: int | None) -> PriorityGroup | None:
        """The tournament's group of this key; None for nobody's, and where it is newer than these rules."""
        return next((one for one in self.tournament.groups.all() if one.pk == pk), None)


def entry_rules(tournament: Tournament) -> EntryRules:
    """The divisions and groups of a tournament as plain values (two queries)."""
    prefetch_related_objects([tournament], "divisions", "groups")
    return EntryRules(
        tournament,
        divisions=tuple(division.bounds() for division in tournament.divisions.all()),
        groups=tuple(group.rule() for group in tournament.groups.all()),
        limits=tournament.join_limits,
    )


_known: dict[str, EntryRules] = {}


def known_entry_rules(slug: str, version: int = 0, *, pk: int | None = None) -> EntryRules:
    """The rules as this process remembers them, without a query; read anew where they are older than `version`.

    They may have changed since: whoever acts on them tests `rules_version` in the statement that acts, and if it has moved on
    asks for `entry_rules_now`. Whoever shows them reads the version with what is shown, and the `pk`: another tournament may
    have got the address. No message has to arrive for that, and none can be lost.

    Raises:
        Tournament.DoesNotExist
    """
    known = _known.get(slug)
    if known and known.tournament.rules_version >= version and pk in (None, known.tournament.pk):
        return known
    return _entry_rules_anew(slug)


def entry_rules_now(slug: str) -> tuple[EntryRules, datetime]:
    """The rules as they are now, and the database's clock: one statement where this version is remembered.

    A newer one may be: the database may have been restored as it was before.

    Raises:
        Tournament.DoesNotExist
    """
    *which, now = Tournament.objects.values_list("pk", "rules_version", Now()).get(slug=slug)
    known = _known.get(slug)
    if known is None or [known.tournament.pk, known.tournament.rules_version] != which:
        known = _entry_rules_anew(slug)
    return known, now


def _entry_rules_anew(slug: str) -> EntryRules:
    """The rules as they are now; those of a published tournament are remembered.

    The version is read before what it counts: rules that change in between are newer than their version, and are found out.

    Raises:
        Tournament.DoesNotExist
    """
    try:
        entry = entry_rules(Tournament.objects.get(slug=slug))
    except Tournament.DoesNotExist:
        _known.pop(slug, None)
        raise
    # What was remembered stays until then: nobody else has to read anew what has not changed for them.
    if entry.tournament.is_published(timezone.now()):
        _known[slug] = entry
    else:
        _known.pop(slug, None)
    return entry


def memberships(players: Iterable[Player], tournament: Tournament) -> dict[int, frozenset[int]]:
    """For each player's pk, the ids of the tournament's groups that list the Player ID; a disputed id counts for nobody."""
    return listed(((p.pk, p.player_id, p.player_id_state) for p in players), tournament)


def listed(claims: Iterable[tuple[int, str, str]], tournament: Tournament) -> dict[int, frozenset[int]]:
    """The same for (player's pk, Player ID, its state), for whoever reads thousands."""
    undisputed = {player_id: pk for pk, player_id, state in claims if state != Player.IdState.DISPUTED}
    found: dict[int, set[int]] = {}
    rows = PriorityMember.objects.filter(group__tournament=tournament, player_id__in=undisputed)
    for player_id, group_id in rows.values_list("player_id", "group_id"):
        found.setdefault(undisputed[player_id], set()).add(group_id)
    return {pk: frozenset(groups) for pk, groups in found.items()}


def database_now() -> datetime:
    """The database's clock, which decides in everything that concerns a seat."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def organizations_of(user: User | AnonymousUser) -> QuerySet[Organization]:
    """The organizations a person runs tournaments for: all for staff, the own ones for an organizer, none for others.

    Whoever has one is an organizer; there is no other mark of that role.
    """
    if not user.is_active:
        return Organization.objects.none()
    if user.is_staff:
        return Organization.objects.all()
    return Organization.objects.filter(memberships__account=user)


@dataclass(frozen=True)
class GroupFacts:
    """A priority group, how many seats are reserved for it, and whether it lists players."""

    group: PriorityGroup
    reserved: int
    listed: bool


def group_facts(tournament: Tournament) -> list[GroupFacts]:
    """The tournament's groups in the order in which they count (one query)."""
    seats = Seat.objects.filter(reserved_for=OuterRef("pk")).order_by().values("reserved_for").annotate(n=Count("pk"))
    groups = (
        tournament.groups.select_related("tournament")
        .annotate(
            reserved=Coalesce(Subquery(seats.values("n")), 0),
            listed=Exists(PriorityMember.objects.filter(group=OuterRef("pk"))),
        )
        .order_by("-priority", "-tickets", "name")
    )
    return [GroupFacts(group, group.reserved, group.listed) for group in groups]
