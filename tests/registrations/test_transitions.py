"""Every service from every state: it leads where the table says, and elsewhere it refuses and changes nothing.

Whatever it did, doing it again does nothing more.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import models

from registrations import services
from registrations.models import Notice, QueueEntry
from registrations.rules import LIVE, TRANSITIONS, State
from registrations.services import NotInQueueError, OfferOverError
from tests.builders import make_entry, make_staff, make_tournament, now
from vgchub.errors import RefusedError

pytestmark = pytest.mark.django_db

WAITING, OFFERED, CONFIRMED, PASSED, LAPSED, LEFT, CANCELLED, CLOSED, REJECTED = State
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
RAN_OUT = {"offer_expires_at": now() - MINUTE, "hold_until": now() + DAY}


@dataclass(frozen=True)
class Case:
    """A service: where it leads from which states, what it says elsewhere (None: nothing, it just finds nothing to do)."""

    call: Callable[[QueueEntry], object]
    leads: dict[State, State]
    refusal: type[RefusedError] | None = None
    tournament: dict[str, Any] = field(default_factory=dict)
    offered: dict[str, Any] = field(default_factory=dict)  # how an entry that is OFFERED stands
    quiet_in: tuple[State, ...] = ()  # where it was done already, so that it refuses nothing


def as_player(service: Callable[..., object]) -> Callable[[QueueEntry], object]:
    return lambda entry: service(account=entry.player.account, public_id=entry.public_id)


def as_staff(service: Callable[..., object]) -> Callable[[QueueEntry], object]:
    return lambda entry: service(public_id=entry.public_id, by=make_staff(), reason="A volunteer.")


def by_pk(service: Callable[..., object], **said: object) -> Callable[[QueueEntry], object]:
    return lambda entry: service(entry_id=entry.pk, **said)


def of_tournament(service: Callable[..., object]) -> Callable[[QueueEntry], object]:
    return lambda entry: service(tournament_id=entry.tournament_id)


OVER = {"opens_in": -5 * DAY}  # registration lasted two days, and offers two more
TO_CONFIRMED = {OFFERED: CONFIRMED}

CASES = {
    "leave_queue": Case(
        as_player(services.leave_queue),
        {WAITING: LEFT, OFFERED: LEFT, PASSED: LEFT},
        refusal=NotInQueueError,
        quiet_in=(LEFT,),
    ),
    "step_back_in": Case(as_player(services.step_back_in), {PASSED: WAITING}, refusal=NotInQueueError),
    "take_up_offer, free": Case(
        as_player(services.take_up_offer), TO_CONFIRMED, refusal=OfferOverError, quiet_in=(CONFIRMED,)
    ),
    "take_up_offer, paid": Case(
        as_player(services.take_up_offer),
        {OFFERED: OFFERED},
        refusal=OfferOverError,
        tournament={"fee_minor": 4000},
    ),
    "confirm_entry, free": Case(
        by_pk(services.confirm_entry), TO_CONFIRMED, refusal=OfferOverError, quiet_in=(CONFIRMED,)
    ),
    "confirm_entry, paid": Case(
        by_pk(services.confirm_entry, paid=True),
        TO_CONFIRMED,
        refusal=OfferOverError,
        offered={"checkout_at": now(), **RAN_OUT},
        quiet_in=(CONFIRMED,),
    ),
    "reopen_offer": Case(by_pk(services.reopen_offer), {CONFIRMED: OFFERED}),
    "cancel_entry": Case(
        by_pk(services.cancel_entry, reason="Ill."),
        {CONFIRMED: CANCELLED},
        refusal=NotInQueueError,
        quiet_in=(CANCELLED,),
    ),
    "lapse_offer": Case(by_pk(services.lapse_offer), {OFFERED: PASSED}, offered={"checkout_at": now(), **RAN_OUT}),
    "lapse_offers": Case(of_tournament(services.lapse_offers), {OFFERED: PASSED}, offered=RAN_OUT),
    "lapse_offers, second": Case(
        of_tournament(services.lapse_offers), {OFFERED: LAPSED}, offered={"stepped_back_at": now(), **RAN_OUT}
    ),
    "offer_seats": Case(of_tournament(services.offer_seats), {WAITING: OFFERED}),
    "grant_seat": Case(as_staff(services.grant_seat), {WAITING: OFFERED}, refusal=NotInQueueError),
    "waive_fee": Case(
        as_staff(services.waive_fee),
        {WAITING: WAITING, OFFERED: OFFERED, PASSED: PASSED},
        refusal=NotInQueueError,
    ),
    "reject_entry": Case(as_staff(services.reject_entry), dict.fromkeys(LIVE, REJECTED), refusal=NotInQueueError),
    "close_registration": Case(
        of_tournament(services.close_registration), {WAITING: CLOSED, PASSED: CLOSED}, tournament=OVER
    ),
    "close_entries_of_cancelled": Case(
        of_tournament(services.close_entries_of_cancelled),
        {WAITING: CLOSED, OFFERED: CLOSED, PASSED: CLOSED},
        tournament={"cancelled_at": now()},
    ),
    "extend_for_retry": Case(by_pk(services.extend_for_retry), {OFFERED: OFFERED}, offered={"checkout_at": now()}),
}
HISTORY_SAYS = {"take_up_offer, free": "confirm_entry"}
TELLS_WHO_COMES_SECOND = ("grant_seat", "reject_entry")  # staff, who may be two
REPEATED = [name for name in CASES if name not in ("extend_for_retry", "waive_fee")]  # a minute later, somebody else


def entry_of(case: Case, state: State) -> QueueEntry:
    tournament = make_tournament(**{"seats": 2, **case.tournament})
    return make_entry(tournament, state=state, **(case.offered if state == OFFERED else {}))


def all_rows() -> dict[str, list[dict[str, object]]]:
    """Everything that a change would show in: entries, their history, mails due."""
    events = apps.get_model("registrations", "QueueEntryEvent")._default_manager
    return {
        "entries": list(QueueEntry.objects.order_by("pk").values()),
        "events": list(events.order_by("pgh_id").values()),
        "notices": list(Notice.objects.order_by("pk").values()),
    }


def state_of(entry: QueueEntry) -> State:
    return State(QueueEntry.objects.values_list("state", flat=True).get(pk=entry.pk))


LEADS = [(name, old, new) for name, case in CASES.items() for old, new in case.leads.items()]
ELSEWHERE = [(name, state) for name, case in CASES.items() for state in State if state not in case.leads]


@pytest.mark.parametrize(("name", "old", "new"), LEADS)
def test_service_leads(name: str, old: State, new: State) -> None:
    case = CASES[name]
    bystander, entry = entry_of(case, old), entry_of(case, old)
    history = events_of(entry).count()
    case.call(entry)
    assert (state_of(entry), state_of(bystander)) == (new, old)
    assert events_of(entry).count() - history == (2 if name == "grant_seat" else 1)  # the reason, then the offer
    last = events_of(entry).latest("pgh_id")
    assert last.state == new
    if name != "close_entries_of_cancelled":  # a part of its caller
        assert last.pgh_context["service"] == HISTORY_SAYS.get(name, name.partition(",")[0])


def events_of(entry: QueueEntry) -> models.QuerySet[Any]:
    events: models.QuerySet[Any] = apps.get_model("registrations", "QueueEntryEvent")._default_manager.all()
    return events.filter(pgh_obj_id=entry.pk)


@pytest.mark.parametrize(("name", "state"), ELSEWHERE)
def test_service_elsewhere_changes_nothing(name: str, state: State) -> None:
    case = CASES[name]
    entry = entry_of(case, state)
    before = all_rows()
    if case.refusal is None or state in case.quiet_in:
        case.call(entry)
    else:
        with pytest.raises(case.refusal) as caught:
            case.call(entry)
        assert caught.value.data == {"state": state}
        assert str(caught.value.remedy)
    assert all_rows() == before


@pytest.mark.parametrize(("name", "old", "new"), [lead for lead in LEADS if lead[0] in REPEATED])
def test_service_repeated_changes_nothing_more(name: str, old: State, new: State) -> None:
    case = CASES[name]
    entry = entry_of(case, old)
    case.call(entry)
    before = all_rows()
    if name in TELLS_WHO_COMES_SECOND:
        with pytest.raises(NotInQueueError):
            case.call(entry)
    else:
        case.call(entry)
    assert all_rows() == before


def test_every_transition_has_a_service_that_makes_it() -> None:
    made = {(old, new) for _name, old, new in LEADS}
    assert set(TRANSITIONS) <= made


def test_leave_queue_gives_an_offered_seat_free_at_once() -> None:
    entry = make_entry(make_tournament(seats=1), state=OFFERED)
    waiting = make_entry(entry.tournament)
    as_player(services.leave_queue)(entry)
    services.offer_seats(tournament_id=entry.tournament_id)
    waiting.refresh_from_db()
    assert waiting.state == OFFERED


def test_reject_entry_gives_a_confirmed_seat_free_and_says_who_and_why() -> None:
    staff, entry = make_staff(), make_entry(make_tournament(seats=1), state=CONFIRMED)
    services.reject_entry(public_id=entry.public_id, by=staff, reason="Two accounts of one person.")
    assert entry.division.seats.free().count() == 1
    assert events_of(entry).latest("pgh_id").pgh_context == {
        "service": "reject_entry",
        "by": staff.pk,
        "reason": "Two accounts of one person.",
    }


@pytest.mark.parametrize("service", [services.grant_seat, services.waive_fee, services.reject_entry])
def test_staff_are_told_that_there_is_no_such_entry(service: Callable[..., object]) -> None:
    with pytest.raises(services.EntryNotFoundError):
        service(public_id="0" * 24, by=make_staff(), reason="A volunteer.")
