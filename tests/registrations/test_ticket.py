"""The ticket's page."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from registrations.models import QueueEntry
from registrations.rules import State
from tests.builders import make_entry, make_tournament

pytestmark = pytest.mark.django_db


def open_ticket(entry: QueueEntry) -> tuple[int, str]:
    client = Client()
    client.force_login(entry.player.account)
    response = client.get(reverse("ticket", args=[entry.public_id]))
    return response.status_code, " ".join(response.content.decode().split())


def test_a_ticket_says_when_by_the_venues_clock() -> None:
    starts_at = datetime(2099, 5, 2, 8, 0, tzinfo=UTC)
    tournament = make_tournament(
        time_zone="Europe/Berlin", starts_at=starts_at, ends_at=starts_at + timedelta(hours=10)
    )
    status, page = open_ticket(make_entry(tournament, state=State.CONFIRMED))
    assert status == 200
    assert "Saturday 2 May 2099 at 10:00" in page
    assert "(Berlin time)" in page


def test_a_seat_that_was_given_back_has_no_ticket_and_the_page_leads_to_the_entry() -> None:
    entry = make_entry(make_tournament(), state=State.CANCELLED)
    status, page = open_ticket(entry)
    assert status == 409
    assert "There is no ticket, because this entry has no confirmed seat." in page
    assert f'href="{entry.get_absolute_url()}"' in page
