"""A draw in words: its rules, where chance comes from, and what it made of somebody."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from lottery.changes import Change, ListChanged, SeatsChanged, TimeMoved
from lottery.drawing import How
from lottery.models import Draw, DrawEntry, LeftOut
from lottery.results import Outcome
from registrations import sentences
from registrations.rules import State
from tournaments.models import Tournament
from tournaments.queries import GroupFacts
from tournaments.sentences import how_seats_are_given
from vgchub import words


def rules(tournament: Tournament, groups: list[GroupFacts], now: datetime) -> list[str]:
    """The rules of the draw, a sentence each."""
    found = [*how_seats_are_given(tournament, now), tickets(groups)]
    if any(group.reserved for group in groups):
        found.append(
            _(
                "Reserved seats are taken by the first of their group, down the order; who comes after competes for the rest."
            )
        )
        found.append(_released(tournament))
    if tournament.mode == Tournament.Mode.LOTTERY and tournament.objection_minutes:
        found.append(
            ngettext(
                "Offers start %(n)d minute after the draw; until then it can be questioned, and declared void.",
                "Offers start %(n)d minutes after the draw; until then it can be questioned, and declared void.",
                tournament.objection_minutes,
            )
            % {"n": tournament.objection_minutes}
        )
    return found


def tickets(groups: list[GroupFacts]) -> str:
    """Who has how many tickets."""
    more = [one.group for one in groups if one.group.tickets > 1]
    if not more:
        return _("Everybody has one ticket, so everybody has the same chance.")
    each = ", ".join(_("%(group)s: %(n)d") % {"group": group.name, "n": group.tickets} for group in more)
    return _(
        "Everybody has one ticket; these groups have more (%(each)s). The best of an entry's tickets is its place."
    ) % {"each": each}


def _released(tournament: Tournament) -> str:
    if tournament.releases_reserved:
        return _(
            "A reserved seat that nobody of its group is left to take goes to the head of the waitlist once registration is over."
        )
    return _("A reserved seat that nobody of its group takes stays empty.")


def chance_comes_from(draw: Draw) -> list[str]:
    """Where chance comes from, and who has to be trusted."""
    if draw.uses_drand:
        return [
            _(
                "Chance comes from drand: independent organizations all over the world together publish a random value every "
                "few seconds, and none of them can foresee or choose it."
            ),
            _(
                "The sealed entries name a value that is published only later, so nobody, not even this site, could know the "
                "order when the entries were sealed."
            ),
        ]
    tournament = draw.tournament
    if draw.opened_at <= (tournament.prequeue_opens_at or tournament.opens_at):
        since = _("before entries opened")
    else:
        since = _("before entries were sealed, though after they had opened")
    return [
        _(
            "Chance comes from a sealed secret of this site: its fingerprint was public %(since)s, so the secret could not be "
            "exchanged afterwards."
        )
        % {"since": since},
        _("But the organizer has to be trusted not to have tailored the entry list, since this site knew the secret."),
    ]


def outcome(row: DrawEntry, result: Outcome, tournament: Tournament, reach: int | None, now: datetime) -> str:
    """What the draw made of an entry, in kind words."""
    place = row.division_rank or 0
    drew = sentences.drew(row.entry.division.name, place, result.seats)
    return " ".join([drew, *_what_follows(row, result.how(place), tournament, reach, now)])


def _what_follows(row: DrawEntry, how: How, tournament: Tournament, reach: int | None, now: datetime) -> list[str]:
    if row.entry.state != State.WAITING:
        return []  # the entry's own page says how it went on
    if how is How.WAITLIST:
        if reach is None:
            return [_("You are on the waitlist: seats that are not taken, or given back, go down it.")]
        return [
            _("You are on the waitlist; last time, places up to about %(reach)s got a seat.")
            % {"reach": words.number(roughly(reach))}
        ]
    kept = _("That is a seat reserved for your group.") if how is How.RESERVED else _("That is enough for a seat.")
    return [
        kept,
        sentences.offers_start(tournament, now)
        or _("It will be offered to you: keep an eye on this site and your mail."),
    ]


def roughly(number: int) -> int:
    """Two figures of it: 643 is about 640."""
    step = int("1".ljust(len(str(number)) - 1, "0"))
    return number // step * step


def how(kind: How) -> str:
    """What a place got."""
    return {How.RESERVED: _("Reserved seat"), How.OPEN: _("Seat"), How.WAITLIST: _("Waitlist")}[kind]


def why_left_out(row: LeftOut) -> str:
    """To the player, why the entry is not in the draw, and where it stands."""
    why = {
        LeftOut.Reason.UNVERIFIED: _(
            "Your entry is not in the draw, because your e-mail address was not proved in time."
        ),
        LeftOut.Reason.DISPUTED: _(
            "Your entry is not in the draw, because its Player ID is claimed by more than one account."
        ),
    }[LeftOut.Reason(row.reason)]
    return f"{why} " + _("It stands behind those who were drawn, in order of arrival.")


def change(what: Change, divisions: Mapping[int, str], groups: Mapping[int, str], zone: ZoneInfo, now: datetime) -> str:
    """A rule that was changed after entries had opened; `divisions` and `groups` are names by id."""
    if isinstance(what, TimeMoved):
        facts = {
            "after": words.moment(what.after, zone, now=now),
            "before": words.moment(what.before, zone, now=now),
        }
        if what.field == "closes_at":
            return _("Entries close %(after)s; before, it was %(before)s.") % facts
        return _("Entries are sealed %(after)s; before, it was %(before)s.") % facts
    return _list_changed(what, groups) if isinstance(what, ListChanged) else _seats_changed(what, divisions, groups)


def _list_changed(what: ListChanged, groups: Mapping[int, str]) -> str:
    count = abs(what.change)
    if what.change > 0:
        text = ngettext(
            "%(n)s player was put on the list of %(group)s.", "%(n)s players were put on the list of %(group)s.", count
        )
    else:
        text = ngettext(
            "%(n)s player was taken off the list of %(group)s.",
            "%(n)s players were taken off the list of %(group)s.",
            count,
        )
    return text % {"n": words.number(count), "group": groups.get(what.group, "?")}


def _seats_changed(what: SeatsChanged, divisions: Mapping[int, str], groups: Mapping[int, str]) -> str:
    count = abs(what.change)
    if what.change > 0:
        text = ngettext("%(n)s %(division)s seat was added", "%(n)s %(division)s seats were added", count)
    else:
        text = ngettext("%(n)s %(division)s seat was taken away", "%(n)s %(division)s seats were taken away", count)
    said = text % {"n": words.number(count), "division": divisions.get(what.division, "")}
    if what.group is None:
        return f"{said}."
    return _("%(change)s, reserved for %(group)s.") % {"change": said, "group": groups.get(what.group, "?")}
