"""The one sentence that says where an entry stands and what happens next.

The same templates are filled in here for the page, and by static/js/live.js whenever the line moves.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from django.utils.html import json_script
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from registrations.models import QueueEntry
from registrations.rules import State
from tournaments.models import Tournament
from vgchub import words


def templates() -> dict[str, str]:
    """Sentences about a line that moves, with their placeholders, in the reader's language."""
    return _templates(get_language())


@cache
def _templates(language: str | None) -> dict[str, str]:  # noqa: ARG001  what gettext goes by
    return {
        "waiting": _("You are %(position)s in line for %(division)s."),
        "first": _("You are first in line for %(division)s."),
        "open_one": _("1 seat is free or on offer."),
        "open": _("%(open)s seats are free or on offer."),
        "no_seats": _("It has no seats at the moment; what is added goes down this line."),
        "sold_out_one": _("The only seat is confirmed; if it is returned, it goes down this line."),
        "sold_out": _("All %(seats)s seats are confirmed; returned seats go down this line."),
        "pace_one": _("At today's pace your turn comes in about a minute."),
        "pace": _("At today's pace your turn comes in about %(minutes)s minutes."),
        "pace_hours": _("At today's pace your turn comes in about %(hours)s hours."),
        "unlikely": _(
            "A seat is unlikely (about %(percent)s%%), but returned seats go down this line, "
            "and you need to do nothing to stay in it."
        ),
        "unlikely_gone": _(
            "A seat is unlikely (about %(percent)s%%), but you need to do nothing to stay in this line."
        ),
        "paused": _("Offers are paused for the moment; your place is kept."),
    }


@cache
def _script(language: str | None) -> SafeString:
    return json_script(_templates(language), "sentences")


def script() -> SafeString:
    """The templates as the element of the live page that live.js reads."""
    return _script(get_language())


# Below this chance the page says so plainly, instead of a waiting time that would raise hopes.
UNLIKELY = 0.10


def half_up(number: float) -> int:
    """Rounds as the browser does: Python's own round() takes 50.5 to the even 50."""
    return math.floor(number + 0.5)


def waiting(standing: Mapping[str, object]) -> str:
    """The sentence of somebody in line.

    `standing` has position, division, seats, open (free or offered), chance (0 to 1), minutes (or None) and paused.
    """
    say = templates()
    position, minutes = int(str(standing["position"])), standing["minutes"]
    parts = [_in_line(say, position, str(standing["division"])), _open_seats(say, standing)]
    if standing["paused"]:
        parts.append(say["paused"])
    elif float(str(standing["chance"])) < UNLIKELY:
        how = "unlikely" if standing["open"] else "unlikely_gone"  # that seats return was said with "all are confirmed"
        parts.append(say[how] % {"percent": max(1, half_up(float(str(standing["chance"])) * 100))})
    elif minutes is not None:
        parts.append(_pace(say, float(str(minutes))))
    return " ".join(parts)


def _in_line(say: dict[str, str], position: int, division: str) -> str:
    return say["first" if position == 1 else "waiting"] % {"position": words.ordinal(position), "division": division}


def _open_seats(say: dict[str, str], standing: Mapping[str, object]) -> str:
    seats, open_seats = int(str(standing["seats"])), int(str(standing["open"]))
    if not open_seats:
        return say[{0: "no_seats", 1: "sold_out_one"}.get(seats, "sold_out")] % {"seats": words.number(seats)}
    return say["open_one"] if open_seats == 1 else say["open"] % {"open": words.number(open_seats)}


def _pace(say: dict[str, str], minutes: float) -> str:
    if minutes >= 90:
        return say["pace_hours"] % {"hours": half_up(minutes / 60)}
    rounded = max(1, half_up(minutes))
    return say["pace_one"] if rounded == 1 else say["pace"] % {"minutes": rounded}


# --- Everybody who does not stand in a moving line ---------------------------------------------------------------


def standing_still(
    entry: QueueEntry, *, seats: int, sold_out_at: datetime | None, now: datetime, chance: float | None = None
) -> str:
    """The sentence of an entry that has no position: before a draw (with its `chance`), with an offer or a seat, or over."""
    zone = ZoneInfo(entry.tournament.time_zone)
    match entry.state:
        case State.WAITING:
            return _before_the_draw(entry, zone, chance, now)
        case State.OFFERED:
            return _offered(entry, zone, now)
        case State.CONFIRMED:
            return _("You're in. %(division)s, seat %(seat)s.") % _names(entry)
        case State.PASSED:
            return _("You missed an offer. Step back in once and you are served from your old place.")
        case State.CLOSED if not entry.tournament.cancelled_at and sold_out_at and seats > 1:
            return _(
                "All %(seats)s %(division)s seats were confirmed; the last one %(time)s. No seat came down the line to you."
            ) % {**_names(entry), "seats": words.number(seats), "time": words.moment(sold_out_at, zone, now=now)}
        case _:
            return _ended(entry)


def _names(entry: QueueEntry) -> dict[str, object]:
    return {"division": entry.division.name, "seat": entry.seat.number if entry.seat else ""}


def _before_the_draw(entry: QueueEntry, zone: ZoneInfo, chance: float | None, now: datetime) -> str:
    tournament = entry.tournament
    tickets = entry.group.tickets if entry.group else 1
    is_lottery = tournament.mode == Tournament.Mode.LOTTERY
    parts = [_lottery(tournament, zone, now) if is_lottery else _fair_start(tournament, zone, now)]
    if is_lottery or tickets > 1:
        own = ngettext("You have %(n)d ticket for %(division)s.", "You have %(n)d tickets for %(division)s.", tickets)
        parts.insert(0 if is_lottery else 1, own % {"n": tickets, "division": entry.division.name})
    if chance is not None:
        parts.append(_("Chance of a seat right now: %(chance)s.") % {"chance": words.percent(chance)})
    return " ".join(parts)


def _lottery(tournament: Tournament, zone: ZoneInfo, now: datetime) -> str:
    closes, seals = tournament.closes_at, tournament.seals_at or tournament.closes_at
    if tournament.entries_sealed_at:
        return _("Entries are sealed; the order of all is drawn next.")
    if seals <= now:
        return _("Entries are closed; they are sealed next, and then drawn.")
    at = {"closes": words.moment(closes, zone, now=now), "seals": words.moment(seals, zone, now=now)}
    if closes <= now:
        return _("Entries are closed; the draw is after %(seals)s.") % at
    if closes == seals:
        return _("Entries close %(closes)s; the draw follows.") % at
    return _("Entries close %(closes)s; the draw is after %(seals)s.") % at


def _fair_start(tournament: Tournament, zone: ZoneInfo, now: datetime) -> str:
    if tournament.entries_sealed_at or tournament.opens_at <= now:
        return _("You are in. The order of everyone who was here when registration opened is being drawn.")
    return _(
        "You are in. When registration opens, %(opens)s, the order of everyone here is drawn at random; "
        "coming earlier gives no advantage."
    ) % {"opens": words.moment(tournament.opens_at, zone, now=now)}


def drew(division: str, place: int, seats: int) -> str:
    """You drew place 1,204 for 500 Masters seats."""
    return ngettext(
        "You drew place %(place)s for %(seats)s %(division)s seat.",
        "You drew place %(place)s for %(seats)s %(division)s seats.",
        seats,
    ) % {"place": words.number(place), "seats": words.number(seats), "division": division}


def offers_start(tournament: Tournament, now: datetime) -> str:
    """When the offers of a lottery start, as long as they haven't; else ""."""
    begin = tournament.offers_begin_at
    if begin is None or begin <= now or tournament.cancelled_at:
        return ""
    when = words.moment(begin.replace(microsecond=0), ZoneInfo(tournament.time_zone), now=now)
    return _("Offers start %(when)s; until then the draw can be questioned.") % {"when": when}


def drawn(entry: QueueEntry, place: int, seats: int, now: datetime) -> str:
    """The sentence between the draw of a lottery and its first offers; `place` is the one drawn in the division."""
    return f"{drew(entry.division.name, place, seats)} {offers_start(entry.tournament, now)}".strip()


def _offered(entry: QueueEntry, zone: ZoneInfo, now: datetime) -> str:
    assert entry.offer_expires_at is not None  # noqa: S101  the database's own rule
    until = f"{words.deadline(entry.offer_expires_at, zone, now=now)} ({words.zone_name(zone)})"
    if entry.checkout_at:
        return _("Finish paying until %(until)s. If the card fails you get more time.") % {"until": until}
    return _("A %(division)s seat is yours until %(until)s.") % {**_names(entry), "until": until}


def _ended(entry: QueueEntry) -> str:
    if entry.state == State.CLOSED and entry.tournament.cancelled_at:
        return _("The tournament was cancelled, so nobody waits any more.")
    return {
        State.LEFT: _("You have left the line."),
        State.CANCELLED: _("The seat was given back."),
        State.LAPSED: _("A second offer ran out, so this entry is over."),
        State.CLOSED: _("Registration has ended, and no seat came down the line to you."),
        State.REJECTED: _("This entry was taken out by the tournament's staff."),
    }[State(entry.state)]
