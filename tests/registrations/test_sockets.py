"""Sockets: the line for everybody, what concerns an account for that account alone, and only from our own pages."""

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import signing
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from registrations import passes
from registrations.models import QueueEntry
from registrations.services import join_queue, leave_queue
from tests.builders import make_entry, make_player, make_tournament
from tests.stage import LiveSite
from tournaments.models import Tournament


@asynccontextmanager
async def socket(site: LiveSite, text: str, *, origin: str | None = "own", path: str = "/live/") -> AsyncIterator[Any]:
    url = f"{site.live_url}{path}?{urlencode({'pass': text})}"
    async with connect(url, origin=site.url if origin == "own" else origin) as connection:  # type: ignore[arg-type]
        yield connection


async def hears(connection: ClientConnection, kind: str, *, within: float = 20) -> Any:
    """The next message of that kind."""
    async with asyncio.timeout(within):
        while True:
            message = json.loads(await connection.recv())
            if message["kind"] == kind:
                return message


async def everything(connection: ClientConnection, *, until_waiting: int, within: float = 20) -> list[Any]:
    """All messages up to the line in which so many wait."""
    heard: list[Any] = []
    async with asyncio.timeout(within):
        while not heard or _waiting(heard[-1]) != until_waiting:
            heard.append(json.loads(await connection.recv()))
    return heard


def _waiting(message: Any) -> int | None:
    return sum(division["waiting"] for division in message["head"]["divisions"].values()) if "head" in message else None


def in_its_own_loop(coroutine: Any) -> Any:
    """In a thread of its own: a browser that another test opened has a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def make_line(site: LiveSite) -> tuple[Tournament, QueueEntry, QueueEntry]:
    def make() -> tuple[Tournament, QueueEntry, QueueEntry]:
        tournament = make_tournament(seats=0)
        return tournament, make_entry(tournament), make_entry(tournament)

    return site.call(make)


def own_pass(entry: QueueEntry) -> str:
    return passes.issue(entry.tournament_id, entry.player.account_id, [entry])


def test_a_move_reaches_every_socket_and_a_players_own_news_only_the_player(live_site: LiveSite) -> None:
    tournament, alice, bob = make_line(live_site)

    async def play() -> tuple[Any, Any, list[Any]]:
        async with socket(live_site, own_pass(alice)) as hers, socket(live_site, own_pass(bob)) as his:
            await everything(hers, until_waiting=2)
            await everything(his, until_waiting=2)
            await asyncio.to_thread(live_site.call, _join_another, tournament=tournament)
            moved = (await everything(his, until_waiting=3))[-1]
            await asyncio.to_thread(live_site.call, _leave, entry=alice)
            told = await hears(hers, "entry.changed")
            return moved, told, await everything(his, until_waiting=2)

    moved, told, heard_by_bob = in_its_own_loop(play())
    (division,) = moved["head"]["divisions"].values()
    assert division["waiting"] == 3
    assert told == {"kind": "entry.changed", "entry": alice.public_id}
    assert {message["kind"] for message in heard_by_bob} == {"line"}


def _join_another(tournament: Tournament) -> None:
    player = make_player()
    join_queue(account=player.account, tournament=tournament, player_ids=[player.pk])


def _leave(entry: QueueEntry) -> None:
    leave_queue(account=entry.player.account, public_id=entry.public_id)


def test_anybody_sees_the_public_counters_with_a_pass_that_names_nobody(live_site: LiveSite) -> None:
    tournament, *_entries = make_line(live_site)

    async def look() -> Any:
        async with socket(live_site, passes.issue(tournament.pk, None, [])) as connection:
            return (await everything(connection, until_waiting=2))[-1]

    assert in_its_own_loop(look())["kind"] == "line"


@pytest.mark.parametrize(
    ("forged", "origin"),
    [
        ("", "own"),
        ("nonsense", "own"),
        (signing.dumps([1, 1, []], salt="another"), "own"),
        (None, "https://evil.example"),
    ],
    ids=["none", "nonsense", "signed for another purpose", "of a foreign page"],  # a signature is new each second
)
def test_a_forged_pass_or_a_foreign_page_is_turned_away(live_site: LiveSite, forged: str | None, origin: str) -> None:
    _tournament, alice, _bob = make_line(live_site)

    async def knock() -> None:
        async with socket(live_site, own_pass(alice) if forged is None else forged, origin=origin) as connection:
            await connection.recv()

    with pytest.raises((InvalidStatus, ConnectionClosed)):
        in_its_own_loop(knock())


def test_an_old_pass_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    text = passes.issue(1, 2, [])
    assert passes.read(text) == passes.Pass(1, 2, ())
    monkeypatch.setattr(passes, "MAX_AGE_SECONDS", -1)
    assert passes.read(text) is None


def test_an_unknown_address_is_closed_without_a_traceback(live_site: LiveSite) -> None:
    async def knock() -> None:
        async with socket(live_site, "", path="/somewhere/") as connection:
            await connection.recv()

    with pytest.raises((InvalidStatus, ConnectionClosed)):
        in_its_own_loop(knock())
    assert "Traceback" not in live_site.process("live").tail()
