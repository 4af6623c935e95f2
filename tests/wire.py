"""A wire to Redis that can be cut without a word: as when a cable is pulled or the host freezes, nobody is told of it."""

import socket
from contextlib import suppress
from threading import Event, Thread
from urllib.parse import urlsplit


class Wire:
    """A port at `url` that passes everything on to Redis and back.

    Once it is `cut`, nothing comes through and nothing is closed, and new connections get no answer either. After `mend` they do;
    what was open before stays dead, as after a host was started anew.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._redis = (parts.hostname, parts.port)
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: list[socket.socket] = [self._server]
        self._cut = Event()
        password = f":{parts.password}@" if parts.password else ""
        self.url = f"redis://{password}127.0.0.1:{self._server.getsockname()[1]}{parts.path}"
        Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_error: object) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def cut(self) -> None:
        self._cut.set()

    def mend(self) -> None:
        self._cut = Event()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near = self._server.accept()[0]
                far = socket.create_connection(self._redis)
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    Thread(target=_pass_on, args=(source, sink, self._cut), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, cut: Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if not cut.is_set():
                sink.sendall(data)
    if not cut.is_set():
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
