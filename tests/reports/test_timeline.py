"""What happened to an entry reads as one story, newest first."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pytest_django import DjangoAssertNumQueries

from payments.models import Payment, Refund
from registrations import services
from registrations.models import Heartbeat, QueueEntry
from registrations.rules import State
from reports.queries import place_at_the_end, staff_timeline, timeline
from reports.sentences import STEPS
from tests.builders import make_group, make_player, make_staff, make_tournament, now
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
    return words.day_and_time(entry.offer_expires_at.replace(microsecond=0), ZoneInfo("UTC"), now=now())


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
    make_group(tournament, "Champions", members=(entry.player,))
    services.regroup_entries(tournament_id=tournament.pk)
    QueueEntry.objects.filter(pk=entry.pk).update(place=-3)
    assert told(entry) == [
        "The order was drawn, and this entry has its place in line.",
        "Counts in the group Champions now.",
        "Entered for Masters. The order is drawn later.",
    ]


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
    assert staff_timeline(entry)[-1].source == "the site itself"
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
