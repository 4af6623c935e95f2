"""A real Stripe simulator in a process of its own, the real client, and a player with an offer."""

from collections.abc import Iterator

import pytest
from django.conf import LazySettings

from payments.gateway import calling
from tests.payments.till import Till
from tests.simulator.conftest import KEY, shop_at, start
from vgchub.local.ports import free_port


@pytest.fixture(scope="session")
def simulator_port() -> Iterator[int]:
    """One simulator for all payment tests of a worker; it sends retries after milliseconds."""
    port = free_port()
    process = start("--retry-scale", "0.001", port=port)
    yield port
    process.terminate()
    process.wait(10)


@pytest.fixture
def till(simulator_port: int, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Till:
    """An empty simulator that the site talks to."""
    shop = shop_at(simulator_port)
    shop.control("reset")
    settings.STRIPE_SECRET_KEY = KEY
    settings.STRIPE_TEST_SECRET_KEY = KEY
    settings.STRIPE_API_BASE = shop.address
    monkeypatch.setattr(calling, "RETRIES", 0)
    monkeypatch.setattr(calling, "TIMEOUT", (20.0, 20.0))
    monkeypatch.setattr(calling, "URGENT_TIMEOUT", (20.0, 20.0))
    calling.client_for.cache_clear()
    return Till(shop)
