"""The public page of a draw, and its files: anybody reads them, signed in or not."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.models import AnonymousUser
from django.db.models import Sum
from django.db.models.functions import Length
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.http.response import HttpResponseNotModified
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.models import User
from lottery import chances, changes, results, sentences
from lottery.awaiting import came_too_late, round_out_at
from lottery.beacon import QUICKNET, BeaconAwayError, chain_named
from lottery.models import Draw, DrawEntry, DrawFile
from lottery.queries import file_of, group_codes, parts_of, plain_bytes
from lottery.results import Line, Outcome
from registrations import passes
from registrations.queries import entries_of_account
from registrations.rules import State
from tournaments import queries
from tournaments.models import Division, Tournament
from tournaments.queries import database_now
from tournaments.rules import Phase
from vgchub.shared_pages import shared

PAGE = 25
FOR_EVER = "public, max-age=31536000, immutable"
REFRESH_SECONDS = 15


@dataclass(frozen=True)
class Awaited:
    """What comes next: `kind` is seal, seal_by_hand, round, draw, bundle or offers; `at` when, if that is known."""

    kind: str
    at: datetime | None = None


@dataclass(frozen=True)
class Mine:
    """An own entry in the draw. `row` is what was sealed of it, None before; `chance` is told until it is drawn."""

    player: str
    public_id: str
    division: str
    tickets: int
    chance: float | None = None
    row: DrawEntry | None = None
    sentence: str = ""

    @property
    def key(self) -> str:
        return bytes(self.row.key).hex() if self.row and self.row.key else ""


@dataclass(frozen=True)
class Part:
    """A division's page of the result; `found` is the place that was asked for."""

    outcome: Outcome
    name: str
    lines: list[Line]
    first: int
    found: int | None

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1

    @property
    def before(self) -> int | None:
        return max(1, self.first - PAGE) if self.first > 1 else None

    @property
    def after(self) -> int | None:
        return self.last + 1 if self.last < self.outcome.entries else None


@require_safe
def tournament_draw(request: HttpRequest, slug: str) -> HttpResponse:
    """To the draw that stands, or the last one if none does."""
    tournament = get_object_or_404(Tournament, slug=slug)
    _only_if_visible(request.user, tournament)
    found = tournament.draws.standing().first() or tournament.draws.first()
    if found is None:
        raise Http404
    return redirect(found)


@shared
@require_safe
def draw(request: HttpRequest, draw_id: str) -> HttpResponse:
    """Everything about one draw. Without JavaScript it refreshes itself while something is awaited."""
    shown = _visible(request.user, draw_id)
    template = "lottery/_draw.html" if getattr(request, "htmx", False) else "lottery/draw.html"
    return render(request, template, _context(request, shown))


def _visible(user: User | AnonymousUser, draw_id: str) -> Draw:
    shown = get_object_or_404(Draw.objects.select_related("tournament__organization"), public_id=draw_id)
    _only_if_visible(user, shown.tournament)
    return shown


def _only_if_visible(user: User | AnonymousUser, tournament: Tournament) -> None:
    """A draft is for its organizers and staff only."""
    if tournament.phase(database_now()) != Phase.DRAFT:
        return
    if not queries.organizations_of(user).filter(pk=tournament.organization_id).exists():
        raise Http404


def _context(request: HttpRequest, shown: Draw) -> dict[str, Any]:
    now = database_now()
    tournament = shown.tournament
    divisions = list(tournament.divisions.all())
    names = {division.code: division.name for division in divisions}
    groups = queries.group_facts(tournament)
    files = {file.name: file for file in shown.files.all()}
    awaited = _awaited(shown, now, bundled=DrawFile.Name.BUNDLE in files)
    is_due = shown.state in (Draw.State.OPEN, Draw.State.SEALED) and tournament.cancelled_at is None
    table = chances.chances_of(shown) if is_due else None
    mine = _mine(request.user, shown, table, now)
    return {
        "draw": shown,
        "tournament": tournament,
        "now": now,
        "awaited": awaited,
        "refresh": REFRESH_SECONDS if awaited else None,
        "too_late": shown.state == Draw.State.SEALED and came_too_late(shown),
        "rules": sentences.rules(tournament, groups, now),
        "changes": _changes(tournament, divisions, groups, now),
        "chance_comes_from": sentences.chance_comes_from(shown),
        "odds": _odds(table, names, _group_names(tournament, groups)) if table else [],
        "mine": mine,
        "result": _result(request, shown, names) if shown.drawn_at else None,
        "own_ids": [one.public_id for one in mine],
        "left_out": _left_out(shown) if shown.sealed_at else [],
        "manifest": files.get(DrawFile.Name.MANIFEST),
        "bundle": files.get(DrawFile.Name.BUNDLE),
        "chains": _chains(shown),
        "voided": tournament.draws.filter(state=Draw.State.VOID).exclude(pk=shown.pk),
        "superseded_by": Draw.objects.filter(supersedes=shown).first() if shown.state == Draw.State.VOID else None,
        "socket_pass": passes.issue(tournament.pk, None, []),
        "fields": _fields(),
    }


def _awaited(shown: Draw, now: datetime, *, bundled: bool) -> Awaited | None:
    tournament = shown.tournament
    if shown.state == Draw.State.VOID or tournament.cancelled_at or tournament.closed_at:
        return None
    match shown.state:
        case Draw.State.OPEN if shown.supersedes_id and not tournament.entries_sealed_at:
            return Awaited("seal_by_hand")
        case Draw.State.OPEN:  # what was sealed by hand is sealed before its time
            return Awaited("seal", tournament.entries_sealed_at or tournament.seals_at or tournament.opens_at)
        case Draw.State.SEALED:
            return Awaited("round", round_out_at(shown)) if shown.uses_drand else Awaited("draw")
    if not bundled:
        return Awaited("bundle")
    begin = tournament.offers_begin_at
    return Awaited("offers", begin) if begin and begin > now else None


def _chains(shown: Draw) -> list[dict[str, Any]]:
    """The draw's chain, if a verifier has to be told of it: each knows quicknet by itself, what nobody knows stays unchecked."""
    if not shown.uses_drand:
        return []
    try:
        chain = chain_named(shown.chain)
    except BeaconAwayError:
        return []
    return [] if chain.hash == QUICKNET.hash else [asdict(chain)]


def _group_names(tournament: Tournament, groups: list[queries.GroupFacts]) -> dict[str, str]:
    """What a manifest calls a group -> its name."""
    names = {one.group.pk: one.group.name for one in groups}
    return {code: names[pk] for pk, code in group_codes(tournament).items() if pk in names}


def _odds(table: chances.Chances, names: dict[str, str], groups: dict[str, str]) -> list[tuple[str, str, Any]]:
    """(code, name, odds) of each division that anybody is in."""
    return [
        (code, names.get(code, code), table.named(code, groups))
        for code, odds in table.divisions.items()
        if odds.entrants
    ]


def _mine(user: User | AnonymousUser, shown: Draw, table: chances.Chances | None, now: datetime) -> list[Mine]:
    """What concerns the signed-in account: its entries, with what is known of them so far."""
    if not isinstance(user, User):
        return []
    if shown.sealed_at is None:
        return [] if shown.state == Draw.State.VOID else _mine_waiting(user, shown, table)
    found = [_mine_sealed(row, shown, table, now) for row in results.own_draw_entries(shown, user)]
    for left in results.own_left_out(shown, user):
        entry = left.entry
        words = sentences.why_left_out(left)
        found.append(Mine(entry.player.display_name, entry.public_id, entry.division.name, 0, sentence=words))
    return found


def _mine_waiting(user: User, shown: Draw, table: chances.Chances | None) -> list[Mine]:
    codes = group_codes(shown.tournament)
    found = []
    for entry in entries_of_account(user.pk, shown.tournament.slug):
        if entry.state != State.WAITING or entry.place is not None:
            continue
        tickets = entry.group.tickets if entry.group else 1
        group = codes[entry.group_id] if entry.group_id else None
        chance = table.of(entry.division.code, group, tickets) if table else None
        found.append(Mine(entry.player.display_name, entry.public_id, entry.division.name, tickets, chance))
    return found


def _mine_sealed(row: DrawEntry, shown: Draw, table: chances.Chances | None, now: datetime) -> Mine:
    entry = row.entry
    sentence, chance = "", None
    if shown.state == Draw.State.DRAWN:
        result = results.outcomes_of(shown)[row.division]
        reach = results.reach_before(shown, row.division)
        sentence = sentences.outcome(row, result, shown.tournament, reach, now)
    elif table:
        chance = table.of(row.division, row.group or None, row.tickets)
    return Mine(entry.player.display_name, entry.public_id, entry.division.name, row.tickets, chance, row, sentence)


def _result(request: HttpRequest, shown: Draw, names: dict[str, str]) -> dict[str, Any]:
    """The division asked for (else the first), at the place or the entry asked for; and what to choose from."""
    outcomes = results.outcomes_of(shown)
    asked = request.GET.get("entry", "").strip().lower()
    hit = results.place_of(shown, asked) if asked else None
    code = hit[0] if hit else request.GET.get("division", "")
    chosen = outcomes.get(code) or next(iter(outcomes.values()))
    place = hit[1] if hit else _number(request.GET.get("place", ""), chosen.entries)
    first = 1 + (place - 1) // PAGE * PAGE
    return {
        "divisions": [(one, names.get(one.code, one.code)) for one in outcomes.values()],
        "part": Part(
            chosen,
            names.get(chosen.code, chosen.code),
            results.lines_of(shown, chosen, first, PAGE),
            first,
            place if hit else None,
        ),
        "asked": asked,
        "unknown": bool(asked) and hit is None,
    }


def _number(text: str, most: int) -> int:
    """A place from an address; 1 for what is none."""
    return max(1, min(int(text), most)) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def _changes(
    tournament: Tournament, divisions: list[Division], groups: list[queries.GroupFacts], now: datetime
) -> list[tuple[datetime, str, str]]:
    """(when, what, why) of the rules that were changed after entries had opened."""
    names = {division.pk: division.name for division in divisions}
    group_names = {one.group.pk: one.group.name for one in groups}
    zone = ZoneInfo(tournament.time_zone)
    found = changes.changes_of(tournament)
    return [(one.at, sentences.change(one, names, group_names, zone, now), one.reason) for one in found]


def _left_out(shown: Draw) -> list[tuple[str, int]]:
    return [(str(reason.label), count) for reason, count in results.left_out_counts(shown)]


def _fields() -> dict[str, str]:
    """What the browser's verifier checks, field by field."""
    return {
        "page": _("The file is of this draw, and its manifest has the hash that stands on this page"),
        "form": _("The file has the form of the specification and says nothing besides"),
        "manifest_sha256": _("The manifest's hash is that of its bytes"),
        "entropy": _("What was revealed is what the manifest had named"),
        "randomness": _("The random value follows from drand's signature"),
        "signature": _("drand's key has signed this round"),
        "round": _("The round was published after the entries were sealed"),
        "seed": _("The seed follows from the manifest and the revealed value"),
        "keys": _("Each entry's key is the smallest of its tickets"),
        "ranking": _("The order is that of the keys"),
        "allocation": _("Seats and waitlist follow from the order and the reserves"),
    }


@require_safe
def manifest(request: HttpRequest, draw_id: str) -> HttpResponseBase:
    """What was sealed, as canonical JSON."""
    return _file(request, draw_id, DrawFile.Name.MANIFEST)


@require_safe
def bundle(request: HttpRequest, draw_id: str) -> HttpResponseBase:
    """Everything that it takes to check the draw."""
    return _file(request, draw_id, DrawFile.Name.BUNDLE)


def _file(request: HttpRequest, draw_id: str, name: DrawFile.Name) -> HttpResponseBase:
    """A published file, as it is kept where the client takes gzip, else unpacked; never the whole of it in memory."""
    file = file_of(_visible(request.user, draw_id), name)
    if file is None:
        raise Http404
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    etag = f'"{file.sha256}-gzip"' if packed else f'"{file.sha256}"'
    known = parse_etags(request.headers.get("If-None-Match", ""))
    response: HttpResponseBase
    response = HttpResponseNotModified() if etag in known else _stream(request, file, draw_id, packed=packed)
    response["ETag"] = etag
    response["Cache-Control"] = FOR_EVER
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


def _stream(request: HttpRequest, file: DrawFile, draw_id: str, *, packed: bool) -> StreamingHttpResponse:
    pieces: Iterator[bytes] = parts_of(file) if packed else plain_bytes(file)
    response = StreamingHttpResponse(pieces, content_type="application/json")
    response["Content-Length"] = file.size
    if packed:
        response["Content-Encoding"] = "gzip"
        response["Content-Length"] = file.parts.aggregate(size=Sum(Length("content")))["size"]
    if "download" in request.GET:
        response["Content-Disposition"] = f'attachment; filename="{file.name}-{draw_id}.json"'
    return response
