"""The states of an entry, and the two clocks of an offer: pure functions on plain values."""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class State(StrEnum):
    """Where an entry stands; see docs/concepts.md for the picture."""

    WAITING = "WAITING"
    OFFERED = "OFFERED"
    CONFIRMED = "CONFIRMED"
    PASSED = "PASSED"  # missed the first offer; may step back in once
    LAPSED = "LAPSED"  # missed the second
    LEFT = "LEFT"  # left the queue, or declined an offer
    CANCELLED = "CANCELLED"  # gave a confirmed seat back
    CLOSED = "CLOSED"  # registration ended, or the tournament was cancelled
    REJECTED = "REJECTED"  # staff decided


LIVE = (State.WAITING, State.OFFERED, State.PASSED, State.CONFIRMED)
SEATED = (State.OFFERED, State.CONFIRMED)
ENDED = (State.LAPSED, State.LEFT, State.CANCELLED, State.CLOSED, State.REJECTED)

TRANSITIONS = (
    (State.WAITING, State.OFFERED),
    (State.WAITING, State.LEFT),
    (State.WAITING, State.CLOSED),
    (State.OFFERED, State.CONFIRMED),
    (State.OFFERED, State.PASSED),
    (State.OFFERED, State.LAPSED),
    (State.OFFERED, State.LEFT),
    (State.OFFERED, State.CLOSED),
    (State.CONFIRMED, State.OFFERED),  # the capture failed for good: the seat stays theirs to pay again
    (State.CONFIRMED, State.CANCELLED),
    (State.PASSED, State.WAITING),
    (State.PASSED, State.LEFT),
    (State.PASSED, State.CLOSED),
    *((state, State.REJECTED) for state in LIVE),
)

TICK = timedelta(milliseconds=250)  # how often the clock looks whether something is due
CARD_RETRY_MINUTES = 10
NOTICE_TRIES = 6  # of a mail that can't be made, ten minutes apart; then somebody has to look
NIGHT_BEGINS, NIGHT_ENDS = time(22), time(8)


@dataclass(frozen=True)
class OfferRules:
    """What decides how long an offer lasts."""

    rush_from: datetime
    rush_minutes: int
    offer_minutes: int
    late_offer_hours: int
    payment_minutes: int
    always_late: bool  # lotteries have no rush
    zone: ZoneInfo


@dataclass(frozen=True)
class Deadlines:
    """`expires_at`: until when the offer can be taken up. `hold_until`: the latest the seat can be held, whatever happens."""

    expires_at: datetime
    hold_until: datetime


def offer_deadlines(rules: OfferRules, now: datetime) -> Deadlines:
    """Minutes in the rush, hours afterwards; a late offer never ends in the night of the venue.

    A late offer that would end between 22:00 and 08:00 at the venue lasts until 08:00.
    """
    if is_late(rules, now):
        expires_at = out_of_the_night(now + timedelta(hours=rules.late_offer_hours), rules.zone)
    else:
        expires_at = now + timedelta(minutes=rules.offer_minutes)
    paying = timedelta(minutes=rules.payment_minutes + CARD_RETRY_MINUTES)
    return Deadlines(expires_at, expires_at + paying)


def is_late(rules: OfferRules, offered_at: datetime) -> bool:
    """Whether an offer made then counts by hours: after the rush, and in lotteries."""
    return rules.always_late or offered_at >= rules.rush_from + timedelta(minutes=rules.rush_minutes)


def out_of_the_night(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment itself by day; the next 08:00 for one between 22:00 and 08:00 in that zone."""
    local = moment.astimezone(zone)
    if NIGHT_ENDS <= local.time() < NIGHT_BEGINS:
        return moment
    morning = local.date() + timedelta(days=1) if local.time() >= NIGHT_BEGINS else local.date()
    return datetime.combine(morning, NIGHT_ENDS, zone).astimezone(moment.tzinfo)


@dataclass(frozen=True)
class InLine:
    """An entry as matching sees it; `order` sorts it in its line, smaller is earlier."""

    id: int
    order: tuple[int, int]
    group_id: int | None


@dataclass(frozen=True)
class FreeSeat:
    """A free seat; `group_id` is whom it is reserved for."""

    id: int
    group_id: int | None


def match_seats(line: Iterable[InLine], seats: Iterable[FreeSeat], limit: int) -> list[tuple[int, int]]:
    """(entry id, seat id) pairs, head of the line first, at most `limit`.

    Whoever belongs to a group with a free reserved seat takes that one, so that open seats last for the rest.
    """
    free: dict[int | None, deque[int]] = defaultdict(deque)
    for seat in seats:
        free[seat.group_id].append(seat.id)
    pairs: list[tuple[int, int]] = []
    for entry in sorted(line, key=lambda entry: entry.order):
        if len(pairs) == limit or not any(free.values()):
            break
        reserve = entry.group_id if entry.group_id is not None and free[entry.group_id] else None
        if free[reserve]:
            pairs.append((entry.id, free[reserve].popleft()))
    return pairs
