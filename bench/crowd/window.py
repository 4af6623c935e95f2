"""A browser's window on the line: one socket, opened again after a break as static/js/socket.js does."""

import asyncio
import html
import random
import re
import time
from collections.abc import Callable
from urllib.parse import quote

from bench.crowd.lines import Lines, Text
from bench.crowd.plan import Plan
from bench.crowd.socket import BACK_OFF, Socket, hello
from bench.crowd.tally import Tally

PASS = re.compile(r'data-pass="([^"]+)"')


class Window:
    """`receive` gets each text; `back` is called when the socket is open again after a break."""

    def __init__(
        self,
        plan: Plan,
        tally: Tally,
        lines: Lines,
        *,
        receive: Callable[[Text], None],
        back: Callable[[], None],
        chance: random.Random,
    ) -> None:
        self.plan, self.tally, self.lines, self.chance = plan, tally, lines, chance
        self._receive, self._back = receive, back
        self._socket: Socket | None = None
        self._pass = ""
        self._breaks = 0
        self._greeted = False
        self._is_away = False  # it was open, and isn't back yet
        self._began = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._socket is not None and self._socket.is_open

    def show(self, page: str) -> None:
        """Open the page's socket, in place of the one of the page before."""
        found = PASS.search(page)
        if found is None:
            self.tally.outcomes["pages without a socket"] += 1
            return
        old, self._socket = self._socket, None
        if old is not None:
            old.close()
        self._pass, self._breaks = html.unescape(found.group(1)), 0
        self._connect()

    def opened(self, socket: Socket) -> None:
        self.tally.sockets += 1
        self.tally.answered("socket", self._began)
        if socket is self._socket:
            if self._breaks:
                self._back()
            self._breaks = 0
            self._note_away(is_away=False)

    def receive(self, payload: bytes) -> None:
        # The first line is the greeting, to this socket alone.
        text = self.lines.read(payload, broadcast=self._greeted)
        if text.kind == "line":
            self._greeted = True
        self._receive(text)

    def ended(self, socket: Socket, *, was_open: bool) -> None:
        self.tally.sockets -= was_open
        if socket is self._socket:
            if was_open:
                self._note_away(is_away=True)
            self._come_back()

    def _note_away(self, *, is_away: bool) -> None:
        self.tally.away += is_away - self._is_away
        self._is_away = is_away

    def _connect(self) -> None:
        path = f"/live/?pass={quote(self._pass)}"
        socket = Socket(hello("127.0.0.1", self.plan.live_port, path, f"Origin: {self.plan.site}"), self)
        self._socket, self._greeted, self._began = socket, False, time.monotonic()
        self._task = asyncio.create_task(self._open(socket))

    async def _open(self, socket: Socket) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: socket, "127.0.0.1", self.plan.live_port)
        except OSError:
            self.ended(socket, was_open=False)

    def _come_back(self) -> None:
        wait = BACK_OFF[min(self._breaks, len(BACK_OFF) - 1)]
        self._breaks += 1
        self.tally.outcomes["sockets broke"] += 1
        socket = self._socket

        def again() -> None:
            if socket is self._socket:
                self._connect()

        asyncio.get_running_loop().call_later(self.chance.random() * wait, again)
