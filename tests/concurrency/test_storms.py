"""Every race of the queue by real processes, which begin at the same moment and hesitate between their statements.

Each race tells whether anything broke. It never does, at night in as many tries; with its guard taken away (conftest.py) it does,
within fifty.
"""

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.urls import reverse
from hypothesis import settings as hypothesis_settings
from post_office.models import Email

from accounts.models import Player
from lottery.models import Draw
from registrations import clock, services
from registrations.models import Heartbeat, Notice, QueueEntry
from registrations.rules import State
from reports.invariants import violations
from tests.admin.browsing import untouched
from tests.builders import (
    Mode,
    make_entry,
    make_organization,
    make_organizer,
    make_player,
    make_staff,
    make_tournament,
    now,
)
from tests.processes import Raised, processes_at_once
from tests.registrations.test_publisher import Listener
from tournaments.models import Tournament
from vgchub.celery import app

logger = logging.getLogger(__name__)
ROUNDS, TRIES = 8, 50
LEAD = timedelta(seconds=2)  # until something is over: time enough to fork everybody
INSTANT = 0.02
JOINS = 8
OUTAGE, MINUTE = timedelta(minutes=20), timedelta(minutes=1)

Act = Callable[[], object]


def broke(tournament: Tournament, outcomes: list[object]) -> bool:
    """Whether somebody met an error that is no refusal, or an invariant of the tournament doesn't hold."""
    failed = [outcome for outcome in outcomes if isinstance(outcome, Raised) and not outcome.refused]
    # Nobody seals history here (I13): after a minute of tries that would be the fault that is found.
    found = [one for one in violations(tournament_id=tournament.pk) if not one.startswith("I13")]
    if failed or found:
        logger.info("Broken: %s", [*failed, *found])  # shown when a test fails
    return bool(failed or found)


def joins(tournament: Tournament, *players: Player, hold: float = 3 * INSTANT) -> Callable[[], list[str]]:
    """One after the other; each is committed at most `hold` seconds after the INSERT."""

    def act() -> list[str]:
        joined = []
        for player in players:
            with transaction.atomic():
                [entry] = services.join_queue(account=player.account, tournament=tournament, player_ids=[player.pk])
                time.sleep(random.uniform(0, hold))  # noqa: S311
            joined.append(entry.public_id)
        return joined

    return act


def admits(tournament: Tournament) -> Callable[[], int]:
    return lambda: services.offer_seats(tournament_id=tournament.pk)


def leaves(entry: QueueEntry) -> Callable[[], State]:
    return lambda: State(services.leave_queue(account=entry.player.account, public_id=entry.public_id).state)


def lapses(tournament: Tournament) -> Callable[[], int]:
    return lambda: services.lapse_offers(tournament_id=tournament.pk)


def about(moment: datetime, act: Act, *, early: float = 0) -> Act:
    """Do it at that moment, or so many seconds before it at most."""

    def then() -> object:
        wait = (moment - datetime.now(UTC)).total_seconds() - random.uniform(0, early)  # noqa: S311
        time.sleep(max(0.0, wait))
        return act()

    return then


# --- Seats and offers ----------------------------------------------------------------------------------------


def last_seat() -> bool:
    """Two admitters have one seat to give, and somebody with an earlier place steps back in."""
    tournament = make_tournament(seats=1)
    earlier, _later = make_entry(tournament, state=State.PASSED), make_entry(tournament)

    def steps_back_in() -> None:
        services.step_back_in(account=earlier.player.account, public_id=earlier.public_id)

    return broke(tournament, processes_at_once(admits(tournament), admits(tournament), steps_back_in))


def leave_against_offer() -> bool:
    """Who is first in line leaves while seats are offered."""
    tournament = make_tournament(seats=2)
    first, second, _third = [make_entry(tournament) for _ in range(3)]
    outcomes = processes_at_once(admits(tournament), leaves(first), leaves(second))
    return broke(tournament, outcomes) or outcomes[1:] != [State.LEFT, State.LEFT]


def capacity_cut_against_offers() -> bool:
    """An organizer takes all seats away while they are offered."""
    tournament = make_tournament(seats=2)
    for _ in range(2):
        make_entry(tournament)
    division = tournament.divisions.get()

    def cuts() -> int:
        return services.set_seats(division_id=division.pk, seats=0, by=None, reason="The hall burnt down.")

    return broke(tournament, processes_at_once(admits(tournament), cuts))


def offered(ends_at: datetime, **fields: Any) -> QueueEntry:
    tournament = make_tournament(seats=1, fee_minor=fields.pop("fee_minor", 4000))
    values = {"offer_expires_at": ends_at, "hold_until": ends_at + 20 * MINUTE, **fields}
    return make_entry(tournament, state=State.OFFERED, **values)


def take_up_against_lapse() -> bool:
    """A player takes the offer up in its last instant, and the clock lapses what ran out."""
    entry = offered(ends_at := datetime.now(UTC) + LEAD)

    def takes_up() -> State:
        with transaction.atomic():
            taken = services.take_up_offer(account=entry.player.account, public_id=entry.public_id)
            time.sleep(0.2)
        return State(taken.state)

    takes, clock_comes = about(ends_at, takes_up, early=0.3), about(ends_at, lapses(entry.tournament))
    taken, _lapsed = outcomes = processes_at_once(takes, clock_comes)
    entry.refresh_from_db()
    return broke(entry.tournament, outcomes) or (taken == State.OFFERED and entry.state != State.OFFERED)


def confirm_against_lapse() -> bool:
    """A payment comes at the end of the longest hold, and so does the clock."""
    entry = offered(now() - MINUTE, fee_minor=0, hold_until=now(), checkout_at=now() - 5 * MINUTE)

    def confirms() -> State:
        return State(services.confirm_entry(entry_id=entry.pk, paid=True).state)

    confirmed, _lapsed = outcomes = processes_at_once(confirms, lapses(entry.tournament))
    entry.refresh_from_db()
    return broke(entry.tournament, outcomes) or (confirmed == State.CONFIRMED) != (entry.state == State.CONFIRMED)


# --- Joining -------------------------------------------------------------------------------------------------


def double_join() -> bool:
    """One player in four tabs."""
    tournament, alice = make_tournament(), make_player()
    outcomes = processes_at_once(*[joins(tournament, alice)] * 4)
    return broke(tournament, outcomes) or outcomes.count(outcomes[0]) != 4


def join_against_close() -> bool:
    """Three players join in the last instant before registration is closed."""
    tournament, players = make_tournament(), [make_player() for _ in range(3)]
    end = datetime.now(UTC) + LEAD
    Tournament.objects.filter(pk=tournament.pk).update(closes_at=end, offers_end_at=end)
    late = [about(end, joins(tournament, player, hold=0.2), early=0.3) for player in players]
    outcomes = processes_at_once(*late, about(end, lambda: services.close_registration(tournament_id=tournament.pk)))
    return broke(tournament, outcomes) or QueueEntry.objects.waiting().filter(tournament=tournament).exists()


def admitter_against_joins() -> bool:
    """Three people join for two players each while two admitters give out three seats."""
    tournament = make_tournament(seats=3)

    def admits_again_and_again() -> None:
        for _ in range(6):
            admits(tournament)()

    arriving = [joins(tournament, make_player(), make_player()) for _ in range(3)]
    return broke(tournament, processes_at_once(*arriving, *[admits_again_and_again] * 2))


# --- Organizers and processes --------------------------------------------------------------------------------


def old_tab_against_pause() -> bool:
    """Somebody saves four tabs of the tournament's page, all opened before, while others pause it and resume it."""
    organizer, staff = make_organizer(make_organization()), make_staff()
    tournament = make_tournament(organization=organizer.memberships.get().organization)
    there, browser = reverse("admin:tournaments_tournament_change", args=[tournament.pk]), Client()
    browser.force_login(organizer)
    page = untouched(browser.get(there).content.decode())
    typed = {"venue": "Hall 9", "city": "Essen", "format": "Singles", "game": "VGC"}

    def saves() -> list[int]:
        return [browser.post(there, {**page, name: value}).status_code for name, value in typed.items()]

    def pauses_and_resumes() -> bool:
        """Whether each of it was kept."""
        for act, is_paused in ((services.pause_tournament, True), (services.resume_tournament, False)) * 6:
            act(tournament_id=tournament.pk, by=staff)
            time.sleep(INSTANT)
            if (Tournament.objects.get(pk=tournament.pk).paused_at is not None) != is_paused:
                return False
        return True

    saved, kept = outcomes = processes_at_once(saves, pauses_and_resumes)
    tournament.refresh_from_db()
    now_there = {name: getattr(tournament, name) for name in typed}
    return broke(tournament, outcomes) or (saved, kept, now_there) != ([302] * 4, True, typed)


def two_clocks() -> bool:
    """Three clocks come back at once after an outage, with seats to offer and an offer that is to last longer."""
    tournament = make_tournament(seats=3)
    entry, _first, _second = make_entry(tournament, state=State.OFFERED), make_entry(tournament), make_entry(tournament)
    Heartbeat.objects.update_or_create(id=1, defaults={"beat_at": now() - OUTAGE})
    outcomes = processes_at_once(*[lambda: clock.Clock().tick()] * 3)
    before, after = entry.offer_expires_at, QueueEntry.objects.get(pk=entry.pk).offer_expires_at
    assert before is not None
    assert after is not None
    seated = QueueEntry.objects.filter(tournament=tournament, state=State.OFFERED).count()
    return broke(tournament, outcomes) or seated != 3 or not OUTAGE <= after - before < OUTAGE + MINUTE


def two_beats() -> bool:
    """Whatever beat asks for is done by three workers at once: mails, draws, payments, history, the end of registration."""
    tournament, lottery = make_tournament(seats=2), make_tournament(mode=Mode.LOTTERY)
    entries = [make_entry(tournament) for _ in range(2)]
    admits(tournament)()

    app.loader.import_default_modules()

    def does_it_all() -> None:
        for job in settings.CELERY_BEAT_SCHEDULE.values():
            app.tasks[str(job["task"])]()

    outcomes = processes_at_once(*[does_it_all] * 3)
    mails = [Email.objects.filter(headers__contains={"X-VGCHub-Entry": entry.public_id}).count() for entry in entries]
    told = Notice.objects.filter(entry__tournament=tournament).exclude(mailed_at=None).count()
    opened = Draw.objects.filter(tournament=lottery).count()
    return broke(tournament, outcomes) or (mails, told, opened) != ([1, 1], 2, 1)


def two_publishers() -> bool:
    """Two clocks publish the line while it grows, each a while after reading it: a shorter one never follows a longer one."""
    Tournament.objects.update(published_at=None)  # the lines of the tries before
    tournament = make_tournament(seats=0)
    players = [make_player() for _ in range(JOINS)]
    listener = Listener(tournament)

    def publishes() -> None:
        own = clock.Clock()
        own.publisher.pause = 0
        write = own.publisher._write

        def write_late(*line: Any) -> bool:
            time.sleep(random.choice((0, 5 * INSTANT)))  # noqa: S311
            return write(*line)

        own.publisher._write = write_late  # type: ignore[assignment,method-assign]
        while QueueEntry.objects.waiting().filter(tournament=tournament).count() < JOINS:
            own.tick()
        own.tick()

    outcomes = processes_at_once(publishes, publishes, joins(tournament, *players))
    heads = [text["head"]["divisions"] for text in listener.texts()]
    waiting = [division["waiting"] for divisions in heads for division in divisions.values()]
    listener.pubsub.close()
    return broke(tournament, outcomes) or not waiting or waiting != sorted(waiting)


# A race, and who takes its guard away.
RACES: dict[Callable[[], bool], str] = {
    last_seat: "without_row_lock",
    double_join: "forgetting_the_conflict",
    join_against_close: "without_shared_lock",
    admitter_against_joins: "without_shared_lock",
    leave_against_offer: "offering_to_who_was_read_before",
    take_up_against_lapse: "lapsing_what_was_read_before",
    confirm_against_lapse: "lapsing_what_was_read_before",
    capacity_cut_against_offers: "without_row_lock",
    old_tab_against_pause: "saving_the_whole_row",
    two_clocks: "without_any_row_lock",
    two_beats: "without_any_row_lock",
    two_publishers: "publishing_without_leading",
}


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_race_breaks_nothing(race: Callable[[], bool]) -> None:
    at_night = hypothesis_settings.get_current_profile_name() == "nightly"
    assert not any(race() for _ in range(TRIES if at_night else ROUNDS))


@pytest.mark.parametrize(("race", "unguarded"), RACES.items(), ids=[race.__name__ for race in RACES])
def test_race_without_its_guard_breaks_something_within_fifty_tries(
    race: Callable[[], bool], unguarded: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(unguarded)
    assert any(race() for _ in range(TRIES))
