"""What an event says, in words that hold for the player and for staff alike: no "you", exact times, reasons where there are any."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from lottery.models import Draw
from payments.rules import CHARGEBACK_OPEN, INQUIRY_OPEN, RefundState
from payments.rules import State as Paid
from registrations.rules import State
from vgchub import words

Row = Mapping[str, Any]  # an event's columns


@dataclass(frozen=True)
class Words:
    """`kind` is the icon (and, for states, the colour) that goes with the text; `link` leads to the draw that it tells of."""

    kind: str
    text: str
    why: str = ""
    link: str = ""


@dataclass(frozen=True)
class Names:
    """What the ids in the events of one entry are called, and how its times read."""

    division: str
    seats: Mapping[int, int]  # number by id
    released: Set[int]  # ids of seats that were opened, since nobody of their group was left
    groups: Mapping[int, str]
    zone: ZoneInfo
    now: datetime
    cancelled_at: datetime | None
    place_at_the_end: int | None  # how many stood before it when registration ended, plus one

    def seat(self, row: Row) -> str:
        return _("%(division)s, seat %(seat)s") % {
            "division": self.division,
            "seat": self.seats.get(row["seat_id"], "?"),
        }

    def time(self, when: datetime) -> str:
        return words.moment(when.replace(microsecond=0), self.zone, now=self.now)


# --- The entry --------------------------------------------------------------------------------------------------


def of_entry(before: Row | None, row: Row, names: Names) -> Words | None:
    """What one change of an entry was; None for one that is nobody's concern but the site's."""
    if before is None:
        return _joined(row, names)
    if before["state"] != row["state"]:
        return _stepped(before, row, names)
    return _changed(before, row, names)


def _joined(row: Row, names: Names) -> Words:
    why = _("Counts in the group %(group)s.") % {"group": names.groups[row["group_id"]]} if row["group_id"] else ""
    if row["place"] is None:
        return Words(
            "waiting", _("Entered for %(division)s. The order is drawn later.") % {"division": names.division}, why
        )
    return Words("waiting", _("Joined the line for %(division)s.") % {"division": names.division}, why)


def _stepped(before: Row, row: Row, names: Names) -> Words:
    return STEPS[row["state"]](before, row, names)


def _offered(before: Row, row: Row, names: Names) -> Words:
    facts = {"seat": names.seat(row), "until": names.time(row["offer_expires_at"])}
    if before["state"] == State.CONFIRMED:
        return Words(
            "trouble",
            _("The money could not be taken. %(seat)s is kept, to be paid again until %(until)s.") % facts,
        )
    return Words("offered", _("%(seat)s was offered, until %(until)s.") % facts, _why_offered(row, names))


def _why_offered(row: Row, names: Names) -> str:
    if row["grant_reason"]:
        return _("Granted out of order: %(reason)s") % {"reason": row["grant_reason"]}
    if row["seat_id"] in names.released:
        return _("It had been reserved for a group, of which nobody was left to take it.")
    return ""


def _confirmed(_before: Row, row: Row, names: Names) -> Words:
    why = _("Without the fee: %(reason)s") % {"reason": row["waiver_reason"]} if row["waiver_reason"] else ""
    return Words("confirmed", _("%(seat)s was confirmed.") % {"seat": names.seat(row)}, why)


def _passed(before: Row, _row: Row, names: Names) -> Words:
    return Words(
        "passed",
        _("The offer of %(seat)s ran out.") % {"seat": names.seat(before)},
        _("Nobody took it up in time. One may step back in once, to the old place."),
    )


def _lapsed(before: Row, _row: Row, names: Names) -> Words:
    return Words(
        "ended",
        _("The second offer, of %(seat)s, ran out.") % {"seat": names.seat(before)},
        _("After two missed offers an entry is over."),
    )


def _back_in_line(_before: Row, _row: Row, _names: Names) -> Words:
    return Words("waiting", _("Stepped back in, to the old place in line."))


def _left(before: Row, _row: Row, names: Names) -> Words:
    if before["state"] == State.OFFERED:
        return Words("ended", _("The offer of %(seat)s was declined.") % {"seat": names.seat(before)})
    return Words("ended", _("Left the line."))


def _cancelled(before: Row, row: Row, names: Names) -> Words:
    return Words("cancelled", _("%(seat)s was given back.") % {"seat": names.seat(before)}, _reason(row))


def _closed(before: Row, row: Row, names: Names) -> Words:
    if names.cancelled_at and row["ended_at"] >= names.cancelled_at:
        return Words("cancelled", _("The tournament was cancelled."), _reason(row))
    if names.place_at_the_end and before["state"] == State.WAITING:
        why = _("This entry was %(position)s in line for %(division)s, and no seat came down to it.") % {
            "position": words.ordinal(names.place_at_the_end),
            "division": names.division,
        }
        return Words("closed", _("Registration ended."), why)
    return Words("closed", _("Registration ended."))


def _rejected(_before: Row, row: Row, _names: Names) -> Words:
    return Words("trouble", _("Staff took this entry out."), _reason(row))


STEPS: Mapping[str, Callable[[Row, Row, Names], Words]] = {
    State.WAITING: _back_in_line,
    State.OFFERED: _offered,
    State.CONFIRMED: _confirmed,
    State.PASSED: _passed,
    State.LAPSED: _lapsed,
    State.LEFT: _left,
    State.CANCELLED: _cancelled,
    State.CLOSED: _closed,
    State.REJECTED: _rejected,
}


def _changed(before: Row, row: Row, names: Names) -> Words | None:
    """A change within a state; the grant of a seat is told with the offer that follows it, a place by its draw."""
    if before["division_id"] != row["division_id"]:
        return Words("info", _("The division was changed."), _reason(row))
    if (before["group_id"], before["priority"]) != (row["group_id"], row["priority"]):
        return _regrouped(row, names)
    if row["waiver_reason"] and not before["waiver_reason"]:
        return Words("money", _("The fee was waived."), row["waiver_reason"])
    if row["checkout_at"] and not before["checkout_at"]:
        until = names.time(row["offer_expires_at"])
        return Words("money", _("Payment was begun; the offer lasts until %(until)s.") % {"until": until})
    return _deadline(before, row, names)


def _regrouped(row: Row, names: Names) -> Words:
    if row["group_id"] is None:
        return Words("people", _("Counts in no group any more, and stands in the general line."), _reason(row))
    group = names.groups[row["group_id"]]
    return Words("people", _("Counts in the group %(group)s now.") % {"group": group}, _reason(row))


def _deadline(before: Row, row: Row, names: Names) -> Words | None:
    if before["offer_expires_at"] == row["offer_expires_at"] or row["offer_expires_at"] is None:
        return None
    facts = {"until": names.time(row["offer_expires_at"])}
    match _context(row).get("service"):
        case "resume_tournament":
            return Words("time", _("After the pause the offer lasts until %(until)s.") % facts, _reason(row))
        case "beat":
            return Words("time", _("The site was away for a while; in return the offer lasts until %(until)s.") % facts)
        case "extend_for_retry" | "extend_for_bank" | "record_decline":
            return Words("time", _("There is more time to pay: until %(until)s.") % facts)
    return Words("time", _("The offer now lasts until %(until)s.") % facts, _reason(row))


# --- The draw ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """An entry's part in a draw. The places are None before it is drawn; `left_out` is why it took no part, "" if it did."""

    division: str = ""  # its code in the manifest
    tickets: int = 0
    rank: int | None = None
    division_rank: int | None = None
    left_out: str = ""


def of_draw(before: Row | None, row: Row, part: Part, names: Names) -> Words | None:
    """What a step of a draw was for an entry that was sealed in it, or left out."""
    if before is None or before["state"] == row["state"]:
        return None
    link = reverse("draw", args=[row["public_id"]])
    return replace(DRAW_STEPS[row["state"]](row, part, names), link=link)


def _sealed(row: Row, part: Part, _names: Names) -> Words:
    if part.left_out:
        behind = _("It stands behind all who are drawn, in order of arrival.")
        return Words("trouble", _("This entry was left out of the draw: %(why)s.") % {"why": part.left_out}, behind)
    text = ngettext(
        "Entries were sealed: this one is in the draw with %(n)d ticket.",
        "Entries were sealed: this one is in the draw with %(n)d tickets.",
        part.tickets,
    ) % {"n": part.tickets}
    return Words("closed", text, _("SHA-256 of the list of entries: %(hash)s") % {"hash": row["manifest_sha256"]})


def _drawn(row: Row, part: Part, names: Names) -> Words:
    if part.rank is None or part.division_rank is None:
        return Words("place", _("The order was drawn; this entry stands behind it, in order of arrival."))
    place = drawn_place(part.division_rank, part.division, row["divisions"], names.division)
    overall = _("Over all divisions it is %(rank)s of %(entrants)s.") % {
        "rank": words.ordinal(part.rank),
        "entrants": words.number(row["entrants"]),
    }
    return Words("place", place, overall if len(row["divisions"]) > 1 else "")


def drawn_place(place: int, code: str, divisions: Sequence[Mapping[str, Any]], name: str) -> str:
    """Drawn 12th for 5 Masters seats; `divisions` as a draw has them."""
    seats = sum(division["seats"] for division in divisions if division["code"] == code)
    text = ngettext(
        "Drawn %(place)s for %(seats)s %(division)s seat.", "Drawn %(place)s for %(seats)s %(division)s seats.", seats
    )
    return text % {"place": words.ordinal(place), "seats": words.number(seats), "division": name}


def _void(row: Row, _part: Part, _names: Names) -> Words:
    return Words("cancelled", _("This draw was declared void, and a new one follows."), row["void_reason"])


DRAW_STEPS: Mapping[str, Callable[[Row, Part, Names], Words]] = {
    Draw.State.SEALED: _sealed,
    Draw.State.DRAWN: _drawn,
    Draw.State.VOID: _void,
}


# --- The tournament ---------------------------------------------------------------------------------------------


def of_tournament(before: Row | None, row: Row) -> Words | None:
    """What of a tournament's changes matters to everybody in its line."""
    if before is None:
        return None
    if row["paused_at"] and not before["paused_at"]:
        return Words("paused", _("Offers were paused; every place is kept."), _reason(row))
    if before["paused_at"] and not row["paused_at"]:
        return Words("info", _("Offers go on."), _reason(row))
    return None


# --- The money --------------------------------------------------------------------------------------------------


def of_payment(before: Row | None, row: Row) -> Words | None:
    facts = {"amount": words.money(row["amount_minor"], row["currency"])}
    if before is not None and before["state"] != row["state"]:
        return _paid(row, facts)
    if row["failure_code"] and row["failure_code"] != (before or {}).get("failure_code"):
        return Words("trouble", _("A payment of %(amount)s was refused.") % facts, row["failure_message"])
    return None


def _paid(row: Row, facts: Mapping[str, str]) -> Words | None:
    match row["state"]:
        case Paid.AUTHORISED:
            return Words("money", _("%(amount)s was authorised: the bank holds it, nothing is taken yet.") % facts)
        case Paid.CAPTURED:
            return Words("money", _("%(amount)s was paid.") % facts)
        case Paid.VOIDED:
            return Words(
                "money", _("The authorised %(amount)s was let go; nothing was taken.") % facts, row["release_reason"]
            )
        case Paid.FAILED:
            return Words("ended", _("The payment of %(amount)s came to nothing.") % facts, row["failure_message"])
    return None


def of_refund(before: Row | None, row: Row, currency: str) -> Words | None:
    facts = {"amount": words.money(row["amount_minor"], currency)}
    if before is None:
        stays = _context(row).get("service") == "refund_part"
        text = _("%(amount)s goes back, and the seat stays.") if stays else _("%(amount)s goes back.")
        return Words("money", text % facts, row["reason"])
    if row["settled_at"] != before["settled_at"]:
        settled = {"amount": words.money(row["settled_minor"], currency)}
        return Words("money", _("%(amount)s was given back another way.") % settled, _reason(row))
    if before["state"] == row["state"]:
        return None
    if row["state"] == RefundState.SUCCEEDED:
        return Words("money", _("%(amount)s was refunded.") % facts)
    return _not_refunded(row, facts) if row["state"] == RefundState.FAILED else None


def _not_refunded(row: Row, facts: Mapping[str, str]) -> Words:
    if row["failure_code"] == "disputed":
        return Words("money", _("%(amount)s is not refunded.") % facts, row["failure_message"])
    return Words(
        "trouble",
        _("The refund of %(amount)s did not arrive.") % facts,
        _("The bank did not accept it; staff have to look into it."),
    )


def of_dispute(before: Row | None, row: Row) -> Words | None:
    facts = {"amount": words.money(row["amount_minor"], row["currency"])}
    why = _("The reason given is: %(reason)s.") % {"reason": row["reason"].replace("_", " ")}
    if before is not None and before["status"] == row["status"]:
        return None
    if row["status"] in CHARGEBACK_OPEN and (before is None or before["status"] not in CHARGEBACK_OPEN):
        return Words("trouble", _("The bank disputes %(amount)s and took it back; refunds wait.") % facts, why)
    if before is None and row["status"] in INQUIRY_OPEN:
        return Words("trouble", _("The bank asks about %(amount)s; refunds wait for the answer.") % facts, why)
    match row["status"]:
        case "lost":
            return Words("money", _("The dispute is lost: the bank keeps %(amount)s.") % facts)
        case "won" | "warning_closed" | "prevented":
            return Words("money", _("The dispute about %(amount)s is over; refunds go on.") % facts)
    return Words("info", _("The dispute about %(amount)s was answered; the bank decides.") % facts)


def _context(row: Row) -> Mapping[str, Any]:
    context: Mapping[str, Any] = row["pgh_context"] or {}
    return context


def _reason(row: Row) -> str:
    return str(_context(row).get("reason") or "")
