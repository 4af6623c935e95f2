"""Redis that takes connections and never answers: one waits for it, everybody else goes on."""

import socket
import time
from collections.abc import Callable, Iterator
from threading import Barrier, Thread
from typing import Any

import pytest
from django.contrib.sessions.backends.cached_db import KEY_PREFIX
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django_redis import get_redis_connection
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from registrations.clock import Clock
from registrations.rules import State
from tests.builders import make_entry, make_player, make_tournament
from vgchub import limits
from vgchub.celery import wake_on_commit
from vgchub.limits import Limit, take
from vgchub.outage import Outage, outage
from vgchub.tasks import send_mail

THREADS = 8


class Silent:
    """A server that the kernel takes connections for, and nobody ever reads from."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._socket.setblocking(False)
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"

    def tries(self) -> int:
        """How many connections were made since this was last asked."""
        number = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except BlockingIOError:
                return number
            number += 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def silent(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    """In Redis' place; it is left alone until `rest_is_over`."""
    server = Silent()
    default = settings.CACHES["default"]
    options = {**default["OPTIONS"], "SOCKET_TIMEOUT": 0.3}
    monkeypatch.setattr(Outage, "REST_SECONDS", 600)
    settings.CACHES = {"default": {**default, "LOCATION": server.url, "OPTIONS": options}}
    limits.forget()
    yield server
    limits.forget()
    server.close()


def rest_is_over() -> None:
    outage._rests_until = time.monotonic()


def all_at_once(ask: Callable[[int], None]) -> None:
    go = Barrier(THREADS)

    def run(number: int) -> None:
        go.wait(20)
        ask(number)

    threads = [Thread(target=run, args=[number]) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def take_one(number: int) -> None:
    take("test", [Limit("player", number, 9, 60)])


def test_one_thread_asks_a_redis_that_hangs_and_the_others_go_on(silent: Silent) -> None:
    take_one(-1)
    assert silent.tries() == 1
    all_at_once(take_one)
    assert silent.tries() == 0
    rest_is_over()
    all_at_once(take_one)
    assert silent.tries() == 1


def test_threads_of_which_none_says_that_it_asks_all_ask(silent: Silent, monkeypatch: pytest.MonkeyPatch) -> None:
    take_one(-1)
    rest_is_over()
    monkeypatch.setattr(Outage, "_may_ask", lambda outage: time.monotonic() >= outage._rests_until)
    all_at_once(take_one)
    assert silent.tries() > 2


@pytest.mark.django_db
def test_pages_sessions_joins_and_the_line_wait_once_in_all_and_redis_that_is_back_is_used(
    settings: Settings, silent: Silent, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SHELF_SECONDS = 1.0
    tournament, player = make_tournament(), make_player()
    hanging, client = settings.CACHES, Client()
    client.force_login(player.account)

    def visit() -> None:
        for name in ("tournament", "queue", "tournament", "queue"):
            assert client.get(reverse(name, args=[tournament.slug])).status_code == 200

    def join() -> int:
        return client.post(reverse("join", args=[tournament.slug]), {"players": [player.pk]}).status_code

    assert join() == 302
    visit()
    assert join() == 302
    assert silent.tries() == 1

    settings.CACHES = {"default": {**hanging["default"], "LOCATION": settings.REDIS_URL}}
    limits._script.cache_clear()
    with pytest.raises(RedisConnectionError, match="left alone"):
        get_redis_connection("default").ping()
    rest_is_over()
    assert join() == 302
    visit()
    assert get_redis_connection("default").keys("vgchub:limit:*:player:*")
    assert cache.get(f"{KEY_PREFIX}{client.session.session_key}")
    said = [record.levelname for record in caplog.records if record.name == "vgchub.outage"]
    assert said == ["ERROR", "WARNING"]


@pytest.mark.django_db
def test_the_clock_waits_once_for_a_redis_that_hangs_and_offers_seats_without_it(silent: Silent) -> None:
    entry, clock = make_entry(make_tournament()), Clock()
    assert clock.lead.is_ours()
    clock.tick()
    clock.lead.pass_on()
    entry.refresh_from_db()
    assert entry.state == State.OFFERED
    assert silent.tries() == 1


@pytest.mark.django_db
def test_jobs_are_not_handed_to_a_redis_that_hangs_until_it_is_asked_again(
    silent: Silent, settings: Settings, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    broker: Any = Redis.from_url(settings.REDIS_URL)

    def wake() -> None:
        with django_capture_on_commit_callbacks(execute=True):
            wake_on_commit(send_mail)

    with broker:
        take_one(-1)
        wake()
        assert broker.llen("mail") == 0
        rest_is_over()
        wake()
        assert broker.llen("mail") == 1


def test_a_pipeline_that_asks_nothing_finds_nothing_out(silent: Silent) -> None:
    take_one(-1)
    assert get_redis_connection("default").pipeline().execute() == []
    assert outage.since is not None
    assert silent.tries() == 1
