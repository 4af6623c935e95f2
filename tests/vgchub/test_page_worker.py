"""The web process' worker takes requests in the order in which they came, and none that has not come yet."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from vgchub.local.child import Spec
from vgchub.local.ports import free_port
from vgchub.local.site import SERVED
from vgchub.local.supervisor import Supervisor

OURS, GUNICORNS = "vgchub.page_worker.PageWorker", "gthread"

# Writes down whom it answers. Who asks for /wait/ is kept, and so is the one thread, until the door is open.
SITE = """
import os, time

def application(environ, start_response):
    while environ["PATH_INFO"] == "/wait/" and not os.path.exists({door!r}):
        time.sleep(0.01)
    environ["wsgi.input"].read()
    with open({book!r}, "a") as book:
        book.write(environ["REQUEST_METHOD"] + environ["PATH_INFO"] + " ")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


class Web:
    """A gunicorn with one thread, that is kept busy until `open`."""

    def __init__(self, folder: Path, worker: str) -> None:
        self.door, self.book, self.port = folder / "door", folder / "book", free_port()
        (folder / "answering.py").write_text(SITE.format(door=str(self.door), book=str(self.book)))
        argv = ("-m", "gunicorn", "answering", f"--worker-class={worker}", "--threads=1", f"--config={SERVED}")
        self.spec = Spec(
            "web",
            (sys.executable, *argv, "--bind=fd://{socket}", "--no-control-socket", "--keep-alive=20"),
            ready=lambda: True,
            environment={**os.environ, "PYTHONPATH": f"{folder}:{Path.cwd()}"},
            port=self.port,
        )
        self.connections = ExitStack()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self.connections.enter_context(connection)

    def send(self, method: str, path: str, *, on: socket.socket | None = None) -> socket.socket:
        connection = on or self.connect()
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n".encode())
        return connection

    def ask(self, method: str, path: str, *, on: socket.socket | None = None) -> socket.socket:
        """Send a request, and wait until it has been taken in."""
        connection = self.send(method, path, on=on)
        time.sleep(0.5)
        return connection

    def answers(self, connections: list[socket.socket]) -> list[str]:
        """Open the door, and say in which order those were answered who waited."""
        self.door.touch()
        for connection in connections:
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        return self.book.read_text().split()


@pytest.fixture
def web(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Web]:
    web, supervisor = Web(tmp_path, getattr(request, "param", OURS)), Supervisor(tmp_path / "log", say=print)
    supervisor.start(web.spec)
    with web.connections:
        yield web
    supervisor.stop()


def test_requests_are_answered_in_the_order_in_which_they_came(web: Web) -> None:
    first = web.ask("GET", "/first/")
    assert first.recv(1000)
    waiting = [web.ask("GET", "/wait/"), web.ask("POST", "/1/"), web.ask("GET", "/2/", on=first), web.ask("GET", "/3/")]
    assert web.answers(waiting) == ["GET/first/", "GET/wait/", "POST/1/", "GET/2/", "GET/3/"]


def test_a_connection_that_says_nothing_keeps_no_thread(web: Web) -> None:
    """Nor does it come before who asked before it did."""
    silent = web.connect()
    waiting = [web.ask("GET", "/wait/"), web.ask("GET", "/1/"), web.ask("GET", "/2/", on=silent)]
    assert web.answers(waiting) == ["GET/wait/", "GET/1/", "GET/2/"]


@pytest.mark.parametrize("web", [GUNICORNS], indirect=True)
def test_control_gunicorns_own_worker_lets_it_keep_one(web: Web) -> None:
    silent = web.connect()
    waiting = [web.ask("GET", "/wait/"), web.ask("GET", "/1/"), web.ask("GET", "/2/", on=silent)]
    assert web.answers(waiting) == ["GET/2/", "GET/wait/", "GET/1/"]


def test_each_request_is_answered_once(web: Web) -> None:
    web.door.touch()
    connections = [web.send("GET" if number % 3 else "POST", f"/{number}/") for number in range(50)]
    assert sorted(web.answers(connections)) == sorted(
        f"{'GET' if number % 3 else 'POST'}/{number}/" for number in range(50)
    )
