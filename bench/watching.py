"""Pages that watch a line, in one process: each computes its own position from every text, as static/js/live.js does."""

import asyncio
import json
import random
import time
from base64 import b64decode
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from bench.crowd.socket import BACK_OFF, Socket, hello

BLOCK = 1024
AT_ONCE = 500  # sockets that are opening, the first time


@dataclass(frozen=True)
class Text:
    """A text, read once however many sockets get it: how many stand before each block, and the bitmaps that it brought."""

    kind: str
    before: dict[str, int]
    blocks: dict[str, int]


@lru_cache(maxsize=256)
def read(payload: bytes) -> Text:
    message: dict[str, Any] = json.loads(payload)
    divisions = message.get("head", {}).get("divisions", {})
    return Text(
        message["kind"],
        {
            f"{division}:{lane['lane']}:{number}": before
            for division, numbers in divisions.items()
            for lane in numbers["lanes"]
            for number, before in lane["blocks"]
        },
        {name: int.from_bytes(b64decode(bits), "little") for name, bits in message.get("blocks", {}).items()},
    )


@dataclass
class Moves:
    """When the head of the line left, each time (time.monotonic(), just before it did), and how late who showed it."""

    at: list[float] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)  # by how many pages
    last: list[float] = field(default_factory=list)

    def begin(self) -> None:
        self.shown.append(0)
        self.last.append(0.0)
        self.at.append(time.monotonic())

    def show(self, first: int, until: int, now: float) -> None:
        for move in range(first, until):
            self.shown[move] += 1
            self.last[move] = now

    def lags(self, pages: int) -> list[float]:
        """For each move that all pages have shown, the seconds until the last one did."""
        whole = zip(self.at, self.shown, self.last, strict=True)
        return [last - at for at, shown, last in whole if shown >= pages]


class Page:
    """A player's page: `position` is what it shows, and None until it knows."""

    __slots__ = ("bits", "crowd", "field", "first", "gone", "mask", "news", "position", "socket", "tries", "wanted")

    def __init__(self, crowd: "Crowd", live_pass: str, field: str, place: int) -> None:
        self.crowd, self.field = crowd, field
        self.mask = (1 << (place % BLOCK)) - 1
        self.wanted = hello("127.0.0.1", crowd.port, f"/live/?pass={quote(live_pass)}", f"Origin: {crowd.origin}")
        self.bits = 0
        self.first: int | None = None  # the position that it showed first
        self.gone = 0  # how many have left the line before it since
        self.position: int | None = None
        self.news = 0
        self.tries = 0
        self.socket: Socket | None = None

    async def open(self) -> None:
        self.socket = Socket(self.wanted, self)
        try:
            socket = self.socket
            await asyncio.get_running_loop().create_connection(lambda: socket, "127.0.0.1", self.crowd.port)
        except OSError:
            self.ended(self.socket, was_open=False)

    def opened(self, _socket: Socket) -> None:
        self.tries = 0

    def receive(self, payload: bytes) -> None:
        text = read(payload)
        if text.kind != "line":
            self.news += 1
            return
        self.bits = text.blocks.get(self.field, self.bits)
        if self.field in text.before:
            self._show(text.before[self.field] + (self.bits & self.mask).bit_count() + 1)

    def _show(self, position: int) -> None:
        if self.position is None:
            self.crowd.ready += 1
        if self.first is None:
            self.first = position
        gone = self.first - position
        if gone > self.gone:
            self.crowd.moves.show(self.gone, gone, time.monotonic())
            self.gone = gone
        self.position = position

    def ended(self, _socket: Socket, *, was_open: bool) -> None:
        """Comes back as a browser's page does."""
        if was_open and self.position is not None:
            self.position = None
            self.crowd.ready -= 1
        if self.crowd.closing:
            return
        wait = BACK_OFF[min(self.tries, len(BACK_OFF) - 1)]
        self.tries += 1
        self.crowd.again(self, random.uniform(0, wait))  # noqa: S311  jitter


class Crowd:
    """All pages. `ready` is how many have an open socket and show a position."""

    def __init__(self, port: int, origin: str) -> None:
        self.port, self.origin = port, origin
        self.pages: list[Page] = []
        self.moves = Moves()
        self.ready = 0
        self.closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open all sockets, some hundred at a time."""
        opening = asyncio.Semaphore(AT_ONCE)

        async def one(page: Page) -> None:
            async with opening:
                await page.open()

        await asyncio.gather(*map(one, self.pages))

    def again(self, page: Page, wait: float) -> None:
        def begin() -> None:
            task = asyncio.create_task(page.open())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        asyncio.get_running_loop().call_later(wait, begin)

    async def all_ready(self, *, within: float) -> float:
        """Seconds until every page shows a position. Raises TimeoutError."""
        began = time.monotonic()
        async with asyncio.timeout(within):
            while self.ready < len(self.pages):
                await asyncio.sleep(0.005)
        return time.monotonic() - began

    def close(self) -> None:
        self.closing = True
        for page in self.pages:
            if page.socket is not None and page.socket.is_open:
                page.socket.close()
