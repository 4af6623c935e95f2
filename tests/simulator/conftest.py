"""A real simulator in a process of its own, and a real Stripe client. No database, no Django."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import stripe

from tests.simulator.contract import CheckedClient
from tests.simulator.shop import Shop
from vgchub.local.ports import free_port

ROOT = Path(__file__).parents[2]
KEY = "sk_test_" + "simulator0" * 3


def start(*arguments: str, port: int) -> subprocess.Popen[bytes]:
    """A simulator that answers; the caller stops it."""
    process = subprocess.Popen([sys.executable, "-m", "simulator", "--port", str(port), *arguments], cwd=ROOT)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            requests.get(f"http://127.0.0.1:{port}/_control/state", timeout=2)
        except requests.RequestException:
            time.sleep(0.05)
        else:
            return process
    process.kill()
    raise TimeoutError("the simulator did not start")


def shop_at(port: int) -> Shop:
    address = f"http://127.0.0.1:{port}"
    client = stripe.StripeClient(
        KEY, base_addresses={"api": address}, max_network_retries=0, http_client=CheckedClient()
    )
    return Shop(address=address, client=client)


@pytest.fixture
def _empty_redis() -> None:
    """The simulator needs no Redis, so neither do its tests."""


@pytest.fixture(scope="session")
def running() -> Iterator[int]:
    """The port of one simulator for all tests of a worker."""
    port = free_port()
    process = start("--retry-scale", "0.001", port=port)
    yield port
    process.terminate()
    process.wait(10)


@pytest.fixture
def shop(running: int) -> Shop:
    """An empty simulator and the ways to use it."""
    found = shop_at(running)
    found.control("reset")
    return found
