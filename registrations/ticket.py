"""The ticket of a confirmed seat: a page with a QR code, and a calendar file."""

import segno
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from icalendar import Calendar, Event

from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import own_entry
from tournaments.queries import database_now
from vgchub.errors import RefusedError
from vgchub.pages import absolute


class NoTicketError(RefusedError):
    code = "no_ticket"

    def __init__(self, entry: QueueEntry) -> None:
        super().__init__(
            _("There is no ticket, because this entry has no confirmed seat."),
            remedy=_("The entry's page shows where it stands, and what happened."),
            url=entry.get_absolute_url(),
        )


def _confirmed(request: HttpRequest, public_id: str) -> QueueEntry:
    entry = own_entry(request.user, public_id)  # type: ignore[arg-type]
    if entry.state != State.CONFIRMED:
        raise NoTicketError(entry)
    return entry


@require_safe
@login_required
def ticket(request: HttpRequest, public_id: str) -> HttpResponse:
    """What is shown at the door; the code holds the entry's opaque id and nothing about the person."""
    entry = _confirmed(request, public_id)
    code = segno.make(f"vgchub:{entry.public_id}", error="m")
    return render(
        request,
        "registrations/ticket.html",
        {"entry": entry, "tournament": entry.tournament, "code": code.svg_data_uri(scale=6, border=2)},
    )


@require_safe
@login_required
def calendar(request: HttpRequest, public_id: str) -> HttpResponse:
    """The tournament as an iCalendar file (RFC 5545)."""
    entry = _confirmed(request, public_id)
    tournament = entry.tournament
    event = Event()
    event.add("uid", f"{entry.public_id}@vgchub")
    event.add("dtstamp", database_now())
    event.add("dtstart", tournament.starts_at)
    event.add("dtend", tournament.ends_at)
    event.add("summary", tournament.name)
    event.add("location", f"{tournament.venue}, {tournament.city}")
    event.add("url", absolute(reverse("ticket", args=[entry.public_id])))
    file = Calendar()
    file.add("prodid", "-//VGC Hub//EN")
    file.add("version", "2.0")
    file.add_component(event)
    return HttpResponse(
        file.to_ical(),
        content_type="text/calendar; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{tournament.slug}.ics"'},
    )
