"""The crowd waits and asks as the page's scripts do: what it measures is what the browsers would do to the site."""

import asyncio
import json
import random
import re
from typing import Any

import pytest

from bench.crowd import player, socket
from bench.crowd.lines import Lines, Published, Text
from bench.crowd.plan import Person, Plan
from bench.crowd.player import Player
from bench.crowd.tally import Tally
from bench.crowd.window import Window
from vgchub.local.fingerprint import HOUSE

PLAN = Plan(port=1, live_port=1, slug="cup", arrive_at=0, join_at=0, seconds=1)


def source(path: str) -> str:
    return (HOUSE / path).read_text()


def seconds(script: str, name: str) -> Any:
    """The script's constant, a number of milliseconds or a list of them."""
    (value,) = re.findall(rf"^const {name} = ([^;]+);", source(f"static/js/{script}.js"), re.MULTILINE)
    read = json.loads(value)
    return tuple(ms / 1000 for ms in read) if isinstance(read, list) else read / 1000


@pytest.mark.parametrize(
    ("ours", "script", "name"),
    [
        (socket.BACK_OFF, "socket", "BACK_OFF_MS"),
        (player.REFRESH, "live", "REFRESH_WITHOUT_SOCKET_MS"),
        (player.ASK_EVERY, "live", "ASK_EVERY_MS"),
        (player.SPREAD, "live", "SPREAD_MS"),
        (player.SPREAD_OF_OFFERED, "live", "SPREAD_OF_OFFERED_MS"),
        (player.SPREAD_OF_ALL, "live", "SPREAD_OF_ALL_MS"),
    ],
)
def test_the_crowd_has_the_scripts_pauses(ours: object, script: str, name: str) -> None:
    assert ours == seconds(script, name)


def test_the_crowd_draws_its_pauses_as_the_scripts_do() -> None:
    assert "setTimeout(connect, Math.random() * wait)" in source("static/js/socket.js")
    assert "REFRESH_WITHOUT_SOCKET_MS * (1 + Math.random() / 2)" in source("static/js/live.js")
    assert f'content="{player.RETURN_REFRESH:.0f}"' in source("templates/payments/return.html")


def test_sockets_that_broke_together_come_back_spread_over_the_whole_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_later", lambda wait, _again: waits.append(wait))
        for seed in range(200):
            chance = random.Random(seed)  # noqa: S311
            window = Window(
                PLAN, Tally(), Lines(Published()), receive=lambda _text: None, back=lambda: None, chance=chance
            )
            window._come_back()

    asyncio.run(play())
    assert 0 <= min(waits) < 0.1
    assert 1.9 < max(waits) <= socket.BACK_OFF[0]


@pytest.mark.parametrize(
    ("state", "place", "within"),
    [("WAITING", 7, None), ("WAITING", None, 40.0), ("OFFERED", 7, 3.0), ("PASSED", 7, 40.0), ("", None, None)],
    ids=["in line", "before the draw", "offered", "passed", "no entry"],
)
def test_after_a_break_a_player_asks_only_for_what_the_greeting_does_not_say(
    state: str, place: int | None, within: float | None
) -> None:
    async def asks_after(number: int) -> float:
        one = Player(Person(number, number, "", ""), PLAN, Tally(), Lines(Published()))
        one.state, one.place, one.entry = state, place, state and "e"
        one._back()
        return one.asks_at - asyncio.get_running_loop().time()

    async def play() -> list[float]:
        return [await asks_after(number) for number in range(100)]

    latest = max(asyncio.run(play()))
    assert latest == float("inf") if within is None else within * 0.8 < latest <= within


def test_who_is_missed_by_the_line_asks_once_more_after_the_pause_unless_it_knows_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(player, "ASK_EVERY", 0.2)
    without, again = Text("line", {"7:0:0": b""}, None), Text("line", {"7:0:0": b"\x80"}, None)
    asked: list[float] = []

    async def play() -> None:
        one = Player(Person(1, 1, "", ""), PLAN, Tally(), Lines(Published()))
        one.state, one.place, one.field, one.entry = "WAITING", 7, "7:0:0", "e"
        monkeypatch.setattr(one, "_ask_again", lambda _spread: asked.append(asyncio.get_running_loop().time()))
        for text in (without, without, without):
            one._receive(text)
            await asyncio.sleep(0.01)
        assert len(asked) == 1
        await asyncio.sleep(0.3)
        assert len(asked) == 2
        one._receive(without)
        one._receive(again)
        await asyncio.sleep(0.3)
        one._receive(without)
        one._receive(without)
        one.state = "OFFERED"
        await asyncio.sleep(0.3)
        assert len(asked) == 3

    asyncio.run(play())
    assert asked[1] - asked[0] >= 0.19  # timers may be a moment early
