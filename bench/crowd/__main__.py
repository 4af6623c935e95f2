"""`python -m bench.crowd PLAN`: plays until a line comes on stdin. Says every second how it stands, at the end what it met."""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from bench.crowd.browser import LostError
from bench.crowd.lines import Lines, Published
from bench.crowd.plan import read
from bench.crowd.player import Player
from bench.crowd.tally import Tally
from bench.load import run

LOOK = 0.1  # seconds between two looks at the sockets
STATES = ("WAITING", "OFFERED", "CONFIRMED", "PASSED")


async def main(path: Path) -> None:
    plan, people = read(path)
    tally, published = Tally(), Published()
    lines = [Lines(published) for _person in people]
    players = [Player(person, plan, tally, shows) for person, shows in zip(people, lines, strict=True)]
    tasks = [asyncio.create_task(_play(player)) for player in players]
    reader = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    busy_from, began = _busy(), time.monotonic()
    said = began
    while not reader.done():
        await asyncio.sleep(LOOK)
        tally.look()
        if time.monotonic() - said >= 1:
            said = time.monotonic()
            _say({"now": _now(players, tally)})
    ends = time.monotonic()
    share = (_busy() - busy_from) / (ends - began)
    behind = sum(
        player.window.is_open and shows.shown is not published.latest
        for player, shows in zip(players, lines, strict=True)
    )
    for task in tasks:
        task.cancel()
    wrong = [end for end in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(end, Exception)]
    _say(
        {
            "end": {
                **tally.report(),
                "line_lag_s": round(published.lag(tally.joined, tally.confirmed, ends=ends), 2),
                "spread_s": round(published.spread(), 2),
                "sockets_behind": behind,
                "generator_share": round(share, 2),
                "wrong": [repr(error) for error in wrong],
            }
        }
    )


async def _play(player: Player) -> None:
    try:
        await player.play()
    except LostError:
        return


def _now(players: list[Player], tally: Tally) -> dict[str, Any]:
    states = [player.state for player in players]
    shown = {state.lower(): states.count(state) for state in STATES}
    return {
        "sockets": tally.sockets,
        "away": tally.away,
        "joined": len(tally.joined),
        **shown,
        "failed": len(tally.failed),
    }


def _busy() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    run(main(Path(sys.argv[1])))
