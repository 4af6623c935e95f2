"""The queue's pages: join, the live page, an entry's own page, leave, step back in."""

from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.middleware import HtmxDetails

from accounts.models import User
from lottery.chances import in_draw
from payments.views.receipts import has_receipt
from registrations import passes, queries, sentences, services
from registrations.forms import JoinForm
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.standing import Standing, standings
from reports.queries import timeline
from tournaments.models import Tournament
from tournaments.queries import database_now, known_entry_rules
from vgchub.ratelimit import Source, limited


class SignedInRequest(HttpRequest):
    """What `login_required` and django-htmx promise."""

    user: User
    htmx: HtmxDetails


def joinable(slug: str) -> Tournament:
    """The published tournament of this address, as this process remembers it: a join needs no query for it."""
    try:
        tournament = known_entry_rules(slug).tournament
    except Tournament.DoesNotExist:
        raise Http404 from None
    if not tournament.is_published(timezone.now()):
        raise Http404
    return tournament


@require_POST
def join(request: SignedInRequest, slug: str) -> HttpResponse:
    """Put the chosen players into the line, then show it. Repeating it is safe."""
    tournament = joinable(slug)
    if not request.user.is_authenticated:
        return redirect_to_login(tournament.get_absolute_url())
    form = JoinForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for error in form.errors["players"]))
        return redirect(tournament)
    services.join_queue(
        account=request.user, tournament=tournament, player_ids=form.player_ids(), source=Source.of(request)
    )
    return redirect("queue", slug=slug)


@require_safe
@login_required
@never_cache
def queue(request: SignedInRequest, slug: str) -> HttpResponse:
    """The live page: where each of my entries stands. Without JavaScript it refreshes itself."""
    entries = queries.entries_of_account(request.user.pk, slug)
    if not entries:
        return redirect("tournament", slug=slug)  # which says so where there is none
    template = "registrations/_queue.html" if request.htmx else "registrations/queue.html"
    return render(request, template, _queue_context(request, entries))


def _queue_context(request: SignedInRequest, entries: list[QueueEntry]) -> dict[str, Any]:
    tournament, now = entries[0].tournament, timezone.now()
    standing, _head = standings(tournament, entries, in_draw(tournament, entries, now))
    return {
        "tournament": tournament,
        "standings": standing,
        "divisions": _own_divisions(standing),
        "now": now,
        "socket_pass": passes.issue(tournament.pk, request.user.pk, entries),
        "sentences": sentences.script(),
        "unlikely": sentences.UNLIKELY,
        "moves": any(entry.is_live for entry in entries),
    }


def _own_divisions(standing: list[Standing]) -> list[dict[str, Any]]:
    """The divisions of my entries, each once, with their public numbers."""
    own = {s.entry.division_id: s for s in standing}
    return [{"id": pk, "name": s.entry.division.name, **asdict(s.division)} for pk, s in own.items()]


@require_safe
@login_required
def entries(request: SignedInRequest) -> HttpResponse:
    """All entries of the account, the newest first."""
    own = (
        QueueEntry.objects.of(request.user)
        .select_related("tournament", "player", "division", "seat")
        .order_by("-number")
    )
    return render(request, "registrations/entries.html", {"entries": own})


@require_safe
@login_required
@never_cache
def entry(request: SignedInRequest, public_id: str) -> HttpResponse:
    """One entry: what happened to it, when and why."""
    own = services.own_entry(request.user, public_id)
    return render(
        request,
        "registrations/entry.html",
        {
            "entry": own,
            "tournament": own.tournament,
            "moments": timeline(own),
            "has_receipt": has_receipt(own),
            "now": database_now(),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
@limited("30/m")
def leave(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Give up the place, or decline the offer: GET says what is lost with it, POST does it."""
    if request.method == "POST":
        own = services.leave_queue(account=request.user, public_id=public_id)
        messages.success(request, _("%(player)s has left the line.") % {"player": own.player.display_name})
        return redirect("queue", slug=own.tournament.slug)
    own = services.own_entry(request.user, public_id)
    if own.state == State.CONFIRMED:
        return redirect("cancel", public_id=public_id)
    if not own.is_live:
        return redirect("queue", slug=own.tournament.slug)
    undrawn = own.state == State.WAITING and own.place is None
    [standing], _head = standings(own.tournament, [own])
    context = {"entry": own, "tournament": own.tournament, "undrawn": undrawn, "position": standing.position}
    return render(request, "registrations/leave.html", context)


@require_POST
@login_required
@limited("30/m")
def step_back_in(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Return to the old place after a missed offer."""
    own = services.step_back_in(account=request.user, public_id=public_id)
    messages.success(request, _("You are back in line, at your old place."))
    return redirect("queue", slug=own.tournament.slug)
