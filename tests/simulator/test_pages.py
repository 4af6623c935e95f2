"""The hosted pages in a real browser, with and without JavaScript."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.simulator.shop import Shop
from tests.stage import FLAGS, SIZES, Console
from vgchub.local.chromium import chromium

SERIOUS = {"serious", "critical"}
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield found
        found.close()


@pytest.fixture(params=["phone", "desktop", "phone without JavaScript"])
def page(browser: Browser, console: Console, request: pytest.FixtureRequest) -> Iterator[Page]:
    size, _, without = request.param.partition(" without ")
    context = browser.new_context(viewport=SIZES[size], java_script_enabled=not without)
    context.set_default_timeout(10_000)
    page = context.new_page()
    console.listen(page)
    yield page
    context.close()


def choose(page: Page, label: str) -> None:
    """Press a test card, then Pay."""
    page.get_by_role("link", name=label).click()
    page.get_by_role("button", name="Pay €25.00").click()


def test_customer_is_declined_tries_again_and_pays(shop: Shop, page: Page) -> None:
    session = shop.session(success_url=f"{shop.address}/?paid={{CHECKOUT_SESSION_ID}}")
    page.goto(session.url)
    choose(page, "Insufficient funds")
    expect(page.get_by_role("alert")).to_contain_text("Your card has insufficient funds")
    choose(page, "3-D Secure 2")
    page.get_by_role("button", name="Fail authentication").click()
    expect(page.get_by_role("alert")).to_contain_text("unable to authenticate")
    choose(page, "3-D Secure 2")
    page.get_by_role("button", name="Complete authentication").click()
    expect(page).to_have_url(f"{shop.address}/?paid={session.id}")
    page.goto(session.url)
    expect(page.get_by_role("heading", name="Already paid")).to_be_visible()


def test_customer_saves_a_card(shop: Shop, page: Page) -> None:
    session = shop.saving_session(success_url=f"{shop.address}/?saved")
    page.goto(session.url)
    expect(page.get_by_text("Nothing is charged now.")).to_be_visible()
    page.get_by_role("link", name="3-D Secure 2").click()
    page.get_by_role("button", name="Save card").click()
    page.get_by_role("button", name="Complete authentication").click()
    expect(page).to_have_url(f"{shop.address}/?saved")
    page.goto(session.url)
    expect(page.get_by_role("heading", name="Card saved")).to_be_visible()


def test_customer_who_mistypes_sees_what_to_correct(shop: Shop, page: Page) -> None:
    page.goto(shop.session().url)
    for label, value in {"Card number": "4242 4242 4242 4241", "Expires": "12 / 40", "Security code": "123"}.items():
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("alert")).to_have_text("Your card number is invalid.")
    expect(page.get_by_label("Card number")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Expires")).to_have_value("12 / 40")


def test_customer_can_go_back_and_finds_an_expired_page_closed(shop: Shop, page: Page) -> None:
    session = shop.session(cancel_url=f"{shop.address}/?cancelled")
    page.goto(session.url)
    page.get_by_role("link", name="Cancel and go back").click()
    expect(page).to_have_url(f"{shop.address}/?cancelled")
    shop.v1.checkout.sessions.expire(session.id)
    page.goto(session.url)
    expect(page.get_by_role("heading", name="This page has expired")).to_be_visible()


def test_pages_are_accessible_and_fit_the_screen(shop: Shop, browser: Browser, console: Console) -> None:
    addresses = (shop.session().url, shop.saving_session().url, shop.address)
    for size in SIZES.values():
        page = browser.new_page(viewport=size, bypass_csp=True)
        console.listen(page)
        for address in addresses:
            page.goto(address)
            assert not [found for found in Axe().run(page).response["violations"] if found["impact"] in SERIOUS]
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        page.close()
