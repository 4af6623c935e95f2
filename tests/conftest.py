"""What every test stands on: a database and a Redis of its worker's own, both empty; and the stage for whole journeys."""

import os
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import redis
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.test import TransactionTestCase
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Page, expect
from pytest_django import DjangoDbBlocker

from tests.databases import Emptier, make_worker_database
from tests.stage import SIZES, Console, LiveSite, Stage, Stripe
from vgchub import limits

STAGE = pytest.StashKey[Stage]()

# The same examples in every run, so that a change is judged by what it changes. `bin/test --nightly` asks for ten times as many,
# other ones every night.
hypothesis_settings.register_profile("always", deadline=None, derandomize=True)
hypothesis_settings.register_profile("nightly", max_examples=1000, deadline=None, print_blob=True)
hypothesis_settings.load_profile("always")

expect.set_options(timeout=20_000)  # a busy machine takes longer than a browser's usual five seconds


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """In place of pytest-django's: the worker's own database, copied from a template that is migrated once."""
    url = os.environ["DATABASE_URL"]
    make_worker_database(url)
    emptier = Emptier(url)
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _self: emptier.empty())
        yield


@pytest.fixture(scope="session")
def _redis_of_worker() -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


@pytest.fixture(autouse=True)
def _empty_redis(_redis_of_worker: "redis.Redis") -> None:
    """No test sees another's cache, limits or jobs, nor the limits that a process keeps while Redis is away."""
    _redis_of_worker.flushdb()
    LocMemCache("limits", {}).clear()
    limits.forget()


@pytest.fixture(scope="session")
def _stripe_of_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stripe]:
    stripe = Stripe(tmp_path_factory.mktemp("stripe"))
    yield stripe
    stripe.stop()


@pytest.fixture
def stripe(_stripe_of_worker: Stripe) -> Stripe:
    """The simulator, empty."""
    _stripe_of_worker.control("reset")
    return _stripe_of_worker


@pytest.fixture
def live_site(
    transactional_db: None,
    stripe: Stripe,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> LiveSite:
    """The whole site, running. What the test writes to the database it sees, and the other way round."""
    if STAGE not in request.config.stash:
        request.config.stash[STAGE] = Stage(tmp_path_factory.mktemp("stage"))
    site = request.config.stash[STAGE].site()
    site.call(call_command, command_name="register_webhook", stdout=StringIO())
    return site


@pytest.fixture
def console() -> Iterator[Console]:
    """What the browser's console said; the test fails on anything that it didn't allow."""
    console = Console()
    yield console
    assert console.unexpected() == []


@pytest.fixture
def new_page(live_site: LiveSite, console: Console, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """`new_page("phone", javascript=True)`: a page on a device of its own (cookies, storage), at home on the site."""
    contexts = []

    def make(size: str = "phone", *, javascript: bool = True, **options: Any) -> Page:
        context = (
            request.config.stash[STAGE]
            .browser()
            .new_context(
                base_url=live_site.url,
                viewport=SIZES[size],
                has_touch=size == "phone",
                java_script_enabled=javascript,
                **options,
            )
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        console.listen(page)
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(params=["phone", "desktop"])
def page(new_page: Callable[..., Page], request: pytest.FixtureRequest) -> Page:
    """One page, in each of the two sizes."""
    return new_page(request.param)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Tests on the stage come last and on one worker, so that the site is started once.

    Marked before pytest-xdist looks for groups, and sorted after pytest-randomly has shuffled.
    """
    for item in filter(_is_on_stage, items):
        item.add_marker(pytest.mark.xdist_group("stage"))
    yield
    items.sort(key=_is_on_stage)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Clear the stage when the next test isn't on it: its clock and jobs would work in that test's database."""
    if STAGE in item.config.stash and (nextitem is None or not _is_on_stage(nextitem)):
        item.config.stash[STAGE].clear()


def _is_on_stage(item: pytest.Item) -> bool:
    return "live_site" in getattr(item, "fixturenames", ())
