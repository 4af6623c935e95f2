"""The sockets of the live page and of a tournament's page."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, WebSocketScope
from django.conf import settings

from registrations import passes
from registrations.hub import Socket, hub
from vgchub.live_worker import WRITE

POLICY_VIOLATION = 4403
GOING_AWAY = 4404


async def line(scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Sends the line as it moves, and what concerns the pass's own account. It listens to nothing, and asks no database.

    A function rather than one of Channels' classes: those cost each socket a thread's turn and a task of its own.
    """
    query = parse_qs(scope["query_string"].decode("latin-1"))
    owner = passes.read(query.get("pass", [""])[0])
    if owner is None or not own_origin(scope["headers"]):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": None})
        return
    await send({"type": "websocket.accept", "subprotocol": None, "headers": ()})
    extensions: Any = scope["extensions"]
    socket = Socket(owner, extensions[WRITE])
    try:
        await hub.join(socket)
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        hub.leave(socket)


async def unknown(scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:  # noqa: ARG001
    """Any other address: closed with a word instead of a traceback."""
    await send({"type": "websocket.close", "code": GOING_AWAY, "reason": None})


def own_origin(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the page that opens the socket is one of ours. A client that is no browser sends no Origin, and no cookies."""
    origin = dict(headers).get(b"origin")
    if origin is None:
        return True
    asking = urlsplit(origin.decode("latin-1"))
    return any(
        (asking.scheme, asking.netloc) == (ours.scheme, ours.netloc)
        for ours in map(urlsplit, [settings.SITE_URL, *settings.CSRF_TRUSTED_ORIGINS])
    )
