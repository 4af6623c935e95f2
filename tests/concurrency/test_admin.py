"""Organizers who press twice, and two who save at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from accounts.models import User
from registrations.rules import State
from tests.admin.browsing import untouched
from tests.builders import make_entry, make_organization, make_organizer, make_tournament
from tournaments.models import Tournament
from vgchub import admin_asking

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice() -> User:
    return make_organizer(make_organization("Ours"))


def signed_in(account: User) -> Client:
    client = Client()
    client.force_login(account)
    return client


def send_at_once(account: User, there: str, pages: list[dict[str, str]]) -> list[int]:
    """Status codes of all pages, sent each from a thread of its own."""

    def send(page: dict[str, str]) -> int:
        try:
            return signed_in(account).post(there, page).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(pages)) as threads:
        return list(threads.map(send, pages))


def test_a_page_sent_five_times_at_once_acts_once(alice: User) -> None:
    tournament = make_tournament(organization=alice.memberships.get().organization)
    entry = make_entry(tournament, state=State.OFFERED)
    before = entry.offer_expires_at
    assert before is not None
    there = reverse("admin:tournaments_tournament_extend", args=[tournament.pk])
    page = untouched(signed_in(alice).get(there).content.decode())

    codes = send_at_once(alice, there, [{**page, "minutes": "15", "reason": "mail was slow"}] * 5)

    entry.refresh_from_db()
    assert codes == [302] * 5
    assert entry.offer_expires_at == before + timedelta(minutes=15)


def test_without_remembering_each_sending_acts(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test above."""
    monkeypatch.setattr(admin_asking, "_done_before", lambda _row, _once: False)
    tournament = make_tournament(organization=alice.memberships.get().organization)
    entry = make_entry(tournament, state=State.OFFERED)
    before = entry.offer_expires_at
    assert before is not None
    there = reverse("admin:tournaments_tournament_extend", args=[tournament.pk])
    page = untouched(signed_in(alice).get(there).content.decode())

    send_at_once(alice, there, [{**page, "minutes": "15", "reason": "mail was slow"}] * 3)

    entry.refresh_from_db()
    assert entry.offer_expires_at == before + timedelta(minutes=45)


def test_two_who_save_at_once_keep_each_others_fields(alice: User) -> None:
    tournament = make_tournament(
        organization=alice.memberships.get().organization, opens_in=timedelta(days=3), divisions=("masters", "senior")
    )
    there = reverse("admin:tournaments_tournament_change", args=[tournament.pk])
    page = untouched(signed_in(alice).get(there).content.decode())
    typed = {"city": "Essen", "venue": "Hall 9", "format": "Singles", "game": "VGC", "emergency_contact": "112"}

    codes = send_at_once(alice, there, [{**page, name: value} for name, value in typed.items()])

    saved = Tournament.objects.get(pk=tournament.pk)
    assert codes == [302] * 5
    assert {name: getattr(saved, name) for name in typed} == typed
