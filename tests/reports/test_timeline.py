"""What happened to an entry reads as one story, newest first."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pytest_django import DjangoAssertNumQueries

from lottery import services as lottery
from lottery.models import Draw
from payments.models import Payment, Refund
from registrations import services
from registrations.models import Heartbeat, QueueEntry
from registrations.rules import State
from reports.queries import place_at_the_end, staff_timeline, timeline
from reports.sentences import DRAW_STEPS, STEPS
from tests.builders import make_entry, make_group, make_player, make_staff, make_tournament, make_user, now
from tests.lottery.draws import open_for, run, seal, to_draw
from tournaments.models import Tournament
from vgchub import words

# Each change in a transaction of its own, as it is on the site: they are told by their times.
pytestmark = pytest.mark.django_db(transaction=True)


def join(tournament: Tournament, count: int = 1) -> list[QueueEntry]:
    entries = []
    for _number in range(count):
        player = make_player()
        entries += services.join_queue(account=player.account, tournament=tournament, player_ids=[player.pk])
    return entries


def told(entry: QueueEntry) -> list[str]:
    entry.refresh_from_db()
    return [f"{moment.text} {moment.why}".strip() for moment in timeline(entry)]


def miss(entry: QueueEntry) -> None:
    QueueEntry.objects.filter(pk=entry.pk).update(offer_expires_at=now() - timedelta(seconds=1))
    services.lapse_offers(tournament_id=entry.tournament_id)


def clock(entry: QueueEntry) -> str:
    """How the end of an offer reads."""
    entry.refresh_from_db()
    assert entry.offer_expires_at is not None
    return words.moment(entry.offer_expires_at.replace(microsecond=0), ZoneInfo("UTC"), now=now())


def in_utc(**fields: Any) -> Tournament:
    return make_tournament(time_zone="UTC", **fields)


def test_from_joining_to_a_seat() -> None:
    tournament = in_utc(seats=1)
    [entry] = join(tournament)
    services.offer_seats(tournament_id=tournament.pk)
    until = clock(entry)
    services.take_up_offer(account=entry.player.account, public_id=entry.public_id)
    assert told(entry) == [
        "Masters, seat 1 was confirmed.",
        f"Masters, seat 1 was offered, until {until}.",
        "Joined the line for Masters.",
    ]
    assert [moment.kind for moment in timeline(entry)] == ["confirmed", "offered", "waiting"]
    times = [moment.at for moment in timeline(entry)]
    assert times == sorted(times, reverse=True)


def test_two_missed_offers() -> None:
    tournament = in_utc(seats=1)
    [entry] = join(tournament)
    services.offer_seats(tournament_id=tournament.pk)
    miss(entry)
    services.step_back_in(account=entry.player.account, public_id=entry.public_id)
    services.offer_seats(tournament_id=tournament.pk)
    miss(entry)
    story = told(entry)
    assert story[0] == "The second offer, of Masters, seat 1, ran out. After two missed offers an entry is over."
    assert "Stepped back in, to the old place in line." in story
    assert (
        "The offer of Masters, seat 1 ran out. Nobody took it up in time. One may step back in once, to the old place."
        in story
    )


def test_declining_and_leaving_are_told_apart() -> None:
    tournament = in_utc(seats=1)
    first, second = join(tournament, 2)
    services.offer_seats(tournament_id=tournament.pk)
    for entry in (first, second):
        services.leave_queue(account=entry.player.account, public_id=entry.public_id)
    assert told(first)[0] == "The offer of Masters, seat 1 was declined."
    assert told(second)[0] == "Left the line."


def test_what_staff_did_comes_with_its_reason() -> None:
    staff, tournament = make_staff(), in_utc(seats=3)
    granted, rejected, waived = join(tournament, 3)
    services.grant_seat(public_id=granted.public_id, by=staff, reason="Last year's winner.")
    services.reject_entry(public_id=rejected.public_id, by=staff, reason="Twice in the line.")
    services.waive_fee(public_id=waived.public_id, by=staff, reason="A judge.")
    services.extend_offers(tournament_id=tournament.pk, minutes=5, by=staff, reason="The site was slow.")
    later = clock(granted)
    assert told(granted)[0] == f"The offer now lasts until {later}. The site was slow."
    assert told(granted)[1].endswith("Granted out of order: Last year's winner.")
    assert told(rejected)[0] == "Staff took this entry out. Twice in the line."
    assert told(waived)[0] == "The fee was waived. A judge."


def test_a_pause_is_told_to_those_who_were_there() -> None:
    staff, tournament = make_staff(), in_utc(seats=1)
    [before] = join(tournament)
    services.offer_seats(tournament_id=tournament.pk)
    services.pause_tournament(tournament_id=tournament.pk, by=staff, reason="A power cut.")
    services.resume_tournament(tournament_id=tournament.pk, by=staff)
    [after] = join(tournament)
    story = told(before)
    assert "Offers were paused; every place is kept. A power cut." in story
    assert "Offers go on." in story
    assert any(sentence.startswith("After the pause the offer lasts until ") for sentence in story)
    assert told(after) == ["Joined the line for Masters."]


def test_time_that_the_site_was_away_is_given_back_in_words() -> None:
    tournament = in_utc(seats=1)
    [entry] = join(tournament)
    services.offer_seats(tournament_id=tournament.pk)
    Heartbeat.objects.create(beat_at=now() - timedelta(minutes=5))
    services.beat()
    until = clock(entry)
    assert told(entry)[0] == f"The site was away for a while; in return the offer lasts until {until}."


def test_groups_and_the_draw() -> None:
    tournament = make_tournament(mode="FAIR_START", opens_in=timedelta(minutes=30), time_zone="UTC")
    [entry] = join(tournament)
    make_group(tournament, "Champions", members=(entry.player,), tickets=2)
    services.regroup_entries(tournament_id=tournament.pk)
    Tournament.objects.filter(pk=tournament.pk).update(opens_at=now())
    draw = run(seal(open_for(tournament)))
    assert told(entry) == [
        "Drawn 1st for 4 Masters seats.",
        f"Entries were sealed: this one is in the draw with 2 tickets. SHA-256 of the list of entries: {draw.manifest_sha256}",
        "Counts in the group Champions now.",
        "Entered for Masters. The order is drawn later.",
    ]


def test_a_draw_is_told_from_sealing_to_the_place_with_a_link_to_its_page() -> None:
    tournament = to_draw(entries=2, seats=2, divisions=("masters", "senior"))
    entry = make_entry(tournament, make_player(division="senior"), division=tournament.divisions.get(code="senior"))
    draw = run(seal(open_for(tournament)))
    rank = words.ordinal(draw.entries.get(entry=entry).rank or 0)
    assert told(entry)[:2] == [
        f"Drawn 1st for 2 Seniors seats. Over all divisions it is {rank} of 3.",
        f"Entries were sealed: this one is in the draw with 1 ticket. SHA-256 of the list of entries: {draw.manifest_sha256}",
    ]
    assert [moment.link for moment in timeline(entry)][:3] == [draw.get_absolute_url()] * 2 + [""]
    assert not [moment for moment in staff_timeline(entry) if "secret" in moment.text]


def test_who_was_left_out_reads_why() -> None:
    tournament = to_draw(entries=1)
    entry = make_entry(tournament, make_player(make_user(verified=False)))
    run(seal(open_for(tournament)))
    why = "the e-mail address was not proved in time"
    assert told(entry)[:2] == [
        "The order was drawn; this entry stands behind it, in order of arrival.",
        f"This entry was left out of the draw: {why}. It stands behind all who are drawn, in order of arrival.",
    ]


def test_a_void_draw_is_told_with_its_reason_and_so_is_the_one_that_follows() -> None:
    tournament = to_draw(entries=1, objection_minutes=30)
    entry = tournament.entries.get()
    draw = run(seal(open_for(tournament)))
    lottery.propose_void(draw_id=draw.pk, by=make_staff("dora@example.org"), reason="An entry was missing.")
    again = lottery.void_draw(draw_id=draw.pk, by=make_staff("emil@example.org"))
    lottery.begin_sealing(draw_id=again.pk, by=make_staff())
    run(seal(again))
    story = told(entry)
    assert story[2] == "This draw was declared void, and a new one follows. An entry was missing."
    assert [sentence.split()[0] for sentence in story[:5]] == ["Drawn", "Entries", "This", "Drawn", "Entries"]
    [void] = [moment for moment in staff_timeline(entry) if moment.text.startswith("This draw was declared void")]
    assert void.source == "emil@example.org, void_draw"
    assert "example.org" not in " ".join(story)


def test_a_seat_that_was_released_is_told_as_such() -> None:
    tournament = to_draw(entries=1, seats=0, time_zone="UTC")
    make_group(tournament, "Champions", reserved={"masters": 1})
    run(seal(open_for(tournament)))
    services.offer_seats(tournament_id=tournament.pk)
    entry = tournament.entries.get()
    assert told(entry)[0] == (
        f"Masters, seat 1 was offered, until {clock(entry)}. "
        "It had been reserved for a group, of which nobody was left to take it."
    )


def test_the_end_says_where_one_stood() -> None:
    tournament = in_utc(seats=1)
    first, second, third = join(tournament, 3)
    services.offer_seats(tournament_id=tournament.pk)
    services.take_up_offer(account=first.player.account, public_id=first.public_id)
    Tournament.objects.filter(pk=tournament.pk).update(closes_at=now(), offers_end_at=now())
    services.close_registration(tournament_id=tournament.pk)
    assert told(third)[0] == "Registration ended. This entry was 2nd in line for Masters, and no seat came down to it."
    second.refresh_from_db()
    assert place_at_the_end(second) == 1
    first.refresh_from_db()
    assert place_at_the_end(first) is None


def test_a_missed_offer_before_the_end_has_no_place_in_line() -> None:
    tournament = in_utc(seats=1)
    missed, behind = join(tournament, 2)
    services.offer_seats(tournament_id=tournament.pk)
    miss(missed)
    Tournament.objects.filter(pk=tournament.pk).update(closes_at=now(), offers_end_at=now())
    services.close_registration(tournament_id=tournament.pk)
    missed.refresh_from_db()
    behind.refresh_from_db()
    assert (place_at_the_end(missed), place_at_the_end(behind)) == (None, 1)
    assert told(missed)[0] == "Registration ended."


def test_money_is_told_from_the_attempt_to_the_refund() -> None:
    tournament = in_utc(seats=1, fee_minor=2500, currency="eur")
    [entry] = join(tournament)
    services.offer_seats(tournament_id=tournament.pk)
    services.take_up_offer(account=entry.player.account, public_id=entry.public_id)
    payment = Payment.objects.create(
        entry=entry, amount_minor=2500, currency="eur", session_expires_at=now(), created_at=now(), due_at=now()
    )
    change = Payment.objects.filter(pk=payment.pk)
    change.update(failure_code="card_declined", failure_message="The card was declined.")
    change.update(state="AUTHORISED", intent="pi_1", authorised_at=now(), failure_code="", failure_message="")
    services.confirm_entry(entry_id=entry.pk, paid=True)
    change.update(state="CAPTURED", captured_at=now(), due_at=None)
    services.cancel_entry(entry_id=entry.pk, reason="Cancelled by the player.")
    change.update(released_at=now(), release_reason="Cancelled by the player.")
    refund = Refund.objects.create(
        payment=payment, amount_minor=2500, reason="Cancelled by the player.", created_at=now(), due_at=now()
    )
    Refund.objects.filter(pk=refund.pk).update(state="SUCCEEDED", stripe_id="re_1", ended_at=now(), due_at=None)

    story = told(entry)
    assert story[:6] == [
        "€25.00 was refunded.",
        "€25.00 goes back. Cancelled by the player.",
        "Masters, seat 1 was given back. Cancelled by the player.",
        "€25.00 was paid.",
        "Masters, seat 1 was confirmed.",
        "€25.00 was authorised: the bank holds it, nothing is taken yet.",
    ]
    assert story[6] == "A payment of €25.00 was refused. The card was declined."
    assert story[7].startswith("Payment was begun; the offer lasts until ")


def test_a_capture_that_failed_keeps_the_seat() -> None:
    tournament = in_utc(seats=1)
    [entry] = join(tournament)
    services.offer_seats(tournament_id=tournament.pk)
    services.confirm_entry(entry_id=entry.pk)
    services.reopen_offer(entry_id=entry.pk)
    assert told(entry)[0].startswith("The money could not be taken. Masters, seat 1 is kept, to be paid again until ")


def test_every_state_has_its_sentence() -> None:
    assert set(STEPS) == set(State)


def test_the_seat_keeps_its_number_after_it_was_taken_away() -> None:
    staff, tournament = make_staff(), in_utc(seats=1)
    [entry] = join(tournament)
    services.offer_seats(tournament_id=tournament.pk)
    services.leave_queue(account=entry.player.account, public_id=entry.public_id)
    services.set_seats(division_id=entry.division_id, seats=0, by=staff, reason="A table broke.")
    assert told(entry)[0] == "The offer of Masters, seat 1 was declined."


def test_staff_see_who_did_it_and_through_what() -> None:
    staff, tournament = make_staff("desk@example.org"), in_utc(seats=1)
    [entry] = join(tournament)
    services.grant_seat(public_id=entry.public_id, by=staff, reason="Last year's winner.")
    entry.refresh_from_db()
    newest = staff_timeline(entry)[0]
    assert newest.source == "desk@example.org, grant_seat"
    assert staff_timeline(entry)[-1].source == "join_queue"
    assert all(moment.source == "" for moment in timeline(entry))


def test_the_players_timeline_names_no_account() -> None:
    staff, tournament = make_staff("desk@example.org"), in_utc(seats=1)
    [entry] = join(tournament)
    services.reject_entry(public_id=entry.public_id, by=staff, reason="Twice in the line.")
    assert "desk@example.org" not in " ".join(told(entry))


def test_the_number_of_queries_does_not_grow_with_the_story(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    tournament = in_utc(seats=1)
    [entry] = join(tournament)
    services.offer_seats(tournament_id=tournament.pk)
    for _time in range(3):
        services.extend_offers(tournament_id=tournament.pk, minutes=1, by=make_staff(), reason="The site was slow.")
    entry = QueueEntry.objects.select_related("tournament", "division").get(pk=entry.pk)
    with django_assert_max_num_queries(7):
        assert len(timeline(entry)) == 5


def test_a_drawn_entrys_story_takes_few_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    tournament = to_draw(entries=3)
    run(seal(open_for(tournament)))
    entry = QueueEntry.objects.select_related("tournament", "division").filter(tournament=tournament).first()
    assert entry is not None
    with django_assert_num_queries(9):
        assert len(timeline(entry)) == 3


def test_every_step_of_a_draw_has_its_sentence() -> None:
    assert set(DRAW_STEPS) == set(Draw.State) - {Draw.State.OPEN}
