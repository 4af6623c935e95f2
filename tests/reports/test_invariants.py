"""Each invariant holds after an ordinary day, and is reported once somebody breaks it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pgtrigger
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F

from accounts.models import Player
from lottery.services import propose_void, void_draw
from lottery.services.telling import make_notices
from registrations import services
from registrations.models import Notice, QueueEntry
from registrations.rules import State
from registrations.services import offering
from reports.invariants import INVARIANTS, violations
from reports.services import watch_invariants
from tests.builders import make_entry, make_group, make_player, make_seats, make_staff, make_tournament, make_user, now
from tests.lottery import draws
from tournaments.models import Seat, Tournament
from tournaments.queries import database_now

pytestmark = pytest.mark.django_db


def found(tournament: Tournament | None = None) -> dict[str, int]:
    """How many exceptions there are, by invariant."""
    codes = [sentence.split(":")[0] for sentence in violations(tournament_id=tournament.pk if tournament else None)]
    return {code: codes.count(code) for code in codes}


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def by_force(*drop: str) -> Iterator[None]:
    """As a superuser would: no trigger runs, neither foreign keys nor history, and what `drop` names is gone till the test ends."""
    run("SET CONSTRAINTS ALL IMMEDIATE", *drop, "SET LOCAL session_replication_role = replica")
    yield
    run("SET LOCAL session_replication_role = DEFAULT")


def drop_constraint(name: str) -> str:
    return f"ALTER TABLE registrations_queueentry DROP CONSTRAINT {name}"


def wait_in_line(tournament: Tournament, count: int = 1, **fields: Any) -> list[QueueEntry]:
    """Entries of players whose addresses were verified before they came."""
    players = [make_player() for _number in range(count)]
    return [make_entry(tournament, player, **fields) for player in players]


def offer(entry: QueueEntry, seat: Seat | None = None) -> None:
    """Offer a seat to this entry, whoever stands before it: what an admitter with a mistake would do."""
    seat = seat or Seat.objects.free().filter(division=entry.division_id, reserved_for=None).order_by("number")[0]
    offering._offer(entry.tournament, [(entry.pk, seat.pk)], database_now())


# --- An ordinary day ------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_an_ordinary_day_breaks_nothing() -> None:
    """Lanes, a reserve, missed offers, a return, a grant, a waiver, a decline, a cancellation, fewer seats, the end."""
    staff, tournament = make_staff(), make_tournament(seats=4)
    member = make_player()
    group = make_group(tournament, "Champions", members=(member,), reserved={"masters": 1}, priority=1)
    players = [make_player() for _number in range(9)]
    for player in [*players, member]:
        services.join_queue(account=player.account, tournament=tournament, player_ids=[player.pk])
    entries = {e.player_id: e for e in QueueEntry.objects.filter(tournament=tournament)}
    a, b, c, _d, e, f, *rest = (entries[player.pk] for player in players)
    assert services.offer_seats(tournament_id=tournament.pk) == 5

    services.take_up_offer(account=a.player.account, public_id=a.public_id)
    services.leave_queue(account=b.player.account, public_id=b.public_id)
    QueueEntry.objects.filter(pk=c.pk).update(offer_expires_at=now() - timedelta(seconds=1))
    assert services.lapse_offers(tournament_id=tournament.pk) == 1
    services.grant_seat(public_id=f.public_id, by=staff, reason="Came a long way last year, in vain.")
    services.step_back_in(account=c.player.account, public_id=c.public_id)
    services.waive_fee(public_id=e.public_id, by=staff, reason="A judge.")
    services.offer_seats(tournament_id=tournament.pk)
    services.cancel_entry(entry_id=a.pk)
    services.reject_entry(public_id=rest[0].public_id, by=staff, reason="Twice in the line.")
    services.set_seats(division_id=a.division_id, seats=3, by=staff, reason="A table broke.")
    services.offer_seats(tournament_id=tournament.pk)
    services.pause_tournament(tournament_id=tournament.pk, by=staff)
    services.resume_tournament(tournament_id=tournament.pk, by=staff)
    Tournament.objects.filter(pk=tournament.pk).update(closes_at=now(), offers_end_at=now())
    services.close_registration(tournament_id=tournament.pk)

    assert group.seats.get().entry.player == member
    assert violations() == []


def test_every_code_is_asked_once() -> None:
    codes = [invariant.code for invariant in INVARIANTS]
    assert len(codes) == len(set(codes))
    assert {"I1", "I2", "I3", "I8", "I9", "I10", "I11", "I13", "I14", "I15"} <= set(codes)


def test_of_one_tournament_only_its_own_exceptions_are_told() -> None:
    mine, other = make_tournament(), make_tournament()
    [entry] = wait_in_line(mine)
    with by_force():
        QueueEntry.objects.filter(pk=entry.pk).update(address_hash="x")
    assert found(mine) == {"I13": 1}
    assert found(other) == {}


# --- I1 to I3 -------------------------------------------------------------------------------------------------


def test_i1_more_entries_than_seats() -> None:
    tournament = make_tournament(seats=1)
    held = make_entry(tournament, make_player(), state=State.CONFIRMED)
    [other] = wait_in_line(tournament)
    with by_force(drop_constraint("queueentry_seat_exactly_when_offered_or_confirmed")):
        QueueEntry.objects.filter(pk=other.pk).update(state=State.CONFIRMED, confirmed_at=now())
    sentences = violations(tournament_id=tournament.pk)
    assert f"I1: {tournament.slug}, masters, reserve None: 2 entries hold a seat, and there are 1 seats." in sentences
    assert held.seat is not None


def test_i1_a_held_seat_was_taken_away() -> None:
    tournament = make_tournament(seats=1)
    held = make_entry(tournament, make_player(), state=State.CONFIRMED)
    with by_force():
        Seat.objects.filter(entry=held)._raw_delete("default")
    assert found()["I1"] == 1


def test_i1_a_reserved_seat_of_somebody_else() -> None:
    tournament = make_tournament(seats=1)
    held = make_entry(tournament, make_player(), state=State.CONFIRMED)
    Seat.objects.filter(entry=held).update(reserved_for=make_group(tournament))
    assert found() == {"I1": 1}


def test_i2_a_player_twice_in_the_line() -> None:
    tournament, player = make_tournament(), make_player()
    make_entry(tournament, player)
    run("SET CONSTRAINTS ALL IMMEDIATE", "DROP INDEX queueentry_one_live_per_player")
    make_entry(tournament, player)
    assert found() == {"I2": 1}


def test_i2_a_second_entry_after_the_first_ended_is_fine() -> None:
    tournament, player = make_tournament(), make_player()
    make_entry(tournament, player, state=State.LEFT)
    make_entry(tournament, player)
    assert found() == {}


def test_i3_two_entries_on_one_seat() -> None:
    tournament = make_tournament(seats=2)
    one, two = (make_entry(tournament, make_player(), state=State.CONFIRMED) for _number in range(2))
    run("SET CONSTRAINTS ALL IMMEDIATE", drop_constraint("registrations_queueentry_seat_id_key"))
    QueueEntry.objects.filter(pk=two.pk).update(seat=one.seat)
    assert found() == {"I3": 1}


def test_i3_a_seat_of_another_division() -> None:
    tournament = make_tournament(seats=1, divisions=("masters", "senior"))
    held = make_entry(tournament, make_player(), state=State.CONFIRMED)
    other = Seat.objects.get(division__tournament=tournament, division__code="senior")
    with by_force():
        QueueEntry.objects.filter(pk=held.pk).update(seat=other)
    assert found()["I3"] == 1


@pytest.mark.parametrize("state", [State.WAITING, State.PASSED])
def test_i3_a_seat_of_somebody_who_has_none(state: State) -> None:
    tournament = make_tournament()
    entry = make_entry(tournament, make_player(), state=state)
    run("SET CONSTRAINTS ALL IMMEDIATE", drop_constraint("queueentry_seat_exactly_when_offered_or_confirmed"))
    QueueEntry.objects.filter(pk=entry.pk).update(seat=Seat.objects.free()[0])
    assert found() == {"I3": 1}


# --- I8: the order --------------------------------------------------------------------------------------------


def test_i8_somebody_further_back_was_offered_first() -> None:
    tournament = make_tournament(seats=2)
    first, second = wait_in_line(tournament, 2)
    offer(second)
    offer(first)
    assert found() == {"I8": 1}


def test_i8_somebody_was_left_out_and_waits_still() -> None:
    tournament = make_tournament(seats=2)
    first, second, third = wait_in_line(tournament, 3)
    offer(second)
    assert found() == {"I8": 1}
    [sentence] = violations()
    assert f"entry {first.public_id}" in sentence
    assert second.public_id in sentence
    assert third.public_id not in sentence


def test_i8_somebody_was_left_out_and_went_away() -> None:
    tournament = make_tournament(seats=2)
    first, second = wait_in_line(tournament, 2)
    offer(second)
    services.leave_queue(account=first.player.account, public_id=first.public_id)
    assert found() == {"I8": 1}


def test_i8_within_one_round_of_offers() -> None:
    tournament = make_tournament(seats=2)
    first, second = wait_in_line(tournament, 2)
    one, two = Seat.objects.free()
    offering._offer(tournament, [(second.pk, one.pk), (first.pk, two.pk)], database_now())
    assert found() == {"I8": 1}


def test_i8_a_higher_lane_goes_first() -> None:
    tournament = make_tournament(seats=2)
    group = make_group(tournament, priority=1)
    [general] = wait_in_line(tournament)
    [early] = wait_in_line(tournament, group=group, priority=1)
    offer(general)
    offer(early)
    assert found() == {"I8": 1}


def test_i8_a_member_of_a_group_was_passed_over_for_its_reserve() -> None:
    tournament = make_tournament(seats=1)
    group = make_group(tournament, reserved={"masters": 1})
    [reserved] = group.seats.all()
    _first, second = wait_in_line(tournament, 2, group=group)
    offer(second, reserved)
    assert found() == {"I8": 1}


def test_i8_somebody_stepped_back_in_and_was_overlooked() -> None:
    tournament = make_tournament(seats=3)
    first, second, third = wait_in_line(tournament, 3)
    offer(first)
    QueueEntry.objects.filter(pk=first.pk).update(offer_expires_at=now() - timedelta(seconds=1))
    services.lapse_offers(tournament_id=tournament.pk)
    offer(second)
    services.step_back_in(account=first.player.account, public_id=first.public_id)
    assert found() == {}
    offer(third)
    [sentence] = violations()
    assert f"entry {first.public_id}" in sentence
    assert third.public_id in sentence


def test_i8_a_drawn_place_counts_as_any_other() -> None:
    tournament = make_tournament(mode="FAIR_START", opens_in=timedelta(minutes=-5))
    early, late = wait_in_line(tournament, 2)
    Tournament.objects.filter(pk=tournament.pk).update(drawn_at=now(), entries_sealed_at=now())
    QueueEntry.objects.filter(pk=early.pk).update(place=-1)
    QueueEntry.objects.filter(pk=late.pk).update(place=-2)
    offer(early)
    assert found() == {"I8": 1}


def in_order(tournament: Tournament) -> None:
    first, second = wait_in_line(tournament, 2)
    offer(first)
    offer(second)


def left_before(tournament: Tournament) -> None:
    first, second = wait_in_line(tournament, 2)
    services.leave_queue(account=first.player.account, public_id=first.public_id)
    offer(second)


def came_later(tournament: Tournament) -> None:
    """Of a higher lane, but not there yet when the seat was offered."""
    group = make_group(tournament, priority=1)
    [general] = wait_in_line(tournament)
    offer(general)
    wait_in_line(tournament, group=group, priority=1)


def not_verified(tournament: Tournament) -> None:
    make_entry(tournament, make_player(make_user(verified=False)))
    [second] = wait_in_line(tournament)
    offer(second)


def verified_later(tournament: Tournament) -> None:
    account = make_user(verified=False)
    first = make_entry(tournament, make_player(account), joined_at=now() - timedelta(minutes=5))
    [second] = wait_in_line(tournament)
    offer(second)
    account.email_verified_at = now()
    account.save(update_fields=["email_verified_at"])
    offer(first)


def disputed_then(tournament: Tournament) -> None:
    """The dispute was settled since; only history knows of it."""
    first, second = wait_in_line(tournament, 2)
    Player.objects.filter(pk=first.player_id).update(player_id_state=Player.IdState.DISPUTED)
    offer(second)
    Player.objects.filter(pk=first.player_id).update(player_id_state=Player.IdState.CLAIMED)
    offer(first)


def granted(tournament: Tournament) -> None:
    _first, second = wait_in_line(tournament, 2)
    services.grant_seat(public_id=second.public_id, by=make_staff(), reason="A guest of honour.")


def of_a_reserve(tournament: Tournament) -> None:
    group = make_group(tournament, reserved={"masters": 1})
    wait_in_line(tournament)
    [member] = wait_in_line(tournament, group=group)
    offer(member, group.seats.get())


def regrouped_later(tournament: Tournament) -> None:
    """Who is put into a group now did not belong to it when its reserved seat was offered."""
    group = make_group(tournament, reserved={"masters": 1})
    [first] = wait_in_line(tournament)
    [member] = wait_in_line(tournament, group=group)
    offer(member, group.seats.get())
    QueueEntry.objects.filter(pk=first.pk).update(group=group)


def stepped_back_in(tournament: Tournament) -> None:
    """The second offer comes from an old place, after seats went to those behind it."""
    first, second, third = wait_in_line(tournament, 3)
    offer(first)
    QueueEntry.objects.filter(pk=first.pk).update(offer_expires_at=now() - timedelta(seconds=1))
    services.lapse_offers(tournament_id=tournament.pk)
    offer(second)
    services.step_back_in(account=first.player.account, public_id=first.public_id)
    offer(first)
    offer(third)


def of_another_division(tournament: Tournament) -> None:
    senior = tournament.divisions.get(code="senior")
    wait_in_line(tournament)
    later = make_entry(tournament, make_player(division="senior"), division=senior)
    offer(later)


@pytest.mark.parametrize(
    "story",
    [
        in_order,
        left_before,
        came_later,
        not_verified,
        verified_later,
        disputed_then,
        granted,
        of_a_reserve,
        regrouped_later,
        stepped_back_in,
        of_another_division,
    ],
)
def test_i8_is_content_with(story: Callable[[Tournament], None]) -> None:
    tournament = make_tournament(seats=4, divisions=("masters", "senior"))
    story(tournament)
    assert violations() == []


# --- I9: offers in time ---------------------------------------------------------------------------------------


def test_i9_an_offer_after_the_end() -> None:
    tournament = make_tournament()
    [entry] = wait_in_line(tournament)
    seat = Seat.objects.free()[0]
    offering._offer(tournament, [(entry.pk, seat.pk)], tournament.offers_end_at)
    assert found() == {"I9": 1}


@pytest.mark.django_db(transaction=True)
def test_i9_is_content_when_the_end_was_moved_afterwards() -> None:
    tournament = make_tournament(opens_in=timedelta(hours=-1), lasts=timedelta(minutes=30))
    [entry] = wait_in_line(tournament)
    offer(entry)
    earlier = now() - timedelta(minutes=1)
    Tournament.objects.filter(pk=tournament.pk).update(offers_end_at=earlier)
    assert found() == {}
    [late] = wait_in_line(tournament)
    offer(late)
    assert found() == {"I9": 1}


def hold_too_long(tournament: Tournament) -> None:
    make_entry(
        tournament,
        make_player(),
        state=State.OFFERED,
        offer_expires_at=now() - timedelta(minutes=20),
        hold_until=now() - timedelta(minutes=2),
    )


def test_i9_an_offer_held_too_long() -> None:
    hold_too_long(make_tournament())
    assert found() == {"I9": 1}


def test_i9_nothing_lapses_in_a_pause() -> None:
    hold_too_long(make_tournament(paused_at=now() - timedelta(hours=1)))
    assert found() == {}


def test_i9_nothing_lapses_while_the_payments_are_unwell(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_too_long(make_tournament())
    monkeypatch.setattr("vgchub.health.offer_pace", lambda: 0.0)
    assert found() == {}


# --- I13: history ---------------------------------------------------------------------------------------------


def test_i13_a_change_without_an_event() -> None:
    [entry] = wait_in_line(make_tournament())
    with by_force():
        QueueEntry.objects.filter(pk=entry.pk).update(address_hash="another")
    assert violations() == [f"I13: registrations_queueentry {entry.pk} was changed without an event."]


def test_i13_a_row_without_an_event() -> None:
    tournament = make_tournament()
    with by_force():
        [seat] = make_seats(tournament.divisions.get(), 1)
    assert violations() == [f"I13: tournaments_seat {seat.pk} has no event at all."]


def test_i13_a_row_that_vanished() -> None:
    [entry] = wait_in_line(make_tournament())
    with by_force():
        QueueEntry.objects.filter(pk=entry.pk)._raw_delete("default")
    assert violations() == [f"I13: registrations_queueentry {entry.pk} is gone, without an event."]


def test_i13_is_content_with_a_seat_that_was_taken_away() -> None:
    tournament = make_tournament(seats=2)
    services.set_seats(division_id=tournament.divisions.get().pk, seats=1, by=make_staff(), reason="A table broke.")
    assert found() == {}


def test_i13_events_that_nobody_seals() -> None:
    wait_in_line(make_tournament())
    with by_force():
        run("UPDATE registrations_queueentryevent SET pgh_created_at = pgh_created_at - interval '2 minutes'")
    [sentence] = violations()
    assert sentence.startswith("I13: registrations_queueentryevent: 1 events are not sealed yet, the oldest of ")


def test_i13_a_broken_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks it is tested in test_history.py; here, that it is told."""
    monkeypatch.setattr("reports.history.broken_blocks", lambda **_: iter(["Block 3 is broken."]))
    assert violations() == ["I13: Block 3 is broken."]


# --- I14: mails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [Notice.Kind.OFFERED, Notice.Kind.ENDING, Notice.Kind.CONFIRMED, Notice.Kind.CANCELLED]
)
def test_i14_a_mail_that_nobody_planned(kind: Notice.Kind) -> None:
    [entry] = wait_in_line(make_tournament())
    offer(entry)
    services.confirm_entry(entry_id=entry.pk)
    services.cancel_entry(entry_id=entry.pk)
    assert found() == {}
    Notice.objects.filter(entry=entry, kind=kind).delete()
    assert found() == {"I14": 1}


@pytest.mark.parametrize("kind", [Notice.Kind.PASSED, Notice.Kind.LAPSED, Notice.Kind.CLOSED, Notice.Kind.REJECTED])
def test_i14_a_mail_of_an_end_that_nobody_planned(kind: Notice.Kind) -> None:
    tournament, staff = make_tournament(), make_staff()
    missed, rejected, closed = wait_in_line(tournament, 3)
    for _turn in range(2):
        offer(missed)
        QueueEntry.objects.filter(pk=missed.pk).update(offer_expires_at=now() - timedelta(seconds=1))
        services.lapse_offers(tournament_id=tournament.pk)
        missed.refresh_from_db()
        if missed.state == State.PASSED:
            services.step_back_in(account=missed.player.account, public_id=missed.public_id)
    services.reject_entry(public_id=rejected.public_id, by=staff, reason="Twice in the line.")
    Tournament.objects.filter(pk=tournament.pk).update(closes_at=now(), offers_end_at=now())
    services.close_registration(tournament_id=tournament.pk)
    ids = [missed.pk, rejected.pk, closed.pk]
    states = QueueEntry.objects.filter(pk__in=ids).order_by("pk").values_list("state", flat=True)
    assert list(states) == ["LAPSED", "REJECTED", "CLOSED"]
    assert "I14" not in found()
    Notice.objects.filter(kind=kind).delete()
    assert found()["I14"] == 1


def test_i14_the_capture_failed_and_nobody_says_so() -> None:
    [entry] = wait_in_line(make_tournament())
    offer(entry)
    services.confirm_entry(entry_id=entry.pk)
    services.reopen_offer(entry_id=entry.pk)
    assert found() == {}
    Notice.objects.filter(kind=Notice.Kind.UNSEATED).delete()
    assert found() == {"I14": 1}


@pytest.mark.parametrize("is_over_for", [0, 6])
def test_i14_the_warning_of_an_offer_that_ended_in_a_pause_is_due_from_then_on(is_over_for: int) -> None:
    [entry] = wait_in_line(make_tournament())
    offer(entry)
    Notice.objects.filter(entry=entry, kind=Notice.Kind.ENDING).update(due_at=now() - timedelta(hours=1))
    Notice.objects.exclude(kind=Notice.Kind.ENDING).update(mailed_at=now())
    Tournament.objects.update(paused_at=now() - timedelta(hours=2))
    assert found() == {}
    services.leave_queue(account=entry.player.account, public_id=entry.public_id)
    QueueEntry.objects.filter(pk=entry.pk).update(ended_at=now() - timedelta(minutes=is_over_for))
    assert found() == ({"I14": 1} if is_over_for else {})


def test_i14_leaving_owes_no_mail() -> None:
    [entry] = wait_in_line(make_tournament())
    services.leave_queue(account=entry.player.account, public_id=entry.public_id)
    assert found() == {}


def test_i14_a_mail_that_is_due_and_not_sent() -> None:
    [entry] = wait_in_line(make_tournament())
    offer(entry)
    Notice.objects.filter(kind=Notice.Kind.OFFERED).update(due_at=F("due_at") - timedelta(minutes=6))
    assert found() == {"I14": 1}
    Notice.objects.update(mailed_at=now())
    assert found() == {}


@pytest.mark.parametrize("kind", [Notice.Kind.SEALED, Notice.Kind.LEFT_OUT, Notice.Kind.DRAWN])
def test_i14_a_mail_about_a_draw_that_nobody_planned(kind: Notice.Kind) -> None:
    tournament = draws.to_draw(entries=2)
    make_entry(tournament, make_player(make_user(verified=False)))
    draw = draws.run(draws.seal(draws.open_for(tournament)))
    assert "I14" not in found()
    draw.mailings.update(due_at=F("due_at") - timedelta(hours=4))
    assert found()["I14"] == 3
    while make_notices():
        pass
    Notice.objects.update(due_at=now())
    assert "I14" not in found()
    Notice.objects.filter(kind=kind).delete()
    assert found()["I14"] == 1


def test_i14_a_void_draw_owes_only_the_mail_that_says_so() -> None:
    draw = draws.sealed(entries=1)
    propose_void(draw_id=draw.pk, by=make_staff(), reason="A list came late.")
    void_draw(draw_id=draw.pk, by=make_staff())
    while make_notices():
        pass
    assert set(Notice.objects.values_list("kind", flat=True)) == {Notice.Kind.DRAW_VOID}
    assert "I14" not in found()
    Notice.objects.all().delete()
    assert found()["I14"] == 1


# --- I15 ------------------------------------------------------------------------------------------------------


def test_i15_somebody_came_back_from_an_end() -> None:
    [entry] = wait_in_line(make_tournament())
    services.leave_queue(account=entry.player.account, public_id=entry.public_id)
    with pgtrigger.ignore("registrations.QueueEntry:state_machine", "registrations.QueueEntry:ended_is_over"):
        QueueEntry.objects.filter(pk=entry.pk).update(state=State.WAITING, ended_at=None)
    [sentence] = violations()
    assert sentence.startswith(f"I15: {entry.tournament.slug}: entry {entry.public_id} went from LEFT to WAITING at ")


# --- On a schedule, and by command ----------------------------------------------------------------------------------------------


def test_watch_invariants_logs_what_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    tournament = make_tournament(seats=2)
    first, second = wait_in_line(tournament, 2)
    assert watch_invariants() == 0
    offer(second)
    assert watch_invariants() == 1
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage().startswith(f"Broken invariant I8: {tournament.slug}: entry {first.public_id} ")


def test_the_command_ends_well_when_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    tournament = make_tournament()
    with pytest.raises(SystemExit) as ended:
        call_command("check_invariants", tournament=tournament.slug)
    assert ended.value.code == 0
    assert capsys.readouterr().out.count(" ok ") == len(INVARIANTS)


def test_the_command_names_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    tournament = make_tournament(seats=2)
    _first, second = wait_in_line(tournament, 2)
    offer(second)
    with pytest.raises(SystemExit) as ended:
        call_command("check_invariants")
    assert ended.value.code == 1
    assert second.public_id in capsys.readouterr().out


def test_the_command_knows_the_tournaments() -> None:
    with pytest.raises(CommandError, match="no tournament nowhere"):
        call_command("check_invariants", tournament="nowhere")
