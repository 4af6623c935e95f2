"""What must never be written, cannot be: each constraint and trigger of the database is tried with plain SQL.

Those of accounts are tried in tests/accounts, those of draws in tests/lottery.
A constraint without a test here fails `test_every_constraint_and_trigger_is_tried`.
"""

from datetime import date, timedelta

import pytest
from django.db import models

from accounts.models import Player
from registrations.models import Heartbeat, Notice
from registrations.rules import State
from tests.builders import (
    Mode,
    make_division,
    make_entry,
    make_group,
    make_organizer,
    make_player,
    make_seats,
    make_tournament,
    make_user,
    now,
)
from tests.raw_sql import Tries, change, columns_in, copy, names_of, our_models, refused, remove
from tournaments.models import Membership, Seat, Tournament
from vgchub.constraints import ForeignKeyTogether

pytestmark = pytest.mark.django_db

# The other end of a foreign key over two columns: unique already by their id, and needed by PostgreSQL in so many words.
ENDS_OF_FOREIGN_KEYS = {"division_with_its_tournament", "prioritygroup_with_its_tournament", "seat_with_its_division"}

TRIES = Tries()
breaks = TRIES.breaks


def test_every_constraint_and_trigger_is_tried() -> None:
    assert set(TRIES) | ENDS_OF_FOREIGN_KEYS == names_of("tournaments", "registrations")


@pytest.mark.parametrize("name", TRIES)
def test_database_refuses_what_breaks(name: str) -> None:
    with refused() as refusal:
        TRIES[name]()
    assert refusal.comes_from(name), refusal


@pytest.mark.parametrize("name", sorted(ENDS_OF_FOREIGN_KEYS))
def test_end_of_a_foreign_key_over_two_columns_is_there_and_used(name: str) -> None:
    model, end = next((m, c) for m in our_models() for c in m._meta.constraints if c.name == name)
    assert isinstance(end, models.UniqueConstraint)
    pointing = [c for m in our_models() for c in m._meta.constraints if isinstance(c, ForeignKeyTogether)]
    columns = [model._meta.get_field(field).column for field in end.fields]  # type: ignore[union-attr]
    assert (model._meta.db_table, columns) in [(key.to, key.to_fields) for key in pointing]


# --- Entries -------------------------------------------------------------------------------------------------


@breaks("queueentry_state_known")
def _() -> None:
    copy(make_entry(make_tournament()), state="ASLEEP", player_id=make_player().pk, number=0, place=0, public_id="x")


@breaks("queueentry_seat_exactly_when_offered_or_confirmed")
def _() -> None:
    change(make_entry(make_tournament(), state=State.CONFIRMED), seat_id=None)


@breaks("queueentry_expiry_exactly_when_offered")
def _() -> None:
    change(make_entry(make_tournament(), state=State.OFFERED), offer_expires_at=None)


@breaks("queueentry_offer_ends_within_its_hold")
def _() -> None:
    entry = make_entry(make_tournament(), state=State.OFFERED)
    change(entry, offer_expires_at=now() + timedelta(hours=1), hold_until=now() + timedelta(minutes=59))


@breaks("queueentry_checkout_only_of_a_seat")
def _() -> None:
    change(make_entry(make_tournament()), checkout_at=now())


@breaks("queueentry_confirmed_has_its_time")
def _() -> None:
    change(make_entry(make_tournament(), state=State.CONFIRMED), confirmed_at=None)


@breaks("queueentry_ended_at_exactly_when_ended")
def _() -> None:
    change(make_entry(make_tournament()), ended_at=now())


@breaks("queueentry_no_offer_without_a_place")
def _() -> None:
    entry = make_entry(make_tournament(mode=Mode.LOTTERY))
    change(entry, **columns_in(State.OFFERED, entry.division.seats.first()))


@breaks("queueentry_drawn_has_no_lane")
def _() -> None:
    tournament = make_tournament(mode=Mode.LOTTERY)
    entry = make_entry(tournament)
    change(entry, place=-1)
    change(tournament, mode=Mode.FIRST_COME, seals_at=None)  # past the trigger, which looks at the mode
    change(entry, priority=1)


@breaks("queueentry_grant_has_a_reason")
def _() -> None:
    change(make_entry(make_tournament()), granted_by_id=make_user().pk)


@breaks("queueentry_waiver_has_a_reason")
def _() -> None:
    change(make_entry(make_tournament()), waiver_reason="a volunteer")


@breaks("queueentry_one_live_per_player")
def _() -> None:
    copy(make_entry(make_tournament()), number=0, place=0, public_id="x")


@breaks("queueentry_place_unique")
def _() -> None:
    copy(make_entry(make_tournament()), player_id=make_player().pk, number=0, public_id="x")


@breaks("queueentry_seat_of_its_division")
def _() -> None:
    tournament = make_tournament(divisions=("senior", "masters"))
    entry = make_entry(tournament, state=State.CONFIRMED)
    change(entry, seat_id=Seat.objects.get(division__code="senior", number=1).pk)


@breaks("queueentry_division_of_its_tournament")
def _() -> None:
    change(make_entry(make_tournament()), division_id=make_tournament().divisions.get().pk)


@breaks("queueentry_group_of_its_tournament")
def _() -> None:
    change(make_entry(make_tournament()), group_id=make_group(make_tournament()).pk)


@breaks("state_machine")
def _() -> None:
    change(make_entry(make_tournament()), state=State.CANCELLED, ended_at=now(), confirmed_at=now())


@breaks("identity")
def _() -> None:
    change(make_entry(make_tournament()), joined_at=now() - timedelta(days=1))


@breaks("place_stays")
def _() -> None:
    change(make_entry(make_tournament()), place=0)


@breaks("ended_is_over")
def _() -> None:
    change(make_entry(make_tournament(), state=State.LEFT), state=State.WAITING, ended_at=None)


@breaks("never_deleted")
def _() -> None:
    remove(make_entry(make_tournament(), state=State.LEFT))


@breaks("lanes_are_of_first_come")
def _() -> None:
    change(make_entry(make_tournament(mode=Mode.FAIR_START)), priority=1)


@breaks("notice_once")
def _() -> None:
    copy(Notice.objects.create(entry=make_entry(make_tournament()), kind=Notice.Kind.CLOSED, due_at=now()))


@breaks("heartbeat_is_one_row")
def _() -> None:
    Heartbeat.objects.create(id=2, beat_at=now())


# --- Tournaments ---------------------------------------------------------------------------------------------


@breaks("tournament_mode_known")
def _() -> None:
    change(make_tournament(), mode="AUCTION")


@breaks("tournament_opens_before_it_closes")
def _() -> None:
    tournament = make_tournament()
    change(tournament, closes_at=tournament.opens_at)


@breaks("tournament_closes_before_offers_end")
def _() -> None:
    tournament = make_tournament()
    change(tournament, offers_end_at=tournament.closes_at - timedelta(seconds=1))


@breaks("tournament_starts_before_it_ends")
def _() -> None:
    tournament = make_tournament()
    change(tournament, ends_at=tournament.starts_at)


@breaks("tournament_offers_end_before_it_starts")
def _() -> None:
    tournament = make_tournament()
    change(tournament, offers_end_at=tournament.starts_at + timedelta(seconds=1))


@breaks("tournament_waiting_room_opens_first")
def _() -> None:
    tournament = make_tournament(mode=Mode.FAIR_START)
    change(tournament, prequeue_opens_at=tournament.opens_at + timedelta(seconds=1))


@breaks("tournament_lottery_seals_after_it_closes")
def _() -> None:
    tournament = make_tournament(mode=Mode.LOTTERY)
    change(tournament, seals_at=tournament.closes_at - timedelta(seconds=1))


@breaks("tournament_waiting_room_is_of_fair_start")
def _() -> None:
    tournament = make_tournament()
    change(tournament, prequeue_opens_at=tournament.opens_at - timedelta(hours=1))


@breaks("tournament_fair_start_has_a_waiting_room")
def _() -> None:
    change(make_tournament(mode=Mode.FAIR_START), prequeue_opens_at=None)


@breaks("tournament_pace_in_bounds")
def _() -> None:
    change(make_tournament(), offer_batch=51)


@breaks("tournament_lets_somebody_join")
def _() -> None:
    change(make_tournament(), join_ceiling=0)


@breaks("tournament_offers_last")
def _() -> None:
    change(make_tournament(), payment_minutes=0)


@breaks("tournament_keeps_at_most_all")
def _() -> None:
    change(make_tournament(), refund_kept_percent=101)


@breaks("tournament_saves_cards_for_a_lottery")
def _() -> None:
    change(make_tournament(), saves_cards=True)


@breaks("organization_tax_in_bounds")
def _() -> None:
    change(make_tournament().organization, tax_percent=101, tax_name="VAT")


@breaks("organization_tax_has_a_name")
def _() -> None:
    change(make_tournament().organization, tax_percent=19)


@breaks("cancelled_for_good")
def _() -> None:
    change(make_tournament(cancelled_at=now()), cancelled_at=None)


@breaks("tournament_entropy_known")
def _() -> None:
    change(make_tournament(), entropy="A_FRIEND")


@breaks("tournament_sealed_before_drawn")
def _() -> None:
    change(make_tournament(mode=Mode.LOTTERY), drawn_at=now())


@breaks("frozen_with_entries")
def _() -> None:
    change(make_tournament(mode=Mode.LOTTERY, draw_opened_at=now()), objection_minutes=1)


@breaks("sealed_until_drawn")
def _() -> None:
    remove(Seat.objects.filter(division__tournament=make_tournament(mode=Mode.LOTTERY, entries_sealed_at=now()))[0])


@breaks("closed_for_good")
def _() -> None:
    change(make_tournament(closed_at=now()), closed_at=None)


@breaks("division_code_once_per_tournament")
def _() -> None:
    copy(make_tournament().divisions.get())


@breaks("division_bounds_in_order")
def _() -> None:
    change(make_tournament().divisions.get(), born_from=date(2010, 1, 1), born_to=date(2009, 12, 31))


@breaks("seat_number_once_per_division")
def _() -> None:
    copy(make_tournament(seats=1).divisions.get().seats.get())


@breaks("prioritygroup_name_once_per_tournament")
def _() -> None:
    copy(make_group(make_tournament()))


@breaks("prioritygroup_tickets_1_to_64")
def _() -> None:
    change(make_group(make_tournament()), tickets=65)


@breaks("prioritymember_once_per_group")
def _() -> None:
    copy(make_group(make_tournament(), members=(make_player(),)).members.get())


@breaks("membership_once_per_organization")
def _() -> None:
    organization = make_tournament().organization
    copy(Membership.objects.get(account=make_organizer(organization)))


# --- What is allowed beside it -------------------------------------------------------------------------------


def test_database_lets_a_player_enter_again_after_an_end() -> None:
    left = make_entry(make_tournament(), state=State.LEFT)
    again = make_entry(left.tournament, left.player)
    assert again.number > left.number


def test_database_lets_two_claim_a_player_id_that_nobody_proved() -> None:
    first = make_player()
    assert make_player(player_id=first.player_id).player_id_state == Player.IdState.CLAIMED


def test_database_lets_a_reserved_seat_be_taken_away_while_nobody_holds_it() -> None:
    tournament = make_tournament(seats=0)
    [seat] = make_seats(tournament.divisions.get(), 1, reserved_for=make_group(tournament))
    remove(seat)
    assert not Seat.objects.exists()


def test_database_lets_divisions_of_two_tournaments_have_one_code() -> None:
    assert make_division(make_tournament(divisions=("senior",)), "masters").code == "masters"
    assert Tournament.objects.count() == 1
