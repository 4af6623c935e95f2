"""Reviews in the admin: staff work them off with a reason; nobody else sees that there are any."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from payments.models import Review, SignalRule
from payments.queries import signals_in_force
from payments.rules import ReviewState, Signal
from payments.rules import State as Paid
from registrations.models import QueueEntry
from registrations.rules import State
from tests.admin.browsing import untouched
from tests.builders import make_entry, make_organization, make_organizer, make_staff, make_user
from tests.payments.rows import make_payment
from tests.payments.test_reviews import make_review
from tests.payments.till import make_offer, make_paid_tournament

pytestmark = pytest.mark.django_db

LIST = reverse("admin:payments_review_changelist")
RULES = reverse("admin:payments_signalrule_changelist")


def signed_in(account: User) -> Client:
    client = Client()
    client.force_login(account)
    return client


@pytest.fixture
def staff() -> Client:
    return signed_in(make_staff())


def action(review: Review, name: str) -> str:
    return reverse(f"admin:payments_review_{name}", args=[review.pk])


def page(review: Review) -> str:
    return reverse("admin:payments_review_change", args=[review.pk])


def html(answer: Any) -> str:
    return str(answer.content.decode())


def test_what_is_open_stands_first_and_of_that_what_looks_worst(staff: Client) -> None:
    tournament = make_paid_tournament(seats=9)
    decided, mild, bad = (make_review(make_entry(tournament)) for _ in range(3))
    Review.objects.filter(pk=bad.pk).update(score=240)
    staff.post(action(decided, "approve"), {"reason": "fine"})

    assert list(staff.get(LIST).context["cl"].result_list) == [bad, mild, decided]


def test_the_list_costs_the_same_for_one_review_as_for_many(staff: Client) -> None:
    make_review()
    staff.get(LIST)
    with CaptureQueriesContext(connection) as one:
        staff.get(LIST)
    for _ in range(4):
        make_review()
    with CaptureQueriesContext(connection) as many:
        assert html(staff.get(LIST)).count("CARD was seen.") == 5
    assert len(many) == len(one) == 4


def test_a_review_says_what_was_seen_and_links_to_whose_it_is(staff: Client) -> None:
    payment = make_payment(Paid.CAPTURED, entry=make_entry(make_paid_tournament(), state=State.CONFIRMED))
    review = make_review(payment.entry, Signal.CARD, Signal.DISPUTE)

    shown = html(staff.get(page(review)))

    for words in ("CARD was seen.", "DISPUTE was seen.", "€25.00", payment.entry.public_id):
        assert words in shown
    for model, pk in (
        ("registrations_queueentry", payment.entry_id),
        ("accounts_player", payment.entry.player_id),
        ("payments_payment", payment.pk),
    ):
        assert reverse(f"admin:{model}_change", args=[pk]) in shown


def test_approving_asks_for_a_reason_and_is_done_once(staff: Client) -> None:
    review = make_review()
    assert action(review, "approve") in html(staff.get(page(review)))
    assert list(staff.post(action(review, "approve"), {}).context["form"].errors) == ["reason"]

    staff.post(action(review, "approve"), {"reason": "A club pays."})

    review.refresh_from_db()
    assert (review.state, review.reason) == (ReviewState.APPROVED, "A club pays.")
    assert action(review, "approve") not in html(staff.get(page(review)))
    again = staff.post(action(review, "reject"), {"reason": "Fraud."})
    assert "Somebody has decided this review already." in str(again.context["form"].errors)


def test_rejecting_takes_the_entry_out_and_refunds(staff: Client) -> None:
    payment = make_payment(Paid.CAPTURED, entry=make_entry(make_paid_tournament(), state=State.CONFIRMED))
    review = make_review(payment.entry)

    staff.post(action(review, "reject"), {"reason": "The card was stolen."})

    assert QueueEntry.objects.get().state == State.REJECTED
    assert payment.refunds.get().amount_minor == 2500


def test_organizers_and_players_see_no_reviews_and_decide_none() -> None:
    organization = make_organization()
    entry = make_offer(make_paid_tournament(organization=organization))
    review = make_review(entry)
    for account in (make_organizer(organization), entry.player.account, make_user()):
        client = signed_in(account)
        assert client.get(LIST).status_code == 403
        assert client.get(RULES).status_code == 403
        assert client.get(page(review)).status_code in (302, 403)
        for name in ("approve", "reject"):
            assert client.post(action(review, name), {"reason": "because"}).status_code in (403, 404)
    review.refresh_from_db()
    entry.refresh_from_db()
    assert (review.state, entry.state) == (ReviewState.OPEN, State.OFFERED)


def test_the_first_page_tells_staff_and_nobody_else_what_waits(staff: Client) -> None:
    organization = make_organization()
    make_review(make_offer(make_paid_tournament(organization=organization)))
    index = reverse("admin:index")

    assert "1 entry waits for somebody" in html(staff.get(index))
    assert "waits for somebody" not in html(signed_in(make_organizer(organization)).get(index))
    Review.objects.get()
    staff.post(action(Review.objects.get(), "approve"), {"reason": "fine"})
    assert "waits for somebody" not in html(staff.get(index))


def test_a_review_is_not_changed_by_hand(staff: Client) -> None:
    review = make_review()
    assert staff.post(page(review), {"state": "APPROVED", "score": "0"}).status_code == 403
    assert staff.get(reverse("admin:payments_review_add")).status_code == 403
    assert staff.post(reverse("admin:payments_review_delete", args=[review.pk]), {"post": "yes"}).status_code == 403


def test_staff_see_the_defaults_of_signals_and_set_their_own(staff: Client) -> None:
    add = reverse("admin:payments_signalrule_add")
    listed = html(staff.get(RULES))
    assert "Cards were refused at least so many times for one account." in listed
    assert "From 5 within 60 minutes: 60 points." in listed
    assert "from 3 at any time: 100 points" in html(staff.get(add))

    sent = {"code": "CARD", "is_on": "on", "limit": "8", "within_minutes": "0", "points": "50"}
    assert staff.post(add, sent).status_code == 302
    assert (signals_in_force()[Signal.CARD].limit, signals_in_force()[Signal.CARD].points) == (8, 50)

    rule = SignalRule.objects.get()
    there = reverse("admin:payments_signalrule_change", args=[rule.pk])
    assert "from 3 at any time: 100 points" in html(staff.get(there))
    shown = {name: value for name, value in untouched(html(staff.get(there))).items() if name != "is_on"}
    staff.post(there, {**shown, "code": "RISK", "limit": "9"})
    rule.refresh_from_db()
    assert (rule.code, rule.limit, rule.is_on) == ("CARD", 9, False)
    assert Signal.CARD not in signals_in_force()


def test_a_signal_has_one_row(staff: Client) -> None:
    add = reverse("admin:payments_signalrule_add")
    sent = {"code": "CARD", "is_on": "on", "limit": "8", "within_minutes": "0", "points": "50"}
    staff.post(add, sent)
    assert staff.post(add, sent).status_code == 200
    assert staff.post(add, {**sent, "code": "RISK", "limit": "0"}).status_code == 200
    assert SignalRule.objects.count() == 1
