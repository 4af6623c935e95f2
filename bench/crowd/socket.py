"""As much of WebSocket as a crowd needs, with as little work for each message as Python can do."""

import asyncio
import base64
import os
from typing import Any, Protocol

TEXT, CLOSE, PING = 1, 8, 9
PONG_HEAD = 0x8A

# Seconds at most before each try to come back, as in static/js/socket.js; how long it is is drawn, evenly.
BACK_OFF = (2, 3, 5, 8, 15, 30)


class Listener(Protocol):
    """What a socket tells."""

    def opened(self, socket: "Socket") -> None: ...

    def receive(self, payload: bytes) -> None: ...

    def ended(self, socket: "Socket", *, was_open: bool) -> None: ...


class Socket(asyncio.Protocol):
    """A WebSocket that only listens. `listener` hears that it opens, each text, and its end, also if it never opened."""

    def __init__(self, greeting: bytes, listener: "Listener") -> None:
        self._greeting, self._listener = greeting, listener
        self._rest = b""
        self.transport: Any = None
        self.is_open = False

    def close(self) -> None:
        if self.transport is not None:  # else it was never made
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self._greeting)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        was_open, self.is_open = self.is_open, False
        self._listener.ended(self, was_open=was_open)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        if not self.is_open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            if b" 101 " not in head[:16]:
                self.transport.abort()
                return
            self.is_open = True
            self._listener.opened(self)
        while data:
            frame, after = _frame(data)
            if frame is None:
                self._rest = data
                return
            self._take(data[0] & 0x0F, frame)
            data = data[after:]

    def _take(self, opcode: int, frame: bytes) -> None:
        if opcode == TEXT:
            self._listener.receive(frame)
        elif opcode == PING:
            self.transport.write(bytes((PONG_HEAD, 0x80 | len(frame), 0, 0, 0, 0)) + frame)  # the mask is zero
        elif opcode == CLOSE:
            self.transport.close()


def _frame(data: bytes) -> tuple[bytes | None, int]:
    """The first frame's content and where the next one begins; None if it isn't whole. A server neither masks nor splits."""
    if len(data) < 2:
        return None, 0
    size, begin = data[1] & 0x7F, 2
    if size > 125:
        begin = 4 if size == 126 else 10
        size = int.from_bytes(data[2:begin])
    end = begin + size
    return (data[begin:end], end) if len(data) >= end else (None, 0)


def hello(host: str, port: int, path: str, *headers: str) -> bytes:
    """The request that opens a WebSocket."""
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        *headers,
    )
    return "\r\n".join([*lines, "", ""]).encode()
