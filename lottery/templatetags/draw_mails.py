"""What mails say of a draw: plain words, so that translators can move them about."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django import template
from django.urls import reverse

from lottery.awaiting import round_out_at
from lottery.drawing import How
from lottery.models import DrawEntry, LeftOut
from lottery.results import outcomes_of
from registrations.models import QueueEntry
from vgchub.pages import absolute
from vgchub.words import moment, number

register = template.Library()


@register.simple_tag
def sealed_in(entry: QueueEntry, draw_number: int, now: datetime) -> dict[str, object]:
    """What was sealed of an entry, and when it is drawn ("" where that follows at once, or isn't known any more)."""
    row = _row(entry, draw_number)
    draw = row.draw
    drawn_at = round_out_at(draw) if draw.uses_drand else None
    return {
        "tickets": row.tickets,
        "sha256": draw.manifest_sha256,
        "drawn_at": _moment(entry, drawn_at, now) if drawn_at else "",
        "at_once": not draw.uses_drand,
        "url": absolute(draw.get_absolute_url()),
    }


@register.simple_tag
def drawn_in(entry: QueueEntry, draw_number: int, now: datetime) -> dict[str, object]:
    """What an entry drew, and what comes next."""
    row = _row(entry, draw_number)
    draw, rank = row.draw, row.division_rank or 0
    outcome = outcomes_of(draw)[row.division]
    how = outcome.how(rank)
    begins_at = entry.tournament.offers_begin_at
    return {
        "place": number(rank),
        "seats": number(outcome.seats),
        "one_seat": outcome.seats == 1,
        "is_reserved": how is How.RESERVED,
        "waitlist": number(outcome.waitlist_place(rank)) if how is How.WAITLIST else "",
        "begins_at": _moment(entry, begins_at, now) if begins_at and begins_at > now else "",
        "url": absolute(draw.get_absolute_url()),
    }


@register.simple_tag
def left_out_of(entry: QueueEntry, draw_number: int) -> dict[str, object]:
    """Why an entry was not sealed, and whom to ask."""
    row = next(row for row in entry.left_out_of.all() if row.draw.number == draw_number)
    return {
        "unverified": row.reason == LeftOut.Reason.UNVERIFIED,
        "code_url": absolute(reverse("email_code")),
        "contact": entry.tournament.organization.contact_email,
        "url": absolute(row.draw.get_absolute_url()),
    }


@register.simple_tag
def void_draw_of(entry: QueueEntry, draw_number: int) -> dict[str, object]:
    """Why the draw of an entry was declared void, and whether the entry was in it at all."""
    draws = [row.draw for row in entry.draw_entries.all()] + [row.draw for row in entry.left_out_of.all()]
    draw = next(draw for draw in draws if draw.number == draw_number)
    left_out = any(row.draw == draw for row in entry.left_out_of.all())
    return {"reason": draw.void_reason, "left_out": left_out, "url": absolute(draw.get_absolute_url())}


def _row(entry: QueueEntry, draw_number: int) -> DrawEntry:
    return next(row for row in entry.draw_entries.all() if row.draw.number == draw_number)


def _moment(entry: QueueEntry, when: datetime, now: datetime) -> str:
    return moment(when, ZoneInfo(entry.tournament.time_zone), now=now)
