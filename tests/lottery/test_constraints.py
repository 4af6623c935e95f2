"""What was published can't be changed: each constraint and trigger of draws is tried with plain SQL; and what stands still for one.

A constraint without a test here fails `test_every_constraint_and_trigger_is_tried`.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import Player
from lottery.models import Draw, DrawEntry, DrawFile, DrawFilePart, LeftOut
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import offer_seats
from tests.builders import Mode, make_entry, make_group, make_staff, make_tournament, now
from tests.lottery.draws import drawn, opened, seal, sealed, to_draw
from tests.raw_sql import Tries, change, copy, names_of, refused, remove
from tournaments.models import Seat, Tournament

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
HASH = "ab" * 32
VOID = {"state": "VOID", "void_reason": "Somebody was left out."}

TRIES = Tries()
breaks = TRIES.breaks


def test_every_constraint_and_trigger_is_tried() -> None:
    assert set(TRIES) == names_of("lottery")


@pytest.mark.parametrize("name", TRIES)
def test_database_refuses_what_breaks(name: str) -> None:
    with refused() as refusal:
        TRIES[name]()
    assert refusal.comes_from(name), refusal


def an_entry(draw: Draw) -> DrawEntry:
    return draw.entries.all()[0]


def a_left_out() -> LeftOut:
    draw = opened(entries=1)
    Player.objects.filter(entries__tournament=draw.tournament_id).update(player_id_state=Player.IdState.DISPUTED)
    return seal(draw).left_out.get()


def a_manifest() -> DrawFile:
    return sealed(entries=1).files.get()


def a_part() -> DrawFilePart:
    return a_manifest().parts.get()


# --- Draws ---------------------------------------------------------------------------------------------------


@breaks("draw_number_once_per_tournament")
def _() -> None:
    copy(opened(), public_id="x", state="VOID", voided_at=now(), void_reason="Another mode.")


@breaks("draw_one_stands")
def _() -> None:
    copy(opened(), public_id="x", number=2)


@breaks("draw_state_known")
def _() -> None:
    draw = opened()
    with connection.cursor() as cursor:  # which knows no other state either, and is asked first
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE lottery_draw DROP CONSTRAINT draw_state_fits_its_times"
        )
    copy(draw, public_id="x", number=2, state="ASLEEP")


@breaks("draw_kind_known")
def _() -> None:
    copy(opened(), public_id="x", number=2, state="VOID", voided_at=now(), void_reason="x", kind="barrel")


@breaks("draw_entropy_is_of_its_kind")
def _() -> None:
    change(opened(), chain=HASH)


@breaks("draw_sealed_has_its_manifest")
def _() -> None:
    change(opened(), state="SEALED", sealed_at=now())


@breaks("draw_drawn_has_its_seed")
def _() -> None:
    change(sealed(), state="DRAWN", drawn_at=now() + HOUR)


@breaks("draw_state_fits_its_times")
def _() -> None:
    change(sealed(), state="DRAWN")


@breaks("draw_of_drand_has_its_round")
def _() -> None:
    draw = opened(entropy="DRAND")
    change(draw, state="SEALED", sealed_at=now(), published_at=now(), entrants=0, manifest_sha256=HASH, chain=HASH)


@breaks("draw_void_takes_two")
def _() -> None:
    one = make_staff().pk
    change(sealed(), **VOID, voided_at=now(), void_proposed_by_id=one, void_confirmed_by_id=one)


@breaks("draw_states")
def _() -> None:
    change(sealed(), state="OPEN")


@breaks("draw_identity")
def _() -> None:
    change(opened(), secret=HASH)


@breaks("draw_sealed")
def _() -> None:
    change(sealed(), manifest_sha256=HASH)


@breaks("draw_drawn")
def _() -> None:
    change(drawn(), seed=HASH)


@breaks("draw_offered_is_not_void")
def _() -> None:
    draw = drawn()
    assert offer_seats(tournament_id=draw.tournament_id)
    change(draw, **VOID, voided_at=now(), void_proposed_by_id=make_staff().pk, void_confirmed_by_id=make_staff().pk)


@breaks("draw_never_deleted")
def _() -> None:
    remove(opened())


def change_as_a_draw(entry: DrawEntry, **columns: Any) -> None:
    """What a draw's own transaction could do wrong: nobody else can change these rows at all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('vgchub.drawing', 'on', true)")
    change(entry, **columns)


# --- Entries of a draw ---------------------------------------------------------------------------------------


@breaks("drawentry_once_per_draw")
def _() -> None:
    draw = opened(entries=1)
    entry = QueueEntry.objects.get()
    for _time in range(2):
        DrawEntry.objects.create(draw=draw, entry=entry, division="masters", tickets=1)


@breaks("drawentry_rank_once")
def _() -> None:
    one, two = sealed(entries=2).entries.all()
    for entry in (one, two):
        change_as_a_draw(entry, key=b"k" * 32, rank=1, division_rank=1)


@breaks("drawentry_tickets_1_to_64")
def _() -> None:
    draw = opened(entries=1)
    DrawEntry.objects.create(draw=draw, entry=QueueEntry.objects.get(), division="masters", tickets=65)


@breaks("drawentry_key_and_rank_together")
def _() -> None:
    change_as_a_draw(an_entry(sealed()), key=b"k" * 32)


@breaks("drawentry_ranked_by_its_draw")
def _() -> None:
    change(an_entry(sealed()), key=b"k" * 32, rank=1, division_rank=1)


@breaks("drawentry_of_open_draw")
def _() -> None:
    draw = sealed()
    copy(an_entry(draw), entry_id=make_entry(draw.tournament).pk)


@breaks("drawentry_stays")
def _() -> None:
    change_as_a_draw(an_entry(drawn()), rank=9)


@breaks("drawentry_never_deleted")
def _() -> None:
    remove(an_entry(sealed()))


@breaks("leftout_once_per_draw")
def _() -> None:
    draw = opened(entries=1)
    for _time in range(2):
        LeftOut.objects.create(draw=draw, entry=QueueEntry.objects.get(), reason="DISPUTED")


@breaks("leftout_reason_known")
def _() -> None:
    LeftOut.objects.create(draw=opened(entries=1), entry=QueueEntry.objects.get(), reason="LATE")


@breaks("leftout_of_open_draw")
def _() -> None:
    left_out = a_left_out()
    copy(left_out, entry_id=make_entry(left_out.draw.tournament).pk)


@breaks("leftout_stays")
def _() -> None:
    change(a_left_out(), reason="UNVERIFIED")


@breaks("leftout_never_deleted")
def _() -> None:
    remove(a_left_out())


# --- Published files -----------------------------------------------------------------------------------------


@breaks("drawfile_once_per_draw")
def _() -> None:
    copy(a_manifest())


@breaks("drawfile_stays")
def _() -> None:
    change(a_manifest(), sha256=HASH)


@breaks("drawfile_never_deleted")
def _() -> None:
    remove(a_manifest())


@breaks("drawfilepart_number_once")
def _() -> None:
    file = DrawFile.objects.create(draw=opened(), name="manifest")
    for _time in range(2):
        DrawFilePart.objects.create(file=file, number=0, content=b"x")


@breaks("drawfilepart_of_unfinished_file")
def _() -> None:
    copy(a_part(), number=1)


@breaks("drawfilepart_stays")
def _() -> None:
    change(a_part(), content=b"x")


@breaks("drawfilepart_never_deleted")
def _() -> None:
    remove(a_part())


# --- Mailings ------------------------------------------------------------------------------------------------


@breaks("mailing_once")
def _() -> None:
    copy(sealed(entries=1).mailings.all()[0])


@breaks("mailing_is_about_a_draw")
def _() -> None:
    change(sealed(entries=1).mailings.all()[0], kind="OFFERED")


# --- Half of what belongs together: a null makes no CHECK true, but none false either ------------------------


@pytest.mark.parametrize("missing", ["key", "rank", "division_rank"])
def test_database_refuses_an_entry_drawn_by_half(missing: str) -> None:
    whole: dict[str, object] = {"key": b"k" * 32, "rank": 1, "division_rank": 1}
    with refused() as refusal:
        change_as_a_draw(an_entry(sealed()), **{**whole, missing: None})
    assert refusal.comes_from("drawentry_key_and_rank_together")


@pytest.mark.parametrize("make", [opened, sealed])
def test_database_refuses_a_seed_before_the_draw(make: Callable[[], Draw]) -> None:
    with refused() as refusal:
        change(make(), seed=HASH)
    assert refusal.comes_from("draw_drawn_has_its_seed")


def test_database_refuses_a_draw_that_was_drawn_and_never_sealed() -> None:
    with refused() as refusal:
        copy(opened(), public_id="x", number=2, state="DRAWN", drawn_at=now(), seed=HASH)
    assert refusal.comes_from("draw_drawn_has_its_seed")


@pytest.mark.parametrize("missing", ["manifest_sha256", "entrants", "published_at", "sealed_at"])
def test_database_refuses_a_draw_sealed_by_half(missing: str) -> None:
    whole: dict[str, object] = {"sealed_at": now(), "published_at": now(), "entrants": 0, "manifest_sha256": HASH}
    without = "" if missing == "manifest_sha256" else None
    with refused():
        change(opened(), state="SEALED", **{**whole, missing: without})


# --- Every column of what was published ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sealed_at", now()),
        ("published_at", now()),
        ("manifest_sha256", HASH),
        ("entrants", 4),
        ("divisions", "[]"),
    ],
)
def test_sealed_draw_keeps(column: str, value: object) -> None:
    with refused() as refusal:
        change(sealed(), **{column: value})
    assert refusal.comes_from("draw_sealed")


@pytest.mark.parametrize(("column", "value"), [("chain", "cd" * 32), ("round", 8)])
def test_sealed_draw_keeps_the_source_that_it_named(column: str, value: object) -> None:
    draw = sealed(entropy="DRAND")
    with refused() as refusal:
        change(draw, **{column: value})
    assert refusal.comes_from("draw_sealed")


@pytest.mark.parametrize(
    ("column", "value"), [("drawn_at", now() + HOUR), ("seed", HASH), ("randomness", HASH), ("signature", HASH)]
)
def test_drawn_draw_keeps(column: str, value: object) -> None:
    with refused() as refusal:
        change(drawn(), **{column: value})
    assert refusal.comes_from("draw_drawn")


@pytest.mark.parametrize("state", ["OPEN", "SEALED", "VOID"])
def test_drawn_draw_is_drawn_or_void_by_two(state: str) -> None:
    with refused():
        change(drawn(), state=state)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("public_id", "y"),
        ("number", 7),
        ("kind", "opening"),
        ("entropy", "DRAND"),
        ("commitment", HASH),
        ("secret", HASH),
        ("opened_at", now()),
    ],
)
def test_open_draw_is_who_it_is(column: str, value: object) -> None:
    with refused() as refusal:
        change(opened(), **{column: value})
    assert refusal.comes_from("draw_identity")


@pytest.mark.parametrize(("column", "value"), [("division", "junior"), ("group", "friends"), ("tickets", 64)])
@pytest.mark.parametrize("make", [sealed, drawn])
def test_entry_of_a_draw_keeps(make: Callable[[], Draw], column: str, value: object) -> None:
    with refused() as refusal:
        change_as_a_draw(an_entry(make()), **{column: value})
    assert refusal.comes_from("drawentry_stays")


@pytest.mark.parametrize(
    "changes",
    [
        {"key": b"k" * 32},
        {"rank": 9},
        {"division_rank": 9},
        {"key": None, "rank": None, "division_rank": None},
    ],
)
def test_entry_that_was_drawn_keeps_its_key_and_its_ranks(changes: dict[str, object]) -> None:
    with refused() as refusal:
        change_as_a_draw(an_entry(drawn()), **changes)
    assert refusal.comes_from("drawentry_stays")


@pytest.mark.parametrize("name", list(DrawFile.Name))
def test_published_file_keeps_its_bytes(name: DrawFile.Name) -> None:
    file = drawn().files.get(name=name)
    attempts: list[Callable[[], None]] = [
        lambda: change(file, size=1),
        lambda: remove(file),
        lambda: change(file.parts.get(), content=b"x"),
        lambda: remove(file.parts.get()),
        lambda: copy(file.parts.get(), number=1),
    ]
    for attempt in attempts:
        with refused():
            attempt()


# --- What stands still for a draw ----------------------------------------------------------------------------


def taking_entries() -> Tournament:
    """A lottery that has a group, and for which entries are open."""
    tournament = make_tournament(mode=Mode.LOTTERY)
    make_group(tournament, reserved={"masters": 1})
    Tournament.objects.filter(pk=tournament.pk).update(draw_opened_at=now())
    return tournament


FROZEN: dict[str, Callable[[Tournament], None]] = {
    "mode": lambda t: change(t, mode=Mode.FIRST_COME, seals_at=None),
    "entropy": lambda t: change(t, entropy="COMMIT_REVEAL" if t.entropy == "DRAND" else "DRAND"),
    "opens_at": lambda t: change(t, opens_at=t.opens_at - HOUR),
    "objection_minutes": lambda t: change(t, objection_minutes=t.objection_minutes + 1),
    "releases_reserved": lambda t: change(t, releases_reserved=False),
    "a division's bounds": lambda t: change(t.divisions.get(), born_to="2001-01-01"),
    "a division's code": lambda t: change(t.divisions.get(), code="senior"),
    "another division": lambda t: copy(t.divisions.get(), code="senior"),
    "a division less": lambda t: remove(t.divisions.get()),
    "a group's tickets": lambda t: change(t.groups.get(), tickets=2),
    "a group's name": lambda t: change(t.groups.get(), name="Friends"),
    "another group": lambda t: copy(t.groups.get(), name="Friends"),
    "a group less": lambda t: remove(t.groups.get()),
}


@pytest.mark.parametrize("what", FROZEN)
def test_frozen_with_entries(what: str) -> None:
    tournament = taking_entries()
    with refused() as refusal:
        FROZEN[what](tournament)
    assert refusal.comes_from("frozen_with_entries"), refusal


def test_waiting_room_of_a_fair_start_freezes_it_when_it_opens() -> None:
    tournament = make_tournament(mode=Mode.FAIR_START, opens_in=timedelta(minutes=30), draw_opened_at=now())
    with refused() as refusal:
        change(tournament, prequeue_opens_at=tournament.prequeue_opens_at - HOUR)  # type: ignore[operator]
    assert refusal.comes_from("frozen_with_entries")


@pytest.mark.parametrize("what", FROZEN)
def test_rules_may_change_until_entries_open(what: str) -> None:
    tournament = make_tournament(mode=Mode.LOTTERY, opens_in=HOUR, seats=0)
    make_group(tournament)
    Tournament.objects.filter(pk=tournament.pk).update(draw_opened_at=now())
    FROZEN[what](tournament)


def test_times_of_closing_and_sealing_may_move_until_entries_are_sealed() -> None:
    tournament = taking_entries()
    assert tournament.seals_at is not None
    change(tournament, closes_at=tournament.closes_at + HOUR, seals_at=tournament.seals_at + HOUR)
    change(tournament, name="Another name")


def between_sealing_and_drawing() -> Tournament:
    tournament = taking_entries()
    Tournament.objects.filter(pk=tournament.pk).update(entries_sealed_at=now())
    return tournament


def open_seat(tournament: Tournament) -> Seat:
    return Seat.objects.filter(division__tournament=tournament, reserved_for=None)[0]


STILL: dict[str, Callable[[Tournament], None]] = {
    "closes_at": lambda t: change(t, closes_at=t.closes_at - HOUR),
    "seals_at": lambda t: change(t, seals_at=t.seals_at + HOUR),  # type: ignore[operator]
    "a seat less": lambda t: remove(open_seat(t)),
    "another seat": lambda t: copy(open_seat(t), number=99),
    "another reserved seat": lambda t: change(open_seat(t), reserved_for_id=t.groups.get().pk),
    "an open seat more": lambda t: change(t.groups.get().seats.get(), reserved_for_id=None),
}


@pytest.mark.parametrize("what", STILL)
def test_sealed_until_drawn(what: str) -> None:
    tournament = between_sealing_and_drawing()
    with refused() as refusal:
        STILL[what](tournament)
    assert refusal.comes_from("sealed_until_drawn"), refusal


def _drawn(tournament: Tournament) -> None:
    Tournament.objects.filter(pk=tournament.pk).update(drawn_at=now() + HOUR)


def _cancelled(tournament: Tournament) -> None:
    Tournament.objects.filter(pk=tournament.pk).update(cancelled_at=now())


@pytest.mark.parametrize("over", [_drawn, _cancelled])
@pytest.mark.parametrize("what", STILL)
def test_seats_and_times_may_change_once_it_is_drawn_or_cancelled(
    what: str, over: Callable[[Tournament], None]
) -> None:
    tournament = between_sealing_and_drawing()
    over(tournament)
    STILL[what](tournament)


# --- Places --------------------------------------------------------------------------------------------------


def takes_back(entry: QueueEntry) -> None:
    change(entry, place=None)


@pytest.mark.parametrize("entry_state", [State.WAITING, State.LEFT])
def test_place_that_a_draw_gave_is_taken_back_once_the_draw_is_not_drawn_any_more(entry_state: State) -> None:
    tournament = to_draw(entries=0)
    entry = make_entry(tournament, state=entry_state, place=-1)
    takes_back(entry)
    change(entry, place=-2)


def drawn_and_standing() -> QueueEntry:
    return drawn(entries=1).entries.get().entry


def already_offered() -> QueueEntry:
    return make_entry(make_tournament(mode=Mode.LOTTERY), state=State.OFFERED)


def first_come() -> QueueEntry:
    return make_entry(make_tournament())


@pytest.mark.parametrize("make", [drawn_and_standing, already_offered, first_come])
def test_place_is_not_taken_back_otherwise(make: Callable[[], QueueEntry]) -> None:
    entry = make()
    with refused():
        takes_back(entry)


def test_place_is_never_another_one() -> None:
    entry = make_entry(to_draw(entries=0), place=-1)
    with refused() as refusal:
        change(entry, place=-2)
    assert refusal.comes_from("place_stays")
