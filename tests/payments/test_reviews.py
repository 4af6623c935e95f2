"""Signals make somebody look at an entry; nothing happens to it until a person has decided."""

import threading
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.db.models.functions import Now

from bench.people import make_waiting
from payments import services, tasks
from payments.models import Dispute, Payment, Refund, Review, SignalRule, StripeEvent
from payments.queries import sightings_of, signals_in_force
from payments.queries.signals import _statement
from payments.rules import REVIEW_POINTS, SIGNALS, ReviewState, Signal
from payments.rules import State as Paid
from payments.services import reviewing
from registrations.models import Notice, QueueEntry
from registrations.rules import State
from registrations.services import NotInQueueError
from reports.queries import timeline
from tests.builders import make_entry, make_player, make_staff, make_tournament, make_user, now
from tests.payments.rows import make_payment
from tests.payments.till import (
    Till,
    account_of,
    check_against_stripe,
    check_money,
    make_offer,
    make_paid_tournament,
    run_due,
    told,
)
from tests.payments.together import together
from tournaments.models import Tournament
from tournaments.queries import database_now

WARNING_CARD, ELEVATED = "4000000000005423", "4000000000009235"


def codes(entry: QueueEntry) -> list[str]:
    return [str(sighting.code) for sighting in sightings_of([entry.pk]).get(entry.pk, [])]


def says(entry: QueueEntry) -> list[str]:
    return [sighting.says for sighting in sightings_of([entry.pk]).get(entry.pk, [])]


def paid(entry: QueueEntry | None = None, **fields: Any) -> Payment:
    return make_payment(Paid.CAPTURED, entry=entry or make_offer(), **fields)


def make_dispute(payment: Payment) -> Dispute:
    return Dispute.objects.create(
        payment=payment,
        stripe_id=f"du_{payment.pk}",
        amount_minor=payment.amount_minor,
        currency="eur",
        reason="fraudulent",
        status="needs_response",
        opened_at=now(),
    )


def make_review(entry: QueueEntry | None = None, *found: Signal) -> Review:
    signals = [{"code": str(code), "points": 100, "says": f"{code} was seen."} for code in found or [Signal.CARD]]
    return Review.objects.create(entry=entry or make_offer(), score=100, signals=signals, opened_at=now())


def one_card_of(accounts: int) -> list[Payment]:
    """A card that paid in as many tournaments, for an account each."""
    return [paid(card_fingerprint="f1") for _ in range(accounts)]


# --- What is seen -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
class TestSignals:
    def test_without_rows_the_defaults_hold_and_a_row_overrides_its_own(self) -> None:
        assert signals_in_force() == SIGNALS
        SignalRule.objects.create(code=Signal.CARD, limit=5, within_minutes=60, points=10)
        SignalRule.objects.create(code=Signal.RISK, limit=1, points=1, is_on=False)

        found = signals_in_force()

        assert (found[Signal.CARD].limit, found[Signal.CARD].points) == (5, 10)
        assert Signal.RISK not in found
        assert len(found) == len(SIGNALS) - 1

    def test_everything_switched_off_sees_nothing(self) -> None:
        for code in Signal:
            SignalRule.objects.create(code=code, limit=1, points=1, is_on=False)
        assert sightings_of([paid(risk_score=99).entry_id]) == {}

    @pytest.mark.parametrize(("score", "seen"), [(None, []), (64, []), (65, ["RISK"])])
    def test_risk(self, score: int | None, seen: list[str]) -> None:
        assert codes(paid(risk_score=score).entry) == seen

    @pytest.mark.parametrize(
        ("level", "seen"),
        [("", []), ("normal", []), ("not_assessed", []), ("elevated", ["RISK"]), ("highest", ["RISK"])],
    )
    def test_the_level_counts_where_there_is_no_score(self, level: str, seen: list[str]) -> None:
        assert codes(paid(risk_level=level).entry) == seen
        assert codes(paid(risk_level=level, risk_score=12).entry) == []

    def test_the_highest_level_can_be_told_from_an_elevated_one(self) -> None:
        SignalRule.objects.create(code=Signal.RISK, limit=75, points=50)
        assert codes(paid(risk_level="elevated").entry) == []
        highest = paid(risk_level="highest").entry
        assert codes(highest) == ["RISK"]
        assert says(highest)[0].startswith("Stripe rates the risk of the charge 75 of 100")

    def test_one_card_of_three_accounts_wherever_they_paid(self) -> None:
        first, second = one_card_of(2)
        assert codes(first.entry) == []
        third = paid(card_fingerprint="f1")
        assert codes(first.entry) == codes(second.entry) == codes(third.entry) == ["CARD"]
        assert says(first.entry) == ["One card paid for entries of 3 accounts."]

    def test_a_card_of_a_household_counts_once(self) -> None:
        account, tournament = make_user(), make_paid_tournament(seats=9)
        payments = [paid(make_offer(tournament, player=make_player(account)), card_fingerprint="f1") for _ in range(5)]
        assert codes(payments[0].entry) == []

    def test_a_card_counts_within_its_time(self) -> None:
        SignalRule.objects.create(code=Signal.CARD, limit=3, within_minutes=60, points=100)
        payments = one_card_of(3)
        assert codes(payments[0].entry) == ["CARD"]
        Payment.objects.filter(pk=payments[2].pk).update(authorised_at=Now() - timedelta(minutes=61))
        assert codes(payments[0].entry) == []

    def test_addresses_and_devices_of_one_tournament(self) -> None:
        SignalRule.objects.create(code=Signal.ADDRESS, limit=4, points=40)
        tournament = make_tournament()
        here = [make_entry(tournament, address_hash="a", device_hash="d") for _ in range(4)]
        elsewhere = make_entry(tournament, address_hash="b", device_hash="d")
        other_browser = make_entry(tournament, address_hash="a", device_hash="e")
        make_entry(make_tournament(), address_hash="a", device_hash="d")

        assert codes(here[0]) == ["ADDRESS", "DEVICE"]
        assert says(here[0])[0].startswith("5 accounts")
        assert codes(other_browser) == ["ADDRESS"]
        assert codes(elsewhere) == []

    def test_entries_whose_hashes_are_gone_are_not_alike(self) -> None:
        SignalRule.objects.create(code=Signal.ADDRESS, limit=2, points=40)
        tournament = make_tournament()
        entries = [make_entry(tournament) for _ in range(5)]
        assert codes(entries[0]) == []

    def test_look_alike_addresses_of_one_tournament(self) -> None:
        tournament = make_tournament()
        alike = ["alice.smith@mail.example", "alicesmith+7@mail.example", "a.licesmith99@mail.example"]
        entries = [make_entry(tournament, make_player(make_user(email))) for email in alike]
        other = make_entry(tournament, make_player(make_user("alice.smith@other.example")))
        make_entry(tournament, make_player(entries[0].player.account))

        assert codes(entries[0]) == codes(entries[2]) == ["LOOKALIKE"]
        assert says(entries[0]) == ["2 other accounts in this tournament have nearly the same e-mail address."]
        assert codes(other) == []

    def test_addresses_of_which_too_little_is_left_are_not_alike(self) -> None:
        tournament = make_tournament()
        entries = [make_entry(tournament, make_player(make_user(f"{n}@numbers.example"))) for n in range(4)]
        assert codes(entries[0]) == []

    def test_refused_cards_within_an_hour(self) -> None:
        payment = make_payment()
        for number in range(5):
            note_event(payment, "payment_intent.payment_failed", number)
        assert codes(payment.entry) == ["VELOCITY"]
        StripeEvent.objects.filter(stripe_id="evt_0").update(received_at=Now() - timedelta(minutes=61))
        assert codes(payment.entry) == []

    def test_a_banks_report_and_a_dispute(self) -> None:
        payment = paid()
        note_event(payment, "radar.early_fraud_warning.created")
        make_dispute(payment)
        assert codes(payment.entry) == ["DISPUTE", "WARNING"]

    def test_what_is_said_names_nobody(self) -> None:
        tournament = make_tournament()
        entries = [
            make_entry(
                tournament, make_player(make_user(f"alice{n}@secret.example")), address_hash="a1", device_hash="d1"
            )
            for n in range(4)
        ]
        reviewing.look_at_entries(tournament_id=tournament.pk)
        kept = str(Review.objects.get(entry=entries[0]).signals)
        assert "DEVICE" in kept
        for secret in ("alice", "secret", "a1", "d1"):
            assert secret not in kept.lower()


def note_event(payment: Payment, kind: str, number: int = 0) -> None:
    StripeEvent.objects.create(
        stripe_id=f"evt_{number}",
        type=kind,
        object_id=f"o_{number}",
        payment=payment,
        received_at=now(),
        due_at=now(),
        handled_at=now(),
    )


# --- When somebody has to look ----------------------------------------------------------------------------------


@pytest.mark.django_db
class TestLooking:
    def test_below_the_points_nobody_has_to_look(self) -> None:
        entry = paid(risk_score=99).entry
        assert SIGNALS[Signal.RISK].points < REVIEW_POINTS
        assert not services.look_at_entry(entry_id=entry.pk)
        assert not Review.objects.exists()

    def test_from_the_points_on_a_review_is_opened_and_nothing_happens_to_the_entry(self) -> None:
        entry = one_card_of(3)[0].entry
        before = QueueEntry.objects.filter(pk=entry.pk).values().get()

        assert services.look_at_entry(entry_id=entry.pk)

        review = Review.objects.get()
        assert (review.entry_id, review.state, review.score) == (entry.pk, ReviewState.OPEN, 100)
        assert [signal["code"] for signal in review.signals] == ["CARD"]
        assert QueueEntry.objects.filter(pk=entry.pk).values().get() == before
        assert not services.look_at_entry(entry_id=entry.pk)
        assert Review.objects.count() == 1

    def test_an_open_review_grows_and_forgets_nothing(self) -> None:
        payment = one_card_of(3)[0]
        services.look_at_entry(entry_id=payment.entry_id)
        make_dispute(payment)
        SignalRule.objects.create(code=Signal.CARD, limit=3, points=1, is_on=False)

        assert services.look_at_entry(entry_id=payment.entry_id)

        review = Review.objects.get()
        assert {signal["code"] for signal in review.signals} == {"CARD", "DISPUTE"}
        assert review.score == 200

    def test_an_approved_entry_is_looked_at_anew_only_for_something_new(self) -> None:
        payment = one_card_of(3)[0]
        services.look_at_entry(entry_id=payment.entry_id)
        services.approve_review(review_id=Review.objects.get().pk, by=make_staff(), reason="A club's card.")
        assert not services.look_at_entry(entry_id=payment.entry_id)

        make_dispute(payment)
        assert services.look_at_entry(entry_id=payment.entry_id)

        assert Review.objects.filter(state=ReviewState.OPEN).count() == 1
        assert Review.objects.count() == 2

    def test_an_entry_that_is_over_is_not_put_into_the_queue(self) -> None:
        entry = make_entry(make_paid_tournament(), state=State.CANCELLED)
        make_dispute(paid(entry, released_at=now(), release_reason="given back"))
        assert not services.look_at_entry(entry_id=entry.pk)

    def test_the_sweep_finds_what_a_lost_wake_up_left(self) -> None:
        by_card, by_bank = one_card_of(3)[0], paid()
        note_event(by_bank, "radar.early_fraud_warning.created")
        Payment.objects.filter(pk=by_bank.pk).update(authorised_at=Now() - timedelta(days=9))
        disputed = paid()
        make_dispute(disputed)

        tasks.look_for_fraud()

        assert {by_card.entry_id, by_bank.entry_id, disputed.entry_id} <= set(
            Review.objects.values_list("entry", flat=True)
        )

    def test_draws_that_are_sealed_soon(self) -> None:
        hours = partial(timedelta)
        soon = make_tournament(mode="LOTTERY", opens_in=-hours(days=2), lasts=hours(days=2, hours=5))
        make_tournament(mode="LOTTERY", opens_in=-hours(days=2), lasts=hours(days=2, hours=7))
        closed = make_tournament(
            mode="LOTTERY", opens_in=-hours(days=3), lasts=hours(days=2), seals_at=now() + hours(days=1)
        )
        fair = make_tournament(mode="FAIR_START", opens_in=hours(minutes=30))
        make_tournament(mode="FAIR_START", opens_in=hours(hours=7))
        make_tournament(mode="LOTTERY", opens_in=-hours(days=2), lasts=hours(days=2, hours=5), published=False)
        make_tournament(opens_in=hours(minutes=30))
        over = make_tournament(mode="LOTTERY", opens_in=-hours(days=2), lasts=hours(days=2, hours=5))
        Tournament.objects.filter(pk=over.pk).update(cancelled_at=Now())

        assert set(reviewing.sealed_soon()) == {soon.pk, closed.pk, fair.pk}

    def test_before_a_draw_all_who_wait_are_looked_at(self) -> None:
        tournament = make_tournament(mode="FAIR_START", opens_in=timedelta(minutes=30))
        players = [make_player(make_user(f"ali.ce+{n}@players.example")) for n in range(4)]
        entries = [make_entry(tournament, player, address_hash="a", device_hash="d") for player in players]
        harmless = make_entry(tournament, address_hash="b", device_hash="d")

        tasks.look_for_fraud()

        assert set(Review.objects.values_list("entry", flat=True)) == {entry.pk for entry in entries}
        assert harmless.pk not in Review.objects.values_list("entry", flat=True)


@pytest.mark.django_db
def test_ten_thousand_entries_are_looked_at_within_seconds() -> None:
    """The worst kind: all of one school's address, with look-alike mail addresses."""
    tournament = make_tournament(mode="LOTTERY", opens_in=-timedelta(days=1))
    division = tournament.divisions.get()
    with connection.cursor() as cursor:
        cursor.execute(CROWD, {"tournament": tournament.pk, "division": division.pk})
        cursor.execute("ANALYZE accounts_user, accounts_player, registrations_queueentry")
    ids = list(QueueEntry.objects.filter(tournament=tournament).values_list("pk", flat=True))
    begun = time.monotonic()
    seen = sightings_of(ids)
    took = time.monotonic() - begun
    assert len(seen) == 10_000
    assert all(len(sightings) == 3 for sightings in seen.values())
    assert took < 10


CROWD = """
WITH account AS (
    INSERT INTO accounts_user (email, password, is_active, is_staff, is_superuser, joined_at, email_verified_at)
    SELECT 'alice' || n || '@players.example', '', true, false, false, now(), now() FROM generate_series(1, 10000) n
    RETURNING id
), player AS (
    INSERT INTO accounts_player (account_id, display_name, player_id, player_id_state, birth_date, country,
                                 championship_points, seasons_played, created_at)
    SELECT id, 'Alice', (1000000 + id)::text, 'CLAIMED', '2000-01-01', 'DE', 0, 0, now() FROM account
    RETURNING id
)
INSERT INTO registrations_queueentry (public_id, tournament_id, division_id, player_id, priority, number, state, joined_at,
                                      grant_reason, waiver_reason, address_hash, device_hash)
SELECT md5(id::text)::char(24), %(tournament)s, %(division)s, id, 0, nextval('registrations_arrival_number'), 'WAITING',
       now(), '', '', 'one-school', 'browser-' || (id %% 3)
FROM player
"""


# --- What a person decides --------------------------------------------------------------------------------------


@pytest.mark.django_db
class TestDeciding:
    def test_approving_leaves_the_entry_as_it_is(self) -> None:
        review, staff = make_review(), make_staff()
        services.approve_review(review_id=review.pk, by=staff, reason="A club pays for its players.")
        review.refresh_from_db()
        assert (review.state, review.decided_by, review.reason) == (
            ReviewState.APPROVED,
            staff,
            "A club pays for its players.",
        )
        assert review.decided_at is not None
        assert review.entry.state == State.OFFERED

    def test_rejecting_frees_the_seat_and_tells_the_player_why(self) -> None:
        payment = paid(make_entry(make_paid_tournament(), state=State.CONFIRMED))
        review, staff = make_review(payment.entry), make_staff()

        services.reject_review(review_id=review.pk, by=staff, reason="The card was reported stolen.")

        entry = QueueEntry.objects.get(pk=payment.entry_id)
        assert (entry.state, entry.seat) == (State.REJECTED, None)
        assert Review.objects.get().state == ReviewState.REJECTED
        refund = Refund.objects.get()
        assert (refund.amount_minor, refund.by, refund.reason) == (2500, staff, "The card was reported stolen.")
        assert Notice.Kind.REJECTED in told(entry)
        story = " ".join(f"{moment.text} {moment.why}" for moment in timeline(entry))
        assert "The card was reported stolen." in story
        assert "CARD was seen" not in story

    def test_a_waiting_entry_without_money_is_just_taken_out(self) -> None:
        entry = make_entry(make_tournament())
        services.reject_review(
            review_id=make_review(entry).pk, by=make_staff(), reason="One person with many accounts."
        )
        entry.refresh_from_db()
        assert entry.state == State.REJECTED

    @pytest.mark.parametrize("first", [services.approve_review, services.reject_review])
    @pytest.mark.parametrize("second", [services.approve_review, services.reject_review])
    def test_what_is_decided_stays_decided(self, first: Any, second: Any) -> None:
        review = make_review()
        first(review_id=review.pk, by=make_staff(), reason="first")
        before = Review.objects.values().get(), QueueEntry.objects.values().get()
        with pytest.raises(services.ReviewDecidedError):
            second(review_id=review.pk, by=make_staff(), reason="second")
        assert (Review.objects.values().get(), QueueEntry.objects.values().get()) == before

    def test_of_an_entry_that_ended_meanwhile_only_the_decision_is_noted(self) -> None:
        entry = make_entry(make_paid_tournament(), state=State.CANCELLED)
        review = make_review(entry)
        services.reject_review(review_id=review.pk, by=make_staff(), reason="Fraud.")
        review.refresh_from_db()
        entry.refresh_from_db()
        assert (review.state, entry.state) == (ReviewState.REJECTED, State.CANCELLED)

    def test_if_the_entry_cannot_be_taken_out_nothing_is_decided(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(**_given: Any) -> None:
            raise NotInQueueError(State.CLOSED)

        review = make_review()
        monkeypatch.setattr(reviewing, "reject_entry", refuse)
        with pytest.raises(NotInQueueError):
            services.reject_review(review_id=review.pk, by=make_staff(), reason="Fraud.")
        review.refresh_from_db()
        assert review.state == ReviewState.OPEN


# --- Against the simulator, and at once -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_banks_warning_finds_its_payment_and_the_rejected_entry_is_refunded(till: Till) -> None:
    entry = make_offer()
    payment = till.start(entry)
    till.pay(payment, WARNING_CARD)
    run_due()
    till.deliver()

    event = StripeEvent.objects.get(type="radar.early_fraud_warning.created")
    assert (event.payment_id, event.error) == (payment.pk, "")
    review = Review.objects.get()
    assert [signal["code"] for signal in review.signals] == ["WARNING"]

    services.reject_review(review_id=review.pk, by=make_staff(), reason="The bank reports the card as stolen.")
    run_due()
    entry.refresh_from_db()
    assert entry.state == State.REJECTED
    assert Refund.objects.get().state == "SUCCEEDED"
    check_money()
    check_against_stripe(till)


@pytest.mark.django_db(transaction=True)
def test_an_authorised_payment_of_a_rejected_entry_is_voided(till: Till) -> None:
    payment = till.authorised(make_offer())
    services.reject_review(review_id=make_review(payment.entry).pk, by=make_staff(), reason="Fraud.")
    run_due()
    payment.refresh_from_db()
    assert payment.state == Paid.VOIDED
    assert till.intent(payment).status == "canceled"
    check_money()


@pytest.mark.django_db(transaction=True)
def test_a_payment_wakes_a_look_at_its_entry(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setitem(vars(tasks.look_at_entry), "apply_async", lambda args, **_options: asked.append(tuple(args)))
    payment = till.authorised(make_offer())
    assert asked == [(payment.entry_id,)]
    assert payment.risk_score is not None


@pytest.mark.django_db(transaction=True)
def test_without_a_score_of_stripes_its_level_raises_the_signal(till: Till) -> None:
    till.shop.control("radar", scores=False)
    entry = make_offer()
    payment = till.start(entry)
    till.pay(payment, ELEVATED)
    services.settle_payment(payment_id=payment.pk)
    payment.refresh_from_db()
    assert (payment.risk_level, payment.risk_score, codes(entry)) == ("elevated", None, ["RISK"])


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_open_one_review() -> None:
    entry = one_card_of(3)[0].entry
    results = together(*[partial(services.look_at_entry, entry_id=entry.pk)] * 4)
    assert sorted(results) == [False, False, False, True]
    assert Review.objects.filter(entry=entry).count() == 1


@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_the_second_worker_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lock on the entry's row spares us; the database would still refuse the second review."""
    entry = one_card_of(3)[0].entry
    both_have_read = threading.Barrier(2)
    real = database_now

    def unlocked(entry_id: int) -> QueueEntry:
        return QueueEntry.objects.get(pk=entry_id)

    def both() -> Any:
        both_have_read.wait(10)
        return real()

    monkeypatch.setattr(reviewing, "lock_entry", unlocked)
    monkeypatch.setattr(reviewing, "database_now", both)
    results = together(*[partial(services.look_at_entry, entry_id=entry.pk)] * 2)
    assert sum(isinstance(result, IntegrityError) for result in results) == 1
    assert Review.objects.filter(entry=entry).count() == 1


@pytest.mark.django_db(transaction=True)
def test_approving_and_rejecting_at_once_is_one_decision() -> None:
    for _ in range(3):
        payment = paid(make_entry(make_paid_tournament(), state=State.CONFIRMED))
        review, staff = make_review(payment.entry), make_staff()
        results = together(
            partial(services.approve_review, review_id=review.pk, by=staff, reason="fine"),
            partial(services.reject_review, review_id=review.pk, by=staff, reason="fraud"),
        )
        assert sum(isinstance(result, services.ReviewDecidedError) for result in results) == 1
        review.refresh_from_db()
        payment.entry.refresh_from_db()
        assert (review.state == ReviewState.REJECTED) == (payment.entry.state == State.REJECTED)
        assert payment.refunds.exists() == (review.state == ReviewState.REJECTED)


@pytest.mark.django_db(transaction=True)
def test_rejecting_while_the_player_cancels_refunds_once(till: Till) -> None:
    entry = make_offer()
    till.captured(entry)
    review, staff = make_review(entry), make_staff()
    results = together(
        partial(services.reject_review, review_id=review.pk, by=staff, reason="fraud"),
        partial(services.cancel_and_refund, account=account_of(entry), public_id=entry.public_id),
    )
    assert results[0] is None
    run_due()
    assert len(till.shop.v1.refunds.list().data) == 1
    check_money()
    check_against_stripe(till)


def test_who_looks_alike_is_found_by_an_index_behind_thousands() -> None:
    """A look at one entry, which every payment causes, computes nobody's address anew."""
    tournament = make_tournament()
    make_waiting(tournament, 5000)
    entry = QueueEntry.objects.filter(tournament=tournament).order_by("-pk")[0]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        statement, values = _statement({Signal.LOOKALIKE: SIGNALS[Signal.LOOKALIKE]})
        cursor.execute(f"EXPLAIN {statement}", {"entries": [entry.pk], **values})
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "user_email_alike" in plan
    assert "Seq Scan on accounts_user" not in plan
