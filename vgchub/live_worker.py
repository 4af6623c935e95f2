"""The live process' worker: uvicorn's, for ten thousand sockets that are written to and hardly listened to."""

import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn_worker import UvicornWorker
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

from vgchub.open_files import raise_limit_of_open_files

logger = logging.getLogger(__name__)

# The ASGI extension by which a socket takes texts that were encoded once for many.
WRITE = "vgchub.write"

Write = Callable[[bytes], None]

# A client that leaves so many bytes unread is gone or asleep. It is cut off, and told all when it comes back.
MOST_UNREAD = 256 * 1024

SOCKETS_EXPECTED = 10_000


def encoded(text: str) -> bytes:
    """A text as the bytes of a WebSocket frame."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


class SocketProtocol(WebSocketsSansIOProtocol):
    """Gives `scope["extensions"][WRITE]`, which writes a frame without waiting: one slow client holds nobody up."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: Any = self.scope["extensions"]
            extensions[WRITE] = self.write

    def write(self, frame: bytes) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        self.transport.write(frame)
        if self.transport.get_write_buffer_size() > MOST_UNREAD:
            self.transport.abort()


class LiveWorker(UvicornWorker):
    """Texts are not compressed for each socket anew, and passes, which stand in addresses, not logged."""

    CONFIG_KWARGS = {
        "loop": "uvloop",
        "ws": SocketProtocol,
        "ws_per_message_deflate": False,
        "ws_ping_interval": 45.0,  # proxies forget a silent connection after a minute
        "lifespan": "off",
    }

    def init_process(self) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        files = raise_limit_of_open_files()
        if files < SOCKETS_EXPECTED:
            logger.warning("Only %d files can be open, and so many sockets at most: raise the limit (ulimit -n)", files)
        super().init_process()
