"""A large tournament is cancelled: every seat once, though a worker is killed in the middle, and the progress says how far it is.

What Stripe is asked afterwards is `test_refund_races`', with hundreds of seats.
"""

import os
import signal
from functools import partial
from typing import Any

import pytest
from django.db.models import Count

from accounts.models import Player
from payments import services
from payments.models import Payment, Refund
from payments.queries import cancellation_progress
from payments.queries.refunds import RefundSum
from payments.rules import RefundState
from payments.rules import State as Money
from payments.services import cancelling
from registrations.models import Notice, QueueEntry
from registrations.rules import State
from tests.builders import BIRTH_DATE, make_staff, make_user, now
from tests.payments.till import make_paid_tournament
from tests.payments.together import together
from tests.processes import Child, wait_for_the_database_to_notice
from tournaments.models import Tournament

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SEATS, FEE = 2000, 2500
KILLED_AT = 70  # in the middle of a batch of 20


def paid_seats() -> Tournament:
    """A tournament whose seats are all confirmed and paid, written directly."""
    tournament = make_paid_tournament(seats=SEATS)
    division, account = tournament.divisions.get(), make_user()
    players = Player.objects.bulk_create(
        Player(
            account=account,
            display_name=f"Player {number}",
            player_id=f"{10**12 + number}",
            country="DE",
            birth_date=BIRTH_DATE["masters"],
        )
        for number in range(SEATS)
    )
    entries = QueueEntry.objects.bulk_create(
        QueueEntry(
            tournament=tournament,
            division=division,
            player=player,
            state=State.CONFIRMED,
            seat=seat,
            number=number,
            place=number,
            offer_number=number,
            joined_at=now(),
            offered_at=now(),
            confirmed_at=now(),
        )
        for number, (player, seat) in enumerate(zip(players, division.seats.all(), strict=True), 1)
    )
    Payment.objects.bulk_create(
        Payment(
            entry=entry,
            amount_minor=FEE,
            currency="eur",
            state=Money.CAPTURED,
            intent=f"pi_{entry.pk}",
            session_expires_at=now(),
            created_at=now(),
            authorised_at=now(),
            captured_at=now(),
        )
        for entry in entries
    )
    return tournament


def cancel_and_be_killed(tournament_id: int) -> None:
    """In a process of its own: dies right after so many seats, before the batch is committed."""
    real, lives = cancelling._cancel_one, iter(range(KILLED_AT - 1))

    def deadly(entry_id: int) -> Any:
        answer = real(entry_id)
        if next(lives, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    cancelling._cancel_one = deadly
    services.cancel_confirmed_entries(tournament_id=tournament_id)


def has_come_to(tournament: Tournament, cancelled: int) -> bool:
    """Whether exactly so many seats are given back, each with its one refund."""
    progress = cancellation_progress(tournament.pk)
    due = [RefundSum(RefundState.DUE, "eur", cancelled, cancelled * FEE)] if cancelled else []
    return (progress.seats, progress.open_payments, progress.refunds) == (SEATS - cancelled, 0, due)


def test_thousands_of_seats_are_cancelled_once_each_though_a_worker_is_killed() -> None:
    tournament = paid_seats()
    services.cancel_tournament(tournament_id=tournament.pk, by=make_staff(), reason="storm")
    assert has_come_to(tournament, 0)

    assert Child(partial(cancel_and_be_killed, tournament.pk)).was_killed()
    wait_for_the_database_to_notice()
    done = KILLED_AT - KILLED_AT % cancelling.BATCH  # whole batches
    assert has_come_to(tournament, done)
    assert cancelling.half_cancelled() == [tournament.pk]

    limit = 500
    assert services.cancel_confirmed_entries(tournament_id=tournament.pk, limit=limit) == limit
    assert has_come_to(tournament, done + limit)

    go_on = partial(services.cancel_confirmed_entries, tournament_id=tournament.pk)
    shares = together(go_on, go_on)
    assert sum(shares) == SEATS - done - limit
    assert min(shares) > 0
    assert has_come_to(tournament, SEATS)
    assert not cancelling.half_cancelled()
    assert not cancellation_progress(tournament.pk).is_done  # the money is still here

    assert not Refund.objects.values("payment").annotate(count=Count("pk")).exclude(count=1).exists()
    assert Payment.objects.filter(released_at__isnull=False, kept_minor=0).count() == SEATS
    assert tournament.entries.filter(state=State.CANCELLED, seat=None).count() == SEATS
    assert Notice.objects.filter(kind=Notice.Kind.CANCELLED).count() == SEATS
    assert go_on() == 0
    assert has_come_to(tournament, SEATS)
