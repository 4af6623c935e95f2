"""The live process' worker: uvicorn's, for ten thousand sockets that are written to and hardly listened to."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from uvicorn_worker import UvicornWorker
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from vgchub.open_files import raise_limit_of_open_files

logger = logging.getLogger(__name__)

# The ASGI extension by which a socket takes texts that were encoded once for many.
WRITE = "vgchub.write"

# Compression that keeps nothing between texts: no memory for each socket, and one compressed text for all.
DEFLATE = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
COMPRESSED_FROM = 200  # bytes; shorter texts are not worth it
WINDOW = 15
ALONE = PerMessageDeflate(
    remote_no_context_takeover=True,
    local_no_context_takeover=True,
    remote_max_window_bits=WINDOW,
    local_max_window_bits=WINDOW,
)

# A client that leaves so many bytes unread is gone or asleep. It is cut off, and told all when it comes back.
MOST_UNREAD = 256 * 1024

SOCKETS_EXPECTED = 10_000


@dataclass(frozen=True)
class Encoded:
    """A text as the bytes of a WebSocket frame, for clients that take compressed ones and for those that don't."""

    plain: bytes
    compressed: bytes

    def of(self, *, compressed: bool) -> bytes:
        return self.compressed if compressed else self.plain


Write = Callable[[Encoded], None]


def encoded(text: str) -> Encoded:
    """Encode a text for all its sockets; compressed without what came before, which is another thing for each of them."""
    frame = Frame(Opcode.TEXT, text.encode())
    plain = frame.serialize(mask=False)
    if len(plain) < COMPRESSED_FROM:
        return Encoded(plain, plain)
    return Encoded(plain, frame.serialize(mask=False, extensions=[ALONE]))


def takes_compressed(agreed: ServerProtocol) -> bool:
    """Whether the client reads compressed texts, and keeps in mind as much of one as they go back."""
    extensions: list[Any] = list(agreed.extensions)
    return any(one.local_max_window_bits == WINDOW for one in extensions)


class SocketProtocol(WebSocketsSansIOProtocol):
    """Gives `scope["extensions"][WRITE]`, which writes an encoded text without waiting: one slow client holds nobody up."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], *loop: Any) -> None:
        super().__init__(config, server_state, app_state, *loop)
        self.conn = ServerProtocol(extensions=[DEFLATE], max_size=config.ws_max_size, logger=self.logger)
        self.takes_compressed = False

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:  # switching protocols
            extensions: Any = self.scope["extensions"]
            extensions[WRITE] = self.write
            self.takes_compressed = takes_compressed(self.conn)

    def write(self, text: Encoded) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        self.transport.write(text.of(compressed=self.takes_compressed))
        if self.transport.get_write_buffer_size() > MOST_UNREAD:
            self.transport.abort()


class LiveWorker(UvicornWorker):
    """Passes, which stand in addresses, are not logged."""

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
