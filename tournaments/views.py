"""Public pages of tournaments: anybody reads them, signed in or not."""

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from accounts.models import Player, User
from registrations import passes
from registrations.queries import players_and_entries, seat_summary, seats_and_free
from tournaments import queries, rules, sentences
from tournaments.models import Division, Tournament
from tournaments.rules import Phase
from vgchub.shared_pages import shared, shared_part
from vgchub.shelf import shelf

JOINABLE = (Phase.PREQUEUE, Phase.OPEN)
# A page that is open when its tournament opens carries the form along from this long before.
FORM_COMES_BEFORE = timedelta(hours=2)
LISTED = 200

_whole = Tournament.objects.select_related("organization")


@dataclass(frozen=True)
class Listed:
    """A tournament on a list."""

    tournament: Tournament
    phase: Phase
    seats: int
    free: int
    next: "NextMoment | None"


@dataclass(frozen=True)
class NextMoment:
    """What a countdown goes to: `kind` is opens, room_opens, closes, draw or offers_end."""

    kind: str
    at: datetime


@shared
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What the site is, and what can be entered now or soon."""
    current = shared_part("current", "tournaments/_current.html", _current)
    return render(request, "tournaments/home.html", {"current": current})


def _current() -> dict[str, Any]:
    now = timezone.now()
    current = (
        Tournament.objects.published(now).filter(offers_end_at__gt=now, cancelled_at=None).order_by("opens_at", "pk")
    )
    listed = _listed(current[:LISTED], now)
    return {
        "joinable": [one for one in listed if one.phase in JOINABLE],
        "coming": [one for one in listed if one.phase == Phase.ANNOUNCED],
        "closed": [one for one in listed if one.phase == Phase.CLOSED],
    }


@shared
@require_safe
def tournaments(request: HttpRequest) -> HttpResponse:
    """All published tournaments, the latest first."""
    years = shared_part("years", "tournaments/_years.html", _years)
    return render(request, "tournaments/tournaments.html", {"years": years})


def _years() -> dict[str, Any]:
    now = timezone.now()
    listed = _listed(Tournament.objects.published(now).order_by("-starts_at", "pk")[:LISTED], now)
    years = groupby(listed, key=lambda one: one.tournament.starts_at.year)
    return {"years": [(year, list(group)) for year, group in years]}


def _listed(found: Iterable[Tournament], now: datetime) -> list[Listed]:
    shown = list(found)
    seats = seats_and_free(shown)
    listed = []
    for one in shown:
        phase = one.phase(now)
        listed.append(Listed(one, phase, *seats.get(one.pk, (0, 0)), next=_next_moment(one, phase)))
    return listed


@shared
@require_safe
def tournament(request: HttpRequest, slug: str) -> HttpResponse:
    """All about one tournament, and the way into its line. A draft is for its organizers and staff only."""
    now = timezone.now()
    shown = _shown(slug)
    phase = shown.phase(now)
    if phase == Phase.DRAFT and not queries.organizations_of(request.user).filter(pk=shown.organization_id).exists():
        raise Http404
    mine = _mine(request.user, shown, now)
    return render(
        request,
        "tournaments/tournament.html",
        {
            **mine,
            "tournament": shown,
            "about": _about(shown, phase, now),
            "now": now,
            "phase": phase,
            "next": _next_moment(shown, phase),
            "joinable": mine["own_phase"] in JOINABLE and not shown.closed_at,
            "form_comes_along": phase == Phase.ANNOUNCED and _first_join(shown) - now < FORM_COMES_BEFORE,
            "refresh": _refresh(shown, phase, now),
            "socket_pass": passes.issue(shown.pk, None, []),
        },
    )


def _shown(slug: str) -> Tournament:
    """The tournament as it was within the last second; a draft as it is."""
    kept = shelf.take(f"tournament:{slug}", lambda: _kept(slug))
    return pickle.loads(kept) if kept else get_object_or_404(_whole, slug=slug)  # noqa: S301  what we have put there


def _kept(slug: str) -> bytes:
    found = _whole.filter(slug=slug).first()
    return b"" if found is None or found.phase(timezone.now()) == Phase.DRAFT else pickle.dumps(found)


def _about(shown: Tournament, phase: Phase, now: datetime) -> SafeString:
    """What everybody sees, as HTML. Of a draft nobody keeps a copy."""
    template = "tournaments/_about.html"
    if phase == Phase.DRAFT:
        return render_to_string(template, _facts(shown, now))
    return shared_part(f"about:{shown.pk}", template, lambda: _facts(shown, now))


def _facts(shown: Tournament, now: datetime) -> dict[str, Any]:
    return {
        "tournament": shown,
        "divisions": [(one, sentences.eligible(one.division)) for one in in_order_of_age(seat_summary(shown))],
        "groups": [
            {
                "name": one.group.name,
                "criteria": sentences.group_criteria(one.group, listed=one.listed),
                "benefits": sentences.group_benefits(one.group, reserved=one.reserved),
            }
            for one in queries.group_facts(shown)
        ],
        "how": sentences.how_seats_are_given(shown, now),
        "fee": sentences.fee(shown),
        "refund": sentences.refund(shown, now),
    }


def in_order_of_age(seats: Sequence[Any]) -> list[Any]:
    """Divisions as people name them: juniors, seniors, masters."""
    order = list(Division.Code.values)
    return sorted(seats, key=lambda one: order.index(one.division.code))


def _mine(user: User | AnonymousUser, shown: Tournament, now: datetime) -> dict[str, Any]:
    """What concerns the signed-in account alone: its players, its entries here, and whether it may join already."""
    if not isinstance(user, User):
        return {"own_entries": [], "own_players": [], "own_phase": shown.phase(now)}
    players, entries = players_and_entries(user.pk, shown)
    early = _opens_early(shown, players) if shown.mode == Tournament.Mode.FIRST_COME else 0
    in_line = {entry.player_id for entry in entries}
    return {
        "own_entries": entries,
        "own_players": [player for player in players if player.pk not in in_line],
        "own_phase": shown.phase(now, early_minutes=early),
    }


def _opens_early(shown: Tournament, players: Sequence[Player]) -> int:
    """Minutes by which the first of these players may join before the others."""
    entry = queries.known_entry_rules(shown.slug, shown.rules_version, pk=shown.pk)
    if not any(group.opens_early_minutes for group in entry.groups):
        return 0
    listed = queries.memberships(players, shown)
    early = [0]
    for player in players:
        division = rules.division_for(player.birth_date, entry.divisions)
        facts = player.facts(memberships=listed.get(player.pk, frozenset()))
        group = division and rules.group_for(facts, division.code, entry.groups)
        early.append(group.opens_early_minutes if group else 0)
    return max(early)


def _first_join(shown: Tournament) -> datetime:
    return shown.prequeue_opens_at or shown.opens_at


def _next_moment(shown: Tournament, phase: Phase) -> NextMoment | None:
    """The next thing that the clock brings, for everybody."""
    match phase:
        case Phase.DRAFT | Phase.ANNOUNCED:
            return NextMoment("room_opens" if shown.prequeue_opens_at else "opens", _first_join(shown))
        case Phase.PREQUEUE:
            return NextMoment("opens", shown.opens_at)
        case Phase.OPEN:
            return NextMoment("closes", shown.closes_at)
        case Phase.CLOSED if shown.mode == Tournament.Mode.LOTTERY and not shown.drawn_at and shown.seals_at:
            return NextMoment("draw", shown.seals_at)
        case Phase.CLOSED:
            return NextMoment("offers_end", shown.offers_end_at)
    return None


def _refresh(shown: Tournament, phase: Phase, now: datetime) -> int | None:
    """Seconds after which a page without JavaScript asks again: at the next moment, or to see seats move."""
    upcoming = _next_moment(shown, phase)
    if upcoming is None:
        return None
    left = int((upcoming.at - now).total_seconds()) + 1
    return max(1, min(left, 30 if phase in (*JOINABLE, Phase.CLOSED) else 300))
