"""A tournament's rules in words, for its page, its mails and the API. Times are told by the venue's clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tournaments.models import Division, PriorityGroup, Tournament
from vgchub import words


def eligible(division: Division) -> str:
    """Who plays in a division: "Born on 1 January 2014 or later"."""
    first, last = division.born_from, division.born_to
    if first and last:
        return _("Born from %(first)s to %(last)s") % {"first": words.day(first), "last": words.day(last)}
    if first:
        return _("Born on %(day)s or later") % {"day": words.day(first)}
    if last:
        return _("Born on %(day)s or earlier") % {"day": words.day(last)}
    return _("Any age")


def group_criteria(group: PriorityGroup, *, listed: bool) -> str:
    """Who belongs to a group; `listed`: some players were listed by the organizer."""
    asked = _asked_for(group)
    if not asked:
        return _("Players whom the organizer has listed")
    text = _("Players with %(all)s") % {"all": get_text_list(asked, _("and"))}
    return _("%(criteria)s, or listed by the organizer") % {"criteria": text} if listed else text


def _asked_for(group: PriorityGroup) -> list[str]:
    asked = []
    if group.min_championship_points is not None:
        points = words.number(group.min_championship_points)
        asked.append(_("at least %(points)s championship points") % {"points": points})
    if group.max_best_placement is not None:
        asked.append(_("a best placement of %(place)s or better") % {"place": words.ordinal(group.max_best_placement)})
    if group.min_seasons_played is not None:
        seasons = group.min_seasons_played
        asked.append(
            ngettext("at least %(n)d season played", "at least %(n)d seasons played", seasons) % {"n": seasons}
        )
    if group.countries:
        asked.append(_("an account of %(countries)s") % {"countries": get_text_list(group.countries.split(), _("or"))})
    if group.division_codes:
        names = [str(Division.Code(code).label) for code in group.division_codes.split()]
        asked.append(_("an age for %(divisions)s") % {"divisions": get_text_list(names, _("or"))})
    return asked


def group_benefits(group: PriorityGroup, *, reserved: int) -> str:
    """What a group gets; `reserved` is how many seats are reserved for it."""
    gets = []
    if reserved:
        number = words.number(reserved)
        gets.append(ngettext("%(n)s reserved seat", "%(n)s reserved seats", reserved) % {"n": number})
    if group.tournament.mode == Tournament.Mode.FIRST_COME:
        if group.opens_early_minutes:
            minutes = group.opens_early_minutes
            early = ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes}
            gets.append(_("registration opens %(early)s earlier") % {"early": early})
        if group.priority:
            gets.append(_("a line of its own that is served first"))
    elif group.tickets > 1:
        gets.append(_("%(n)d tickets in the draw") % {"n": group.tickets})
    return get_text_list(gets, _("and"))


def how_seats_are_given(tournament: Tournament, now: datetime) -> tuple[str, str]:
    """Two plain sentences: who comes first, and what an offer is."""
    zone = ZoneInfo(tournament.time_zone)
    opens = words.moment(tournament.opens_at, zone, now=now)
    match tournament.mode:
        case Tournament.Mode.FIRST_COME:
            order = _("The line is in the order in which players join it, from %(opens)s.") % {"opens": opens}
        case Tournament.Mode.FAIR_START:
            order = _(
                "At the opening, %(opens)s, the order of everyone in the waiting room is drawn at random, so coming "
                "earlier gives no advantage; later arrivals line up behind."
            ) % {"opens": opens}
        case _lottery:
            order = _(
                "The order of everyone who entered in time is drawn at random after %(seals)s, so it does not matter when "
                "you enter."
            ) % {"seals": words.moment(tournament.seals_at or tournament.closes_at, zone, now=now)}
    return order, _offers(tournament)


def _offers(tournament: Tournament) -> str:
    hours = ngettext("%(n)d hour", "%(n)d hours", tournament.late_offer_hours) % {"n": tournament.late_offer_hours}
    if tournament.mode == Tournament.Mode.LOTTERY:
        return _(
            "Seats are offered down this order, %(hours)s for each to take up, and whoever is left in it is the waitlist."
        ) % {"hours": hours}
    minutes = ngettext("%(n)d minute", "%(n)d minutes", tournament.offer_minutes) % {"n": tournament.offer_minutes}
    return _(
        "Seats are offered from the head of the line, %(minutes)s for each to take up in the rush and %(hours)s later on; "
        "a seat that is not taken up, or given back, goes to the next in line."
    ) % {"minutes": minutes, "hours": hours}


def fee(tournament: Tournament) -> str:
    """What a seat costs, and when it is charged."""
    if tournament.is_free:
        return _("Taking part is free.")
    return _(
        "A seat costs %(price)s. Waiting costs nothing: your card is charged only once a seat is confirmed as yours."
    ) % {"price": words.money(tournament.fee_minor, tournament.currency)}


def refund(tournament: Tournament, now: datetime) -> str:
    """What comes back when a confirmed seat is given back; "" for a free tournament."""
    if tournament.is_free:
        return ""
    until = words.moment(tournament.refund_until or tournament.starts_at, ZoneInfo(tournament.time_zone), now=now)
    if not tournament.refund_kept_percent:
        back = _("If you give your seat back until %(until)s, you get all of it back.")
    elif tournament.refund_kept_percent == 100:
        return _("If you give your seat back, the fee is kept. If the tournament is cancelled, you get all of it back.")
    else:
        back = _("If you give your seat back until %(until)s, you get it back less %(kept)d%%.")
    return " ".join(
        (
            back % {"until": until, "kept": tournament.refund_kept_percent},
            _("If the tournament is cancelled, you get all of it back."),
        )
    )
