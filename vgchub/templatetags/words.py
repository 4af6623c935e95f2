"""Numbers, money and times in templates; `vgchub.words` says how they read, moments.js and countdown.js keep them going."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from vgchub import words

register = template.Library()
register.filter("number", words.number)
register.filter("ordinal", words.ordinal)
register.filter("percent", words.percent)
register.filter("money", words.money)
register.filter("duration", words.duration)


@register.simple_tag
def moment(when: datetime, zone: str = "UTC", style: str = "full") -> SafeString:
    """`{% moment tournament.opens_at tournament.time_zone %}`: a `<time>` in the venue's zone, with the zone's name.

    moments.js adds the reader's own time where it differs. Styles: full (day and time), time (20:24:10, with its day unless it is
    today), short (day and time without the zone's name, where the page says it already), day (28 November 2026, no time).
    """
    there = ZoneInfo(zone)
    if style == "day":
        return format_html('<time datetime="{}">{}</time>', when.isoformat(), words.day(when.astimezone(there).date()))
    reads = words.deadline if style == "time" else words.day_and_time
    text = reads(when, there, now=timezone.now())
    zone_name = (
        "" if style == "short" else format_html(' <span class="moment__zone">({})</span>', words.zone_name(there))
    )
    return format_html(
        '<time datetime="{}" data-zone="{}" data-style="{}" data-own="{}">{}{}</time>',
        when.isoformat(),
        zone,
        style,
        _("{time} your time"),
        text,
        zone_name,
    )


@register.simple_tag
def countdown(deadline: datetime, reveal: str = "", then: str = "") -> SafeString:
    """`{% countdown tournament.opens_at %}`: the time left in words; countdown.js counts on from the server's clock.

    At zero it shows the element whose id is `reveal`, and with then="reload" asks for the page again, with
    then="send" sends the form that it stands in.
    """
    now = timezone.now()
    return format_html(
        '<span class="countdown" role="timer" data-deadline="{}" data-now="{}" data-reveal="{}" data-then="{}">{}</span>',
        deadline.isoformat(),
        now.isoformat(),
        reveal,
        then,
        words.duration(deadline - now),
    )


@register.filter
def left_of(deadline: datetime, begun_at: datetime) -> float:
    """How many percent of the time from `begun_at` to the deadline are left, 0 to 100: the length of a ring."""
    whole = deadline - begun_at
    left = deadline - timezone.now()
    return round(100 * max(timedelta(), min(left, whole)) / whole, 1) if whole > timedelta() else 0.0
