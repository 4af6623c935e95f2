"""The pages of money in the admin, as staff see them: on a phone and on a desktop, amounts with their currency, never in cents."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from payments.models import DeadLetter, Discrepancy, Dispute, LedgerLine, Reconciliation, Refund, SavedCard
from payments.rules import CardState, Finding, LetterKind, RefundState
from payments.rules import State as Paid
from payments.services import letters
from registrations.rules import State
from tests.builders import make_entry, make_player, make_staff, now
from tests.payments.rows import make_payment, make_refund
from tests.payments.till import make_paid_tournament
from tests.stage import LiveSite

pytestmark = pytest.mark.browser

SHOTS = os.environ.get("SCREENSHOTS")  # a folder: then what was looked at is kept there as pictures


def _rows() -> dict[str, str]:
    """One of everything, of a seat that was given back: addresses by name, and a session of staff."""
    tournament = make_paid_tournament(name="Rhein Cup", seats=9)
    entry = make_entry(tournament, make_player(display_name="Ash"), state=State.CANCELLED)
    payment = make_payment(
        Paid.CAPTURED,
        entry=entry,
        intent="pi_3NPK4oD72ibsJmqD0lVvTAR2",
        charge="ch_3NPK4oD72ibsJmqD0xK8lEo1",
        checkout_session=f"cs_test_a1{'o8C8459MaCWlTk9yrixr8lnwGZCV1j6ZaIJQUKR8wdiCL7nTP8'}",
        checkout_url="https://checkout.stripe.com/c/pay/cs_test",
        method="card",
        card_brand="visa",
        card_last4="4242",
        risk_level="elevated",
        risk_score=65,
        kept_minor=1700,
        released_at=now(),
        release_reason="Cancelled by the player.",
    )
    failed = make_refund(
        payment,
        RefundState.FAILED,
        amount_minor=2000,
        stripe_id="re_3NPK4oD72ibsJmqD1abcdefg",
        failure_code="lost_or_stolen_card",
        failure_message="The bank did not take the money back; it has to reach the player another way.",
    )
    Refund.objects.filter(pk=failed.pk).update(settled_minor=1200, settled_at=now())
    make_refund(payment, RefundState.SUCCEEDED, amount_minor=800)
    dispute = Dispute.objects.create(
        payment=payment,
        stripe_id="du_1NPK4oD72ibsJmqD",
        amount_minor=500,
        currency="eur",
        reason="product_not_received",
        status="needs_response",
        evidence_due_at=now(),
        opened_at=now(),
    )
    card = SavedCard.objects.create(
        entry=make_entry(tournament, make_player(display_name="Misty")),
        state=CardState.SAVED,
        agreed_minor=2500,
        currency="eur",
        customer="cus_NPK4oD72ibsJmq",
        payment_method="pm_1NPK4oD72ibsJmqDxK8lEo1",
        brand="visa",
        last4="4242",
        session_expires_at=now(),
        created_at=now(),
        saved_at=now(),
    )
    with transaction.atomic():
        about = {"amount_minor": 2000, "entry": entry.public_id}
        letters.bury(LetterKind.REFUND, f"refund {failed.pk}", "lost_or_stolen_card: not taken", about, 3, payment)
    line = LedgerLine.objects.create(
        stripe_id="txn_1NPK4oD72ibsJmqD",
        payment=payment,
        category="charge",
        source="ch_3NPK4oD72ibsJmqD0xK8lEo1",
        amount_minor=2500,
        fee_minor=103,
        net_minor=2397,
        currency="eur",
        booked_at=now(),
        available_at=now(),
    )
    difference = Discrepancy.objects.create(
        kind=Finding.AMOUNT,
        object_id="pi_3NPK4oD72ibsJmqD0lVvTAR2",
        payment=payment,
        says=f"It is about EUR 26.00, payment {payment.pk} about EUR 25.00.",
        first_seen_at=now(),
        last_seen_at=now(),
    )
    found: dict[str, int] = {
        "payment": payment.pk,
        "refund": failed.pk,
        "dispute": dispute.pk,
        "savedcard": card.pk,
        "deadletter": DeadLetter.objects.get(reference=f"refund {failed.pk}").pk,
        "ledgerline": line.pk,
        "discrepancy": difference.pk,
        "reconciliation": Reconciliation.objects.create(
            kind="NIGHTLY", since=now() - timedelta(days=8), until=now(), started_at=now(), ended_at=now()
        ).pk,
    }
    paths = {name: reverse(f"admin:payments_{name}_change", args=[pk]) for name, pk in found.items()}
    paths |= {f"{name}-list": reverse(f"admin:payments_{name}_changelist") for name in found}
    paths["review-list"] = reverse("admin:payments_review_changelist")
    paths["ledger"] = reverse("admin:tournaments_tournament_ledger", args=[tournament.pk])
    client = Client()
    client.force_login(make_staff())
    return {**paths, "session": client.cookies[settings.SESSION_COOKIE_NAME].value}


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_amounts_are_read_in_their_currency_and_nothing_scrolls_sideways(
    live_site: LiveSite, new_page: Callable[..., Page], size: str
) -> None:
    paths = live_site.call(_rows)
    page = new_page(size)
    page.context.add_cookies([{"name": "sessionid", "value": paths.pop("session"), "url": live_site.url}])
    for name, path in paths.items():
        answer = page.goto(path)
        page.wait_for_load_state()
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"money-{name}-{size}.png", full_page=True)
        assert answer is not None
        assert answer.status == 200, name
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, name
        words = page.locator("#main, body").first.inner_text()
        assert "cents" not in words, name
        assert "('" not in words, name  # a label's pair is for lists
        if name in {"payment", "refund", "dispute", "savedcard", "ledgerline", "ledger"}:
            assert "€" in words, name
