"""What happened to an entry, told from its events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import User
from lottery.models import Draw, DrawEntry, LeftOut
from payments.models import Dispute, Payment, Refund
from registrations.models import QueueEntry
from registrations.rules import State
from reports import sentences
from reports.sentences import Names, Part, Row, Words
from tournaments.models import PriorityGroup, Seat, Tournament
from tournaments.queries import database_now

# Changes in one transaction have one time: a seat is confirmed because it was paid, and money goes back because it was given up.
FIRST, SECOND, THIRD = range(3)

SEAT = ("pgh_obj_id", "number", "pgh_context")
UNTOLD = frozenset({"pgh_id", "pgh_created_at", "pgh_label", "pgh_context", "pgh_context_id", "pgh_obj_id", "id"})


@dataclass(frozen=True)
class Moment:
    """Something that happened. `kind` names an icon, `link` the draw; `source` says who did it and through what, for staff."""

    at: datetime
    kind: str
    text: str
    why: str = ""
    link: str = ""
    source: str = ""


def timeline(entry: QueueEntry) -> list[Moment]:
    """What happened to an entry, when and why, in words for its player; newest first."""
    return [moment for moment, _row in _told(entry, everything=False)]


def staff_timeline(entry: QueueEntry) -> list[Moment]:
    """The same with every change, and with who made it, through which service and which address of the site."""
    told = _told(entry, everything=True)
    accounts = _accounts(row for _moment, row in told)
    return [replace(moment, source=_source(row, accounts)) for moment, row in told]


def _told(entry: QueueEntry, *, everything: bool) -> list[tuple[Moment, Row]]:
    names = _names(entry)
    found: list[tuple[datetime, int, int, Words, Row]] = []
    for before, row in entry_steps(entry):
        words = sentences.of_entry(before, row, names) or (_bare(before, row) if everything else None)
        found += _at(row, SECOND, words)
    for before, row in _steps(Tournament, pgh_obj_id=entry.tournament_id):
        if entry.joined_at <= row["pgh_created_at"] <= (entry.ended_at or names.now):
            found += _at(row, FIRST, sentences.of_tournament(before, row))
    found += _draws(entry, names)
    found += _money(entry, everything=everything)
    found.sort(key=lambda item: item[:3], reverse=True)
    return [(Moment(at, words.kind, words.text, words.why, words.link), row) for at, _rank, _id, words, row in found]


def _draws(entry: QueueEntry, names: Names) -> Iterator[tuple[datetime, int, int, Words, Row]]:
    """The draws that it was sealed in, or left out of."""
    if not entry.tournament.is_drawn_mode:
        return
    sealed = DrawEntry.objects.filter(entry=entry)
    parts = {
        one.draw_id: Part(one.division, one.tickets, one.rank, one.division_rank)
        for one in sealed.only("draw_id", "division", "tickets", "rank", "division_rank")
    }
    for out in LeftOut.objects.filter(entry=entry):
        parts[out.draw_id] = Part(left_out=str(out.get_reason_display()))
    for draw_id, part in parts.items():
        for before, row in _steps(Draw, pgh_obj_id=draw_id):
            yield from _at(row, THIRD, sentences.of_draw(before, row, part, names))


def _money(entry: QueueEntry, *, everything: bool) -> Iterator[tuple[datetime, int, int, Words, Row]]:
    for payment in Payment.objects.filter(entry=entry):
        for before, row in _steps(Payment, pgh_obj_id=payment.pk):
            words = sentences.of_payment(before, row) or (_bare(before, row) if everything else None)
            yield from _at(row, FIRST, words)
        for refund in Refund.objects.filter(payment=payment):
            for before, row in _steps(Refund, pgh_obj_id=refund.pk):
                yield from _at(row, THIRD, sentences.of_refund(before, row, payment.currency))
        for dispute in Dispute.objects.filter(payment=payment):
            for before, row in _steps(Dispute, pgh_obj_id=dispute.pk):
                yield from _at(row, SECOND, sentences.of_dispute(before, row))


def _at(row: Row, rank: int, words: Words | None) -> list[tuple[datetime, int, int, Words, Row]]:
    return [(row["pgh_created_at"], rank, row["pgh_id"], words, row)] if words else []


def entry_steps(entry: QueueEntry) -> Iterator[tuple[Row | None, Row]]:
    """All that an entry ever was, the oldest first, each with what it was before."""
    return _steps(QueueEntry, pgh_obj_id=entry.pk)


def _steps(model: type[Model], **which: int) -> Iterator[tuple[Row | None, Row]]:
    """The events of one row, the oldest first, each with the one before it."""
    events = list(_events(model).filter(**which).order_by("pgh_id").values())
    return zip([None, *events], events, strict=False)


def _events(model: type[Model]) -> "QuerySet[Any]":
    events: QuerySet[Any] = apps.get_model(model._meta.app_label, f"{model.__name__}Event")._default_manager.all()  # noqa: SLF001
    return events


def _bare(before: Row | None, row: Row) -> Words:
    """A change that the player's timeline leaves out: the names of what changed."""
    changed = [key for key in row if key not in UNTOLD and (before is None or before[key] != row[key])]
    return Words(
        "info",
        _("Changed: %(columns)s.") % {"columns": ", ".join(changed)} if before else _("A payment was written down."),
    )


def _names(entry: QueueEntry) -> Names:
    tournament, seats = entry.tournament, _seats(entry)
    return Names(
        division=entry.division.name,
        seats={seat_id: number for seat_id, number, _service in seats},
        released={seat_id for seat_id, _number, service in seats if service == "release_reserved"},
        groups=dict(PriorityGroup.objects.filter(tournament=tournament).values_list("pk", "name")),
        zone=ZoneInfo(tournament.time_zone),
        now=database_now(),
        cancelled_at=tournament.cancelled_at,
        place_at_the_end=place_at_the_end(entry),
    )


def seat_numbers(entry: QueueEntry) -> dict[int, int]:
    """The numbers of the seats that an entry was ever offered, by id."""
    return {seat_id: number for seat_id, number, _service in _seats(entry)}


def _seats(entry: QueueEntry) -> list[tuple[int, int, str | None]]:
    """(id, number, service) of what was ever done to the seats that an entry was offered; a seat may be taken away since."""
    seat_ids = _events(QueueEntry).filter(pgh_obj_id=entry.pk, seat_id__isnull=False).values("seat_id")
    seats = _events(Seat).filter(pgh_obj_id__in=seat_ids)
    return [(pk, number, (context or {}).get("service")) for pk, number, context in seats.values_list(*SEAT)]


def place_at_the_end(entry: QueueEntry) -> int | None:
    """Which place in line an entry had when registration ended, 1 for the head; None if it did not wait until then."""
    if entry.state != State.CLOSED or entry.place is None or not _waited(entry):
        return None
    waited = Q(offered_at=None) | Q(stepped_back_at__isnull=False)
    others = QueueEntry.objects.filter(waited, division=entry.division_id, state=State.CLOSED, ended_at=entry.ended_at)
    ahead = Q(priority__gt=entry.priority) | Q(priority=entry.priority, place__lt=entry.place)
    return others.filter(ahead).count() + 1


def _waited(entry: QueueEntry) -> bool:
    return entry.offered_at is None or entry.stepped_back_at is not None


def _accounts(rows: Iterable[Row]) -> dict[int, str]:
    contexts = [row["pgh_context"] or {} for row in rows]
    ids = {int(context[key]) for context in contexts for key in ("by", "user") if context.get(key)}
    return dict(User.objects.filter(pk__in=ids).values_list("pk", "email"))


def _source(row: Row, accounts: dict[int, str]) -> str:
    """ "anna@example.org, grant_seat, /admin/..." """
    context = row["pgh_context"] or {}
    who = context.get("by") or context.get("user")
    parts = [
        accounts.get(who, _("account %(id)s") % {"id": who}) if who else "",
        context.get("service"),
        context.get("url"),
    ]
    return ", ".join(str(part) for part in parts if part) or _("the site itself")
