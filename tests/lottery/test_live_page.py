"""What an entrant reads on the live page before, at and after a draw."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from lottery.odds import chance
from registrations.models import QueueEntry
from tests.builders import Mode, make_entry, make_group, make_player, make_user
from tests.lottery.draws import open_for, run, seal, to_draw
from tests.tournaments.test_pages import text_of
from tournaments.models import Tournament
from vgchub.words import percent

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def page_of(entry: QueueEntry) -> str:
    """The live page as the entry's own account reads it."""
    client = Client()
    client.force_login(entry.player.account)
    return text_of(client, reverse("queue", args=[entry.tournament.slug]))


def test_who_waits_for_a_lottery_reads_tickets_times_and_the_chance() -> None:
    tournament = to_draw(entries=6, seats=2, opens_in=-DAY)
    entry = make_entry(tournament, group=make_group(tournament, tickets=2))
    open_for(tournament)
    page = page_of(entry)
    assert "You have 2 tickets for Masters. Entries close " in page
    assert f"; the draw follows. Chance of a seat right now: {percent(chance(2, 2, {1: 6}))}." in page


def test_the_time_for_corrections_is_told_apart_from_the_close() -> None:
    tournament = to_draw(entries=1, opens_in=-DAY)
    Tournament.objects.filter(pk=tournament.pk).update(seals_at=tournament.closes_at + timedelta(hours=1))
    assert "; the draw is after " in page_of(tournament.entries.select_related("player__account", "tournament").get())


def test_who_waits_for_a_fair_start_reads_that_coming_early_is_no_advantage() -> None:
    tournament = to_draw(Mode.FAIR_START, entries=3, seats=1, opens_in=timedelta(minutes=5))
    entry = make_entry(tournament)
    open_for(tournament)
    page = page_of(entry)
    assert "coming earlier gives no advantage. Chance of a seat right now: 25%." in page
    Tournament.objects.filter(pk=tournament.pk).update(draw_opened_at=None)
    Tournament.objects.filter(pk=tournament.pk).update(opens_at=tournament.opens_at - timedelta(minutes=10))
    assert "is being drawn" in page_of(entry)


def test_sealed_entries_are_drawn_next_and_keep_their_chance() -> None:
    tournament = to_draw(entries=3, seats=1, entropy="DRAND")
    entry = make_entry(tournament)
    seal(open_for(tournament))
    page = page_of(entry)
    assert "You have 1 ticket for Masters. Entries are sealed; the order of all is drawn next." in page
    assert "Chance of a seat right now: 25%." in page


def test_who_is_left_out_reads_why_and_no_chance() -> None:
    tournament = to_draw(entries=1, entropy="DRAND")
    entry = make_entry(tournament, make_player(make_user(verified=False)))
    seal(open_for(tournament))
    page = page_of(entry)
    assert "Your entry is not in the draw, because your e-mail address was not proved in time." in page
    assert "Chance of a seat" not in page


def test_between_draw_and_offers_the_place_drawn_is_told() -> None:
    tournament = to_draw(entries=3, seats=2, objection_minutes=30)
    entry = make_entry(tournament)
    draw = run(seal(open_for(tournament)))
    place = draw.entries.get(entry=entry).division_rank
    page = page_of(entry)
    assert f"You drew place {place} for 2 Masters seats. Offers start " in page
    assert "until then the draw can be questioned." in page
    assert f"data-position>{place}<" in page
    assert 'data-until="20' in page


def test_once_offers_go_out_the_line_is_told() -> None:
    tournament = to_draw(entries=3, seats=2)
    entry = make_entry(tournament)
    run(seal(open_for(tournament)))
    page = page_of(entry)
    assert "in line for Masters." in page
    assert 'data-until=""' in page


@pytest.mark.parametrize("players", [1, 3])
def test_the_page_costs_the_same_queries_for_one_and_for_three_players(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries, players: int
) -> None:
    tournament = to_draw(entries=2, opens_in=-DAY)
    account = make_user()
    for _ in range(players):
        make_entry(tournament, make_player(account))
    open_for(tournament)
    client.force_login(account)
    url = reverse("queue", args=[tournament.slug])
    client.get(url)
    with django_assert_num_queries(7):
        client.get(url)
