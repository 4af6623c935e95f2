"""Staff work off a review; its player prints the receipt and reads the mail; on a phone and on a desktop."""

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect
from post_office.models import Email

from accounts.models import User
from payments.models import Review
from payments.rules import RefundState, Signal
from payments.rules import State as Paid
from registrations.models import Notice, QueueEntry
from registrations.rules import State
from registrations.services.notices import send_due_notices
from tests.builders import make_entry, make_organization, make_player, make_staff, make_user, now
from tests.payments.rows import make_payment, make_refund
from tests.payments.test_reviews import make_review
from tests.payments.till import make_paid_tournament
from tests.stage import LiveSite

pytestmark = pytest.mark.browser

SHOTS = os.environ.get("SCREENSHOTS")  # a folder: then what was looked at is kept there as pictures


def _session(account: User) -> str:
    client = Client()
    client.force_login(account)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def _suspect() -> tuple[QueueEntry, str]:
    """A confirmed entry that a review is open for, beside others, and a session of staff."""
    tournament = make_paid_tournament(seats=9, name="Rhein Cup")
    for name in ("Misty", "Brock"):
        make_review(make_entry(tournament, make_player(display_name=name)), Signal.LOOKALIKE)
    entry = make_entry(tournament, make_player(display_name="Jessie"), state=State.CONFIRMED)
    review = make_review(entry)
    signals = [
        {"code": "CARD", "points": 100, "says": "One card paid for entries of 4 accounts."},
        {"code": "DEVICE", "points": 70, "says": "6 accounts entered this tournament from what looks like one device."},
    ]
    Review.objects.filter(pk=review.pk).update(signals=signals, score=170)
    return entry, _session(make_staff())


def _paid() -> tuple[QueueEntry, str]:
    """A seat that was given back for a part of what was paid, and its player's session."""
    organization = make_organization(
        "Rhein League",
        legal_name="Rhein League e.V.",
        postal_address="Hohe Straße 12\n44139 Dortmund\nGermany",
        tax_number="DE123456789",
        tax_name="VAT",
        tax_percent=Decimal("19.00"),
    )
    tournament = make_paid_tournament(organization=organization, name="Rhein Cup")
    account = make_user("ash@players.example")
    entry = make_entry(tournament, make_player(account, display_name="Ash"), state=State.CANCELLED)
    payment = make_payment(
        Paid.CAPTURED,
        entry=entry,
        method="card",
        card_brand="visa",
        card_last4="4242",
        kept_minor=500,
        released_at=now(),
        release_reason="given back",
    )
    make_refund(payment, RefundState.SUCCEEDED, amount_minor=2000)
    confirmed = make_entry(tournament, make_player(account, display_name="Gary"), state=State.CONFIRMED)
    Notice.objects.create(entry=confirmed, kind=Notice.Kind.CONFIRMED, due_at=now())
    while send_due_notices():
        pass
    return entry, _session(account)


def _sign_in(page: Page, site: LiveSite, session: str) -> None:
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": site.url}])


def _look(page: Page, name: str, size: str) -> None:
    """Nothing scrolls sideways, nothing serious for axe."""
    page.wait_for_load_state()
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}-{size}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    serious = [v["id"] for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    assert serious == [] or "/admin/" in page.url  # unfold's own colours are not ours to judge


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_staff_work_off_a_review(live_site: LiveSite, new_page: Callable[..., Page], size: str) -> None:
    entry, session = live_site.call(_suspect)
    page = new_page(size)
    _sign_in(page, live_site, session)

    page.goto("/admin/")
    _look(page, "admin-start", size)
    page.get_by_role("link", name="3 entries wait for somebody to look at them").click()
    _look(page, "admin-reviews", size)
    page.get_by_role("link", name="Jessie").click()
    expect(page.get_by_text("One card paid for entries of 4 accounts.")).to_be_visible()
    _look(page, "admin-review", size)
    if size == "phone":
        page.get_by_text("more_horiz").click()
    page.get_by_role("link", name="Take out").click()
    _look(page, "admin-review-reject", size)
    page.locator("[name=reason]").fill("The card was reported stolen.")
    page.get_by_role("button", name="Take it out").click()

    expect(page.get_by_text("its seat goes to the next in line")).to_be_visible()
    _look(page, "admin-review-done", size)
    page.goto("/admin/payments/signalrule/")
    expect(page.get_by_text("From 5 within 60 minutes: 60 points.")).to_be_visible()
    _look(page, "admin-signals", size)
    live_site.call(entry.refresh_from_db)
    assert entry.state == State.REJECTED


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_a_receipt_fits_on_one_sheet_without_what_is_around_it(
    live_site: LiveSite, new_page: Callable[..., Page], size: str
) -> None:
    entry, session = live_site.call(_paid)
    page = new_page(size)
    _sign_in(page, live_site, session)
    page.goto(f"/e/{entry.public_id}/")
    page.get_by_role("link", name="Receipt").click()
    expect(page.get_by_text("Visa ending 4242")).to_be_visible()
    _look(page, "receipt", size)

    page.emulate_media(media="print")
    for hidden in (page.get_by_role("link", name="My entries"), page.get_by_text("Signed in as")):
        expect(hidden).to_be_hidden()
    expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"receipt-print-{size}.png", full_page=True)
    sheets = page.pdf(format="A4", prefer_css_page_size=True).count(b"/Type /Page\n")
    assert sheets == 1


@pytest.mark.parametrize("size", ["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_mail_reads_well_in_light_and_dark(
    live_site: LiveSite, new_page: Callable[..., Page], size: str, scheme: str
) -> None:
    live_site.call(_paid)
    mail = live_site.call(lambda: Email.objects.order_by("-pk")[0])
    page = new_page(size)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_content(mail.html_message)
    expect(page.get_by_role("link", name="The ticket, with its code for the door")).to_be_visible()
    expect(page.get_by_role("link", name="The receipt, to print or to keep")).to_be_visible()
    _look(page, f"mail-{scheme}", size)
