"""Why did this entry get a seat, or none? All that answers it, for staff and the tournament's organizers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import Player
from lottery.drawing import How
from lottery.models import Draw, DrawEntry, LeftOut
from lottery.results import outcomes_of
from payments.models import Payment
from registrations.models import Notice, QueueEntry
from registrations.queries import DivisionSeats, queue_position, seat_summary
from registrations.rules import State
from reports.queries import Moment, entry_steps, place_at_the_end, seat_numbers, staff_timeline
from reports.sentences import drawn_place
from tournaments.queries import database_now
from vgchub import words

OUTCOMES = {
    State.CONFIRMED: gettext_lazy("taken up"),
    State.PASSED: gettext_lazy("missed"),
    State.LAPSED: gettext_lazy("missed"),
    State.LEFT: gettext_lazy("declined"),
    State.CLOSED: gettext_lazy("ended with the registration"),
    State.REJECTED: gettext_lazy("taken away by staff"),
}


AT_THE_DRAW = {
    How.RESERVED: gettext_lazy("At the draw that was a seat reserved for its group."),
    How.OPEN: gettext_lazy("At the draw that was an open seat."),
    How.WAITLIST: gettext_lazy("At the draw that was %(place)s on the waitlist."),
}


@dataclass(frozen=True)
class Dossier:
    """`answer` is sentences, `facts` names with values; each of the others the rows of a table."""

    answer: list[str]
    facts: list[tuple[str, str]]
    offers: list[list[str]]
    mails: list[list[str]]
    payments: list[list[str]]
    moments: list[Moment]


class _Times:
    """Times as they read at the venue."""

    def __init__(self, entry: QueueEntry) -> None:
        self.zone, self.now = ZoneInfo(entry.tournament.time_zone), database_now()

    def __call__(self, when: datetime | None) -> str:
        return words.day_and_time(when.replace(microsecond=0), self.zone, now=self.now) if when else ""


def dossier(entry: QueueEntry) -> Dossier:
    """Everything about an entry; it comes with tournament, division, group, seat and player__account."""
    times = _Times(entry)
    offers = _offers(entry, times)
    return Dossier(
        answer=list(_answer(entry, len(offers), times)),
        facts=[(name, value) for name, value in _facts(entry, times) if value],
        offers=offers,
        mails=[_mail(notice, times) for notice in Notice.objects.filter(entry=entry).order_by("-due_at", "-pk")],
        payments=[
            _payment(payment, times)
            for payment in Payment.objects.filter(entry=entry).prefetch_related("refunds", "disputes")
        ],
        moments=staff_timeline(entry),
    )


# --- The answer -------------------------------------------------------------------------------------------------


def _answer(entry: QueueEntry, offers: int, times: _Times) -> Iterator[str]:
    drawn = _drawn(entry)
    yield from _standing(entry)
    yield from _draw(entry, drawn)
    if entry.player.account.email_verified_at is None:
        yield _("The account's e-mail address is not verified. Such entries keep their place and are offered nothing.")
    if entry.player.player_id_state == Player.IdState.DISPUTED:
        yield _("The Player ID is disputed. Until staff decide, the entry keeps its place and is offered nothing.")
    if offers:
        yield ngettext("It was offered a seat once.", "It was offered a seat %(n)d times.", offers) % {"n": offers}
    elif entry.state != State.WAITING:
        yield _("It was never offered a seat.")
    yield from _how_far_offers_came(entry, drawn)
    yield from _seats(next(s for s in seat_summary(entry.tournament) if s.division.pk == entry.division_id), times)


def _standing(entry: QueueEntry) -> Iterator[str]:
    facts = {"division": entry.division.name, "seat": entry.seat.number if entry.seat else ""}
    if entry.state == State.CONFIRMED:
        yield _("The entry has its seat: %(division)s, seat %(seat)s.") % facts
    elif entry.state == State.OFFERED:
        yield _("%(division)s, seat %(seat)s is on offer to it right now.") % facts
    elif (position := queue_position(entry)) is not None:
        yield _("It is %(position)s in line for %(division)s.") % {**facts, "position": words.ordinal(position)}
    elif (position := place_at_the_end(entry)) is not None:
        yield _("It was %(position)s in line for %(division)s when registration ended.") % {
            **facts,
            "position": words.ordinal(position),
        }
    elif entry.state == State.WAITING:
        yield _("It waits for the draw.")


def _drawn(entry: QueueEntry) -> DrawEntry | None:
    """Its place in the draw that counts, if it has one."""
    if not entry.tournament.is_drawn_mode:
        return None
    drawn = DrawEntry.objects.filter(entry=entry, draw__state=Draw.State.DRAWN)
    return drawn.select_related("draw").first()


def _draw(entry: QueueEntry, drawn: DrawEntry | None) -> Iterator[str]:
    """The place that was drawn, against the seats there were."""
    if drawn is not None and drawn.division_rank:
        place, draw = drawn.division_rank, drawn.draw
        yield drawn_place(place, drawn.division, draw.divisions, entry.division.name)
        outcome = outcomes_of(draw)[drawn.division]
        yield AT_THE_DRAW[how := outcome.how(place)] % {
            "place": words.ordinal(outcome.waitlist_place(place)) if how is How.WAITLIST else ""
        }
    elif entry.tournament.is_drawn_mode:
        for out in LeftOut.objects.filter(entry=entry).exclude(draw__state=Draw.State.VOID):
            yield _("It was left out of the draw: %(why)s.") % {"why": out.get_reason_display()}


def _how_far_offers_came(entry: QueueEntry, drawn: DrawEntry | None) -> Iterator[str]:
    """The last place of its lane that was offered a seat in order: behind it nobody could get one."""
    if entry.place is None:
        return
    offered = QueueEntry.objects.filter(
        division=entry.division_id, priority=entry.priority, offered_at__isnull=False, grant_reason=""
    )
    last = offered.aggregate(last=Max("place"))["last"]
    if last is None:
        yield _("Nobody in its lane was offered a seat so far.")
        return
    between = QueueEntry.objects.filter(
        division=entry.division_id, priority=entry.priority, place__gt=last, place__lt=entry.place
    ).count()
    if entry.place > last:
        came = _division_place(entry, last) if last < 0 else last
        yield _came_to(between, behind_the_drawn=last < 0 and drawn is None) % {
            "last": came,
            "place": drawn.division_rank if drawn else entry.place,
            "n": between,
        }


def _division_place(entry: QueueEntry, place: int) -> int:
    """Which place in the division was drawn for the entry that stands at a (negative) place of the tournament's line."""
    same = DrawEntry.objects.filter(draw__state=Draw.State.DRAWN, entry__tournament=entry.tournament_id)
    return same.get(entry__place=place).division_rank or 0  # it has one, being drawn


def _came_to(between: int, *, behind_the_drawn: bool) -> str:
    if behind_the_drawn:
        return ngettext(
            "Offers in its lane came to place %(last)d of the draw; this entry stands behind the draw, with %(n)d other between.",
            "Offers in its lane came to place %(last)d of the draw; this entry stands behind the draw, with %(n)d others between.",
            between,
        )
    return ngettext(
        "Offers in its lane came to place %(last)d; this entry stands at %(place)d, with %(n)d other between.",
        "Offers in its lane came to place %(last)d; this entry stands at %(place)d, with %(n)d others between.",
        between,
    )


def _seats(seats: DivisionSeats, times: _Times) -> Iterator[str]:
    facts = {
        "division": seats.division.name,
        "seats": words.number(seats.seats),
        "confirmed": words.number(seats.confirmed),
        "offered": words.number(seats.offered),
        "free": words.number(seats.free),
        "reserved": words.number(seats.reserved),
    }
    if seats.sold_out_at:
        yield ngettext(
            "The only %(division)s seat was confirmed %(when)s.",
            "All %(seats)s %(division)s seats are confirmed, the last one %(when)s.",
            seats.seats,
        ) % {**facts, "when": times(seats.sold_out_at)}
    else:
        yield (
            _(
                "Of %(seats)s %(division)s seats (%(reserved)s reserved) %(confirmed)s are confirmed, %(offered)s on offer, "
                "%(free)s free."
            )
            % facts
        )


# --- Facts and tables -------------------------------------------------------------------------------------------


def _facts(entry: QueueEntry, times: _Times) -> Iterator[tuple[str, str]]:
    player, account = entry.player, entry.player.account
    yield _("Player ID"), f"{player.player_id} ({player.get_player_id_state_display()})"
    verified = times(account.email_verified_at)
    yield _("Account"), f"{account.email} ({_('verified') if verified else _('not verified')})"
    yield _("Division"), entry.division.name
    yield _("Group"), entry.group.name if entry.group else _("none")
    yield _("Lane"), str(entry.priority)
    yield _("Joined"), times(entry.joined_at)
    yield _("Arrival number"), str(entry.number)
    yield _("Place"), _place(entry)
    yield _("Stepped back in"), times(entry.stepped_back_at)
    yield _("Ended"), times(entry.ended_at)
    yield _("Granted because"), entry.grant_reason
    yield _("Fee waived because"), entry.waiver_reason
    yield _("From the same address"), _others(entry, "address_hash")


def _place(entry: QueueEntry) -> str:
    """Those drawn have negative places, so that they stand before everybody else; the draw's own place says more."""
    if entry.place is None:
        return _("waits for the draw")
    return _("drawn") if entry.place < 0 else str(entry.place)


def _others(entry: QueueEntry, column: str) -> str:
    """How many other entries of the tournament share a keyed hash with this one."""
    if not getattr(entry, column):
        return ""
    same = QueueEntry.objects.filter(tournament=entry.tournament_id, **{column: getattr(entry, column)})
    count = same.exclude(pk=entry.pk).count()
    return ngettext("%(n)d other entry", "%(n)d other entries", count) % {"n": count}


def _offers(entry: QueueEntry, times: _Times) -> list[list[str]]:
    """Number, seat, when, until when, and what became of each offer; the oldest first."""
    numbers = seat_numbers(entry)
    offers: dict[int, list[str]] = {}
    for before, row in entry_steps(entry):
        number = row["offer_number"]
        if row["state"] == State.OFFERED:
            seat = str(numbers.get(row["seat_id"], "?"))
            until = times(row["offer_expires_at"])
            offers[number] = [str(number), seat, times(row["offered_at"]), until, _("open")]
        elif before is not None and before["state"] == State.OFFERED:
            offers[number][-1] = str(OUTCOMES[State(row["state"])])
    return list(offers.values())


def _mail(notice: Notice, times: _Times) -> list[str]:
    sent = times(notice.mailed_at) or _("not yet")
    return [str(notice.get_kind_display()), times(notice.due_at), sent]


def _payment(payment: Payment, times: _Times) -> list[str]:
    refunds = payment.refunds.all()
    back = sum(one.settled_minor if one.state == one.State.FAILED else one.amount_minor for one in refunds)
    return [
        words.money(payment.amount_minor, payment.currency),
        payment.state,
        times(payment.created_at),
        words.money(back, payment.currency) if back else "",
        _of_payment(payment),
    ]


def _of_payment(payment: Payment) -> str:
    """Why it failed or was given up, and how its disputes stand."""
    said = [payment.failure_message or payment.release_reason]
    for dispute in payment.disputes.all():
        amount = words.money(dispute.amount_minor, dispute.currency)
        said.append(
            _("%(amount)s disputed: %(status)s") % {"amount": amount, "status": dispute.status.replace("_", " ")}
        )
    return "; ".join(part for part in said if part)
