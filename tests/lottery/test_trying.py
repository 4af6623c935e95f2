"""An organizer tries rules before entries open: what would the chances be? Nothing is saved."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from lottery.forms import TrialForm
from lottery.odds import Odds, odds
from tests.admin.browsing import untouched
from tests.builders import make_group, make_organization, make_organizer, make_player, make_tournament
from tournaments.admin.trying import seats_by_kind
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db


def planned(**fields: Any) -> Tournament:
    fields = {"mode": "LOTTERY", "seats": 40, "opens_in": timedelta(days=3), **fields}
    return make_tournament(**fields)


def organizer_of(tournament: Tournament) -> Client:
    client = Client()
    client.force_login(make_organizer(tournament.organization))
    return client


def page_of(tournament: Tournament) -> str:
    return reverse("admin:tournaments_tournament_try_rules", args=[tournament.pk])


Told = list[tuple[str | None, int, int, float]]


def told(found: Odds) -> Told:
    """Group, tickets, entries and chance of every row; to a millionth, since sums depend on their order."""
    return [(row.group, row.tickets, row.count, round(row.chance, 6)) for row in found.rows]


def table(answer: Any) -> Told:
    """The same of all divisions on a page."""
    return [row for _division, found in answer.context["found"] for row in told(found)]


def test_the_page_begins_with_what_there_is_and_ten_players_a_seat() -> None:
    tournament = planned()
    make_group(tournament, "Champions", members=(make_player(), make_player()), tickets=3)
    make_group(tournament, "Locals", reserved={"masters": 10})

    answer = organizer_of(tournament).get(page_of(tournament))

    exact = odds(40, {"Locals": 10}, {(None, 1): 478, ("Champions", 3): 2, ("Locals", 1): 20}, releases_reserved=True)
    assert table(answer) == told(exact)


def test_what_is_typed_is_tried_and_nothing_is_saved() -> None:
    tournament = planned()
    group = make_group(tournament, "Champions", members=(make_player(),))
    alice = organizer_of(tournament)
    sent = untouched(alice.get(page_of(tournament)).content.decode())
    typed = {
        "players_masters_all": "100",
        f"players_masters_{group.pk}": "5",
        "seats_masters_all": "10",
        f"seats_masters_{group.pk}": "2",
        f"tickets_{group.pk}": "4",
    }
    before = Tournament.objects.values().get(), seats_by_kind(tournament)

    answer = alice.get(page_of(tournament), {**sent, **typed})

    exact = odds(10, {"Champions": 2}, {(None, 1): 100, ("Champions", 4): 5}, releases_reserved=True)
    assert table(answer) == told(exact)
    assert (Tournament.objects.values().get(), seats_by_kind(tournament)) == before
    group.refresh_from_db()
    assert group.tickets == 1


def test_opening_reserved_seats_can_be_tried() -> None:
    tournament = planned()
    group = make_group(tournament, "Champions")
    typed = {"players_masters_all": "100", f"seats_masters_{group.pk}": "20", f"tickets_{group.pk}": "1"}
    alice = organizer_of(tournament)

    kept = alice.get(page_of(tournament), typed)
    opened = alice.get(page_of(tournament), {**typed, "releases_reserved": "on"})

    assert table(kept) == [(None, 1, 100, 0.0)]
    assert table(opened) == [(None, 1, 100, 0.2)]


def test_what_is_wrong_is_said_beside_it_and_what_was_typed_stays() -> None:
    tournament = planned()
    group = make_group(tournament, "Champions")
    typed = {"players_masters_all": "many", "seats_masters_all": "-3", f"tickets_{group.pk}": "65"}

    answer = organizer_of(tournament).get(page_of(tournament), typed)

    form = answer.context["form"]
    assert set(form.errors) == set(typed)
    assert answer.context["found"] == []
    page = answer.content.decode()
    assert {name: untouched(page)[name] for name in typed} == typed
    assert "Enter a whole number." in page


def test_with_many_reserves_the_chances_are_played_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lottery.odds.MOST_RESERVES", 0)
    tournament = planned()
    make_group(tournament, "Locals", reserved={"masters": 10})

    page = organizer_of(tournament).get(page_of(tournament)).content.decode()

    assert "draws that were played" in page


def test_a_division_without_players_has_no_chances() -> None:
    tournament = planned(divisions=("masters", "junior"))
    form = TrialForm({"players_masters_all": "5"}, tournament=tournament, seats=seats_by_kind(tournament))
    assert form.is_valid()
    assert [(division.code, found.entrants) for division, found in form.odds()] == [("masters", 5)]


def test_only_own_organizers_try_rules() -> None:
    tournament = planned()
    stranger, player = Client(), Client()
    stranger.force_login(make_organizer(make_organization()))
    player.force_login(make_player().account)

    assert [client.get(page_of(tournament)).status_code for client in (stranger, player)] == [404, 403]


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ({"published": False}, True),
        ({}, True),
        ({"mode": "FAIR_START"}, True),
        ({"mode": "FIRST_COME"}, False),
        ({"opens_in": timedelta(hours=-1)}, False),
    ],
)
def test_rules_are_tried_before_entries_open(fields: dict[str, Any], offered: bool) -> None:
    tournament = planned(**fields)
    page = organizer_of(tournament).get(reverse("admin:tournaments_tournament_change", args=[tournament.pk]))
    titles = [str(entry["title"]) for entry in page.context["actions_detail"]]
    assert ("Try the rules" in titles) is offered
