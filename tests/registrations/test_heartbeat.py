"""An outage costs nobody the time of an offer."""

from datetime import timedelta

import pytest

from registrations.clock import Clock
from registrations.models import Heartbeat, QueueEntry
from registrations.rules import State
from registrations.services import beat, pause_tournament
from tests.builders import make_entry, make_staff, make_tournament
from tournaments.queries import database_now

pytestmark = pytest.mark.django_db

OUTAGE = timedelta(minutes=20)


def silence(entry: QueueEntry) -> None:
    """As if the site had gone away in the middle of the offer, and the offer had run out meanwhile."""
    now = database_now()
    Heartbeat.objects.update_or_create(id=1, defaults={"beat_at": now - OUTAGE})
    QueueEntry.objects.filter(pk=entry.pk).update(
        offered_at=now - OUTAGE - timedelta(minutes=4),
        offer_expires_at=now - OUTAGE + timedelta(minutes=6),
        hold_until=now - OUTAGE + timedelta(minutes=26),
    )


def test_open_offers_last_as_much_longer_as_no_clock_ticked() -> None:
    entry = make_entry(make_tournament(), state=State.OFFERED)
    silence(entry)
    Clock().tick()
    entry.refresh_from_db()
    assert entry.state == State.OFFERED
    assert entry.offer_expires_at is not None
    assert timedelta(minutes=5) < entry.offer_expires_at - database_now() <= timedelta(minutes=6)


def test_without_the_heartbeat_the_offer_would_have_lapsed() -> None:
    entry = make_entry(make_tournament(), state=State.OFFERED)
    silence(entry)
    Heartbeat.objects.update(beat_at=database_now())
    Clock().tick()
    entry.refresh_from_db()
    assert entry.state == State.PASSED


def test_a_short_restart_changes_no_deadline() -> None:
    entry = make_entry(make_tournament(), state=State.OFFERED)
    Heartbeat.objects.create(beat_at=database_now() - timedelta(seconds=20))
    assert beat() == timedelta()
    before = entry.offer_expires_at
    entry.refresh_from_db()
    assert entry.offer_expires_at == before


def test_a_paused_tournament_gets_its_time_when_it_is_resumed_and_not_twice() -> None:
    tournament = make_tournament()
    entry = make_entry(tournament, state=State.OFFERED)
    pause_tournament(tournament_id=tournament.pk, by=make_staff())
    Heartbeat.objects.create(beat_at=database_now() - OUTAGE)
    before = entry.offer_expires_at
    assert beat() >= OUTAGE
    entry.refresh_from_db()
    assert entry.offer_expires_at == before


def test_the_first_beat_of_all_finds_no_silence() -> None:
    assert beat() == timedelta()
    assert Heartbeat.objects.count() == 1
