"""Answers that never arrive: the connection is cut, or the client is left waiting.

A web framework can't cut its connection, so the server's protocol remembers which are open.
"""

import asyncio
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

OPEN: dict[tuple[str, int], asyncio.Transport] = {}


class Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client:
            OPEN[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client:
            OPEN.pop(self.client, None)


class Silence(Response):
    """No answer: `close` cuts the connection, `hang` waits until the client has had enough."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (nothing is sent)
        client: Any = scope["client"]
        if self.how == "close" and client in OPEN:
            OPEN[client].abort()
        while (await receive())["type"] != "http.disconnect":
            pass
