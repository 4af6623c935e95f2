"""Before a place or an offer is given up, a page says what is lost."""

import pytest
from django.test import Client

from registrations.models import QueueEntry
from registrations.rules import State
from tests.builders import Mode, make_entry, make_tournament

pytestmark = pytest.mark.django_db


def page_of(client: Client, entry: QueueEntry) -> str:
    client.force_login(entry.player.account)
    answer = client.get(f"/e/{entry.public_id}/leave/")
    assert answer.status_code == 200
    entry.refresh_from_db()
    return " ".join(answer.content.decode().split())


def test_a_place_in_line_is_named(client: Client) -> None:
    tournament = make_tournament()
    make_entry(tournament)
    second = make_entry(tournament)
    page = page_of(client, second)
    assert f"Take {second.player.display_name} out of the line?" in page
    assert "Your place, 2nd in line for Masters, is given up." in page
    assert second.state == State.WAITING  # looking is not leaving


def test_an_offer_is_named_with_its_seat_and_how_long_it_stays(client: Client) -> None:
    entry = make_entry(make_tournament(), state=State.OFFERED)
    page = page_of(client, entry)
    assert f"Decline the seat of {entry.player.display_name}?" in page
    assert entry.seat is not None
    assert f"Masters, seat {entry.seat.number}, goes to the next in line" in page
    assert "If you do nothing, the seat stays yours until" in page
    assert entry.state == State.OFFERED


@pytest.mark.parametrize("mode", [Mode.LOTTERY, Mode.FAIR_START])
def test_before_a_draw_nothing_is_lost_for_good(client: Client, mode: Mode) -> None:
    page = page_of(client, make_entry(make_tournament(mode=mode)))
    assert "out of the draw?" in page
    assert "you can come back, with the same chance" in page
    assert "undone" not in page


def test_who_missed_an_offer_reads_of_stepping_back_in(client: Client) -> None:
    page = page_of(client, make_entry(make_tournament(), state=State.PASSED))
    assert "You can't step back in then" in page


def test_the_button_leaves(client: Client) -> None:
    entry = make_entry(make_tournament())
    page_of(client, entry)
    answer = client.post(f"/e/{entry.public_id}/leave/")
    assert answer.headers["Location"] == f"/t/{entry.tournament.slug}/queue/"
    entry.refresh_from_db()
    assert entry.state == State.LEFT


@pytest.mark.parametrize(
    ("state", "leads_to"),
    [(State.CONFIRMED, "/e/{entry}/cancel/"), (State.LEFT, "/t/{slug}/queue/"), (State.CLOSED, "/t/{slug}/queue/")],
)
def test_who_can_not_leave_is_led_on(client: Client, state: State, leads_to: str) -> None:
    entry = make_entry(make_tournament(), state=state)
    client.force_login(entry.player.account)
    answer = client.get(f"/e/{entry.public_id}/leave/")
    assert answer.headers["Location"] == leads_to.format(entry=entry.public_id, slug=entry.tournament.slug)
