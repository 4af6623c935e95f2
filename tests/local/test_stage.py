"""The stage that whole journeys are played on."""

from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page

from tests.builders import make_user
from tests.stage import Console, LiveSite, Stripe


def test_site_answers_from_the_tests_own_database(live_site: LiveSite) -> None:
    make_user("alice@players.example", password="a-good-long-password")
    with requests.Session() as alice:
        page = alice.get(f"{live_site.url}/accounts/login/", timeout=10)
        token = alice.cookies["csrftoken"]
        form = {"login": "alice@players.example", "password": "a-good-long-password", "csrfmiddlewaretoken": token}
        answer = alice.post(page.url, data=form, timeout=10, allow_redirects=False)
    assert (page.status_code, answer.status_code) == (200, 302)


def test_simulator_is_told_what_to_do(stripe: Stripe) -> None:
    assert stripe.control("webhooks", held=True)["webhooks"]["held"] is True


def test_simulator_has_forgotten_it(stripe: Stripe) -> None:
    assert "held" not in stripe.control("delay", ms=0)["webhooks"]
    assert stripe.objects("payment_intent") == []


@pytest.mark.browser
def test_browser_opens_a_page_in_both_sizes(page: Page, console: Console) -> None:
    console.allow("favicon")
    page.goto("/accounts/login/")
    assert page.locator("input[name=login]").is_visible()


@pytest.mark.browser
def test_console_errors_are_heard(new_page: Callable[..., Page], console: Console) -> None:
    new_page().goto("/no-such-page/")
    console.allow("404")
    assert console.messages
    assert console.unexpected() == []


def test_service_is_called_beside_the_browser(live_site: LiveSite) -> None:
    assert live_site.call(make_user, email="bob@players.example").pk
