"""The one sentence that says where an entry stands and what happens next.

The same templates are filled in here for the page, and by static/js/live.js whenever the line moves.
"""

from collections.abc import Mapping

from django.utils.translation import gettext as _


def templates() -> dict[str, str]:
    """Sentences about a line that moves, with their placeholders, in the reader's language."""
    return {
        "waiting": _("You are %(position)s in line for %(division)s."),
        "next": _("You are next in line for %(division)s."),
        "open_one": _("1 seat is free or on offer."),
        "open": _("%(open)s seats are free or on offer."),
        "sold_out": _("All %(seats)s seats are confirmed; returned seats go down this line."),
        "pace_one": _("At today's pace your turn comes in about a minute."),
        "pace": _("At today's pace your turn comes in about %(minutes)s minutes."),
        "pace_hours": _("At today's pace your turn comes in about %(hours)s hours."),
        "unlikely": _(
            "A seat is unlikely (about %(percent)s%%), but returned seats go down this line, "
            "and you need to do nothing to stay in it."
        ),
        "paused": _("Offers are paused for the moment; your place is kept."),
    }


# Below this chance the page says so plainly, instead of a waiting time that would raise hopes.
UNLIKELY = 0.10


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 3,420th; translators of other languages set the pattern in which {n} stands for the number."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{suffix}"


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
        parts.append(say["unlikely"] % {"percent": max(1, round(float(str(standing["chance"])) * 100))})
    elif minutes is not None:
        parts.append(_pace(say, float(str(minutes))))
    return " ".join(parts)


def _in_line(say: dict[str, str], position: int, division: str) -> str:
    return say["next" if position == 1 else "waiting"] % {"position": ordinal(position), "division": division}


def _open_seats(say: dict[str, str], standing: Mapping[str, object]) -> str:
    open_seats = int(str(standing["open"]))
    if not open_seats:
        return say["sold_out"] % {"seats": f"{standing['seats']:,}"}
    return say["open_one"] if open_seats == 1 else say["open"] % {"open": f"{open_seats:,}"}


def _pace(say: dict[str, str], minutes: float) -> str:
    if minutes >= 90:
        return say["pace_hours"] % {"hours": round(minutes / 60)}
    rounded = max(1, round(minutes))
    return say["pace_one"] if rounded == 1 else say["pace"] % {"minutes": rounded}
