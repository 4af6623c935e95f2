"""Money, clicked through: cards of each kind, an offer that ends at Stripe's page, and staff at refunds and dead letters."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from playwright.sync_api import Page, expect

from payments import services
from payments.models import DeadLetter, Payment, Refund
from registrations.models import QueueEntry
from registrations.rules import State
from tests.browser.players import GOOD_CARD, Person, enter, make_paid_tournament, make_person
from tests.builders import make_entry, make_staff
from tests.payments.till import DECLINED, SECURE, account_of, fill_in_card, make_offer
from tests.sealing import violations_once_sealed
from tests.stage import Console, LiveSite, Stripe
from tournaments.models import Tournament

pytestmark = pytest.mark.browser

SHOTS = os.environ.get("SCREENSHOTS")  # a folder: then what was looked at is kept there as pictures
REFUND_FAILS, REFUND_TAKES_A_WHILE = "4000000000005126", "4000000000007726"


def look(page: Page, name: str) -> None:
    page.wait_for_load_state()
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"money-{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def until(site: LiveSite, condition: Callable[[], bool], *, seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not site.call(condition):
        assert time.monotonic() < ends, "it did not come true in time"
        time.sleep(0.2)


def offered(site: LiveSite, page: Page, **fields: Any) -> tuple[Person, Tournament]:
    """Alice, who has just been offered the first seat (the only one, unless `fields` of the tournament say otherwise)."""
    alice, tournament = make_person(site, page, "Alice"), make_paid_tournament(site, **fields)
    alice.sign_in()
    alice.join(tournament)
    alice.sees("Masters, seat 1")
    return alice, tournament


def paid(site: LiveSite, page: Page, card: str, **fields: Any) -> tuple[Person, Tournament]:
    """Alice, whose seat is confirmed and paid."""
    alice, tournament = offered(site, page, **fields)
    alice.take_the_seat_and_pay(card)
    alice.sees("You're in. Masters, seat 1.")
    until(site, lambda: Payment.objects.filter(state="CAPTURED").exists())
    return alice, tournament


def pay_beside(tournament: Tournament, number: int, card: str) -> None:
    """So many others have paid their seats, away from this browser."""
    for _ in range(number):
        entry = make_offer(tournament)
        services.start_payment(account=account_of(entry), public_id=entry.public_id)
        payment = entry.payments.get()
        fill_in_card(payment.checkout_url, card)
        services.settle_payment(payment_id=payment.pk)


def as_staff(site: LiveSite, page: Page) -> None:
    enter(site, page, site.call(make_staff))


def act(page: Page, name: str, **fields: str) -> None:
    """Choose an action at the top of the admin's page, fill in what it asks, and send it."""
    link = page.get_by_role("link", name=name)
    if not link.first.is_visible():
        page.get_by_text("more_horiz").first.click()
    link.first.click()
    send(page, **fields)


def send(page: Page, **fields: str) -> None:
    for field, value in fields.items():
        page.locator(f"[name={field}]").fill(value)
    page.locator("form:has([name=once]) button").last.click()
    page.wait_for_load_state()


def test_a_refused_card_then_one_that_the_bank_asks_about(
    live_site: LiveSite, new_page: Callable[..., Page], console: Console
) -> None:
    console.allow("402")
    page = new_page("phone")
    alice, _tournament = offered(live_site, page)
    alice.take_the_seat_and_pay(DECLINED)
    expect(page.locator("body")).to_contain_text("declined")
    look(page, "declined")
    alice.pay(SECURE)
    page.get_by_role("button", name="Complete authentication").click()
    alice.sees("You're in. Masters, seat 1.")
    look(page, "confirmed")
    assert live_site.call(violations_once_sealed) == []


def test_a_page_that_got_no_answer_from_stripe_asks_again_by_itself(
    live_site: LiveSite, new_page: Callable[..., Page], console: Console, stripe: Stripe
) -> None:
    console.allow("503")
    page = new_page("phone")
    alice, _tournament = offered(live_site, page)
    stripe.control("faults", path="/v1/checkout/sessions", status=503)
    page.get_by_role("button", name="Take the seat and pay").click()
    expect(page.get_by_role("heading", name="The payment service does not answer at the moment.")).to_be_visible()
    look(page, "away")
    expect(page.get_by_role("heading", name="Pay with card")).to_be_visible(timeout=30_000)
    alice.pay(GOOD_CARD)
    alice.sees("You're in. Masters, seat 1.")
    assert live_site.call(violations_once_sealed) == []


def test_an_offer_that_ends_in_the_middle_of_checkout(
    live_site: LiveSite, new_page: Callable[..., Page], console: Console, stripe: Stripe
) -> None:
    console.allow("410")
    page = new_page("phone")
    alice, tournament = offered(live_site, page)
    page.get_by_role("button", name="Take the seat and pay").click()
    expect(page.get_by_role("heading", name="Pay with card")).to_be_visible()

    def run_out() -> None:
        past = Now() - timedelta(seconds=1)
        QueueEntry.objects.update(offer_expires_at=past)
        Payment.objects.update(due_at=Now())

    live_site.call(run_out)
    until(live_site, lambda: QueueEntry.objects.filter(state=State.PASSED).exists())
    alice.pay(GOOD_CARD)  # Stripe's page is closed, and leads back
    alice.go_to_the_line(tournament)
    alice.sees("You missed an offer")
    look(page, "missed")
    assert live_site.call(lambda: list(Payment.objects.values_list("state", flat=True))) == ["FAILED"]
    assert stripe.objects("charge") == []
    assert live_site.call(violations_once_sealed) == []


def test_a_player_gives_a_seat_back_for_a_part_of_the_fee(live_site: LiveSite, new_page: Callable[..., Page]) -> None:
    page = new_page("phone")
    alice, _tournament = paid(live_site, page, GOOD_CARD, refund_kept_percent=20)
    page.get_by_role("link", name="Show my entry").click()
    page.get_by_role("link", name="Give the seat back").click()
    expect(page.locator("main")).to_contain_text("You get €20.00 back, the way you paid. €5.00 (20%) is kept")
    look(page, "cancel")
    page.get_by_role("button", name="Give the seat back").click()
    alice.sees("seat is given back")
    until(live_site, lambda: Refund.objects.filter(state="SUCCEEDED", amount_minor=2000).exists())
    page.goto(f"/e/{alice.entry(live_site).public_id}/receipt/")
    expect(page.locator("main")).to_contain_text("€20.00")
    look(page, "receipt-of-a-part")
    assert live_site.call(Payment.objects.get).kept_minor == 500
    assert live_site.call(violations_once_sealed) == []


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_staff_refund_a_part_and_then_take_the_seat_back(
    live_site: LiveSite, new_page: Callable[..., Page], size: str
) -> None:
    alice, tournament = paid(live_site, new_page("phone"), GOOD_CARD)
    bob = live_site.call(lambda: make_entry(tournament))
    page = new_page(size)
    as_staff(live_site, page)
    payment = live_site.call(Payment.objects.get)
    page.goto(reverse("admin:payments_payment_change", args=[payment.pk]))
    look(page, f"payment-{size}")
    act(page, "Refund a part", amount="10.00", reason="The hall was cold.")
    until(live_site, lambda: Refund.objects.filter(state="SUCCEEDED", amount_minor=1000).exists())
    act(page, "Take the seat back and refund", amount="12.00", reason="She asked at the desk.")
    expect(page.locator("body")).to_contain_text("€12.00 back to the player")
    until(live_site, lambda: Refund.objects.filter(state="SUCCEEDED").count() == 2)
    page.reload()
    look(page, f"seat-taken-back-{size}")
    alice.page.goto(f"/e/{alice.entry(live_site).public_id}/")
    alice.sees("She asked at the desk.")
    until(live_site, lambda: QueueEntry.objects.filter(pk=bob.pk, state=State.OFFERED).exists())
    assert sorted(live_site.call(lambda: list(Refund.objects.values_list("amount_minor", flat=True)))) == [1000, 1200]
    assert live_site.call(violations_once_sealed) == []


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_staff_cancel_a_tournament_and_watch_all_the_money_go_back(
    live_site: LiveSite, new_page: Callable[..., Page], stripe: Stripe, size: str
) -> None:
    alice, tournament = paid(live_site, new_page("phone"), REFUND_TAKES_A_WHILE, seats=5)
    live_site.call(partial(pay_beside, tournament, 4, REFUND_TAKES_A_WHILE))
    until(live_site, lambda: Payment.objects.filter(state="CAPTURED").count() == 5)
    page = new_page(size)
    as_staff(live_site, page)
    page.goto(f"/admin/tournaments/tournament/{tournament.pk}/cancel/")
    send(page, reason="The hall burnt down.", slug=tournament.slug)
    look(page, f"cancelled-{size}")
    page.goto(f"/admin/tournaments/tournament/{tournament.pk}/refunds/")
    row = page.get_by_role("row", name="Refunds: under way at the bank")
    expect(row).to_contain_text("5 €125.00", timeout=30_000)  # the page renews itself
    look(page, f"refunds-under-way-{size}")
    stripe.control("clock", advance=120)
    expect(page.get_by_role("row", name="Refunds: refunded")).to_contain_text("5 €125.00", timeout=30_000)
    expect(page.locator("#content-main")).to_contain_text("Everything that goes on by itself is done.")
    look(page, f"refunds-{size}")
    page.goto(f"/admin/tournaments/tournament/{tournament.pk}/ledger/")
    look(page, f"ledger-{size}")
    alice.page.goto(f"/e/{alice.entry(live_site).public_id}/receipt/")
    look(alice.page, f"receipt-of-a-cancelled-seat-{size}")
    assert live_site.call(violations_once_sealed) == []


def test_a_refund_that_comes_back_is_a_dead_letter_that_staff_work_off(
    live_site: LiveSite, new_page: Callable[..., Page], stripe: Stripe
) -> None:
    alice, _tournament = paid(live_site, new_page("phone"), REFUND_FAILS)
    alice.page.get_by_role("link", name="Show my entry").click()
    alice.give_the_seat_back()
    alice.sees("given back")
    until(live_site, lambda: Refund.objects.filter(state="SUCCEEDED").exists())
    stripe.control("clock", advance=120)
    until(live_site, lambda: DeadLetter.objects.filter(kind="REFUND", state="OPEN").exists())
    page = new_page("desktop")
    as_staff(live_site, page)
    page.goto(reverse("admin:payments_deadletter_changelist"))
    look(page, "letters")
    page.goto(reverse("admin:payments_deadletter_change", args=[live_site.call(DeadLetter.objects.get).pk]))
    look(page, "letter")
    act(page, "Try again", reason="The bank says that it works now.")
    look(page, "letter-retried")
    until(live_site, lambda: Refund.objects.count() == 2)
    assert live_site.call(DeadLetter.objects.filter(state="RETRIED").exists)
