"""Copies that a browser keeps: of pages that say how late it is, and of files that never change."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page

from tests.builders import make_tournament
from tests.stage import LiveSite

pytestmark = pytest.mark.browser

# What a copy was told when it was made, and by how many milliseconds its clock is wrong now.
CLOCK = """async () => {
  const { serverNow } = await import("/static/js/clock.js");
  return [document.querySelector("[data-now]").dataset.now, serverNow() - Date.now()];
}"""


def test_countdown_goes_on_by_the_servers_clock_on_a_copy_that_still_holds(
    new_page: Callable[..., Page], live_site: LiveSite
) -> None:
    shown = live_site.call(
        make_tournament, opens_in=timedelta(days=9)
    )  # told in days and hours: the page says the same
    page = new_page()
    page.goto(shown.get_absolute_url())
    made_at, _wrong = page.evaluate(CLOCK)
    page.wait_for_timeout(4000)
    page.reload()
    still_made_at, wrong = page.evaluate(CLOCK)
    assert still_made_at == made_at  # the very copy
    assert abs(wrong) < 2000


def test_files_are_packed_and_never_asked_for_again(new_page: Callable[..., Page]) -> None:
    page = new_page()
    files: dict[str, dict[str, str]] = {}
    page.on("response", lambda answer: files.update({answer.url: answer.headers}) if "/static/" in answer.url else None)
    page.goto("/")
    page.wait_for_load_state("networkidle")
    assert len(files) > 10
    for url, headers in files.items():
        assert "immutable" in headers["cache-control"], url
        assert "max-age=315360000" in headers["cache-control"], url
        if int(headers["content-length"]) > 1000:
            assert headers["content-encoding"] == "gzip", url
