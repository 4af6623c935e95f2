"""Where the time of a request goes: requests from stdin through the site's own handler, in one process with one thread.

Each part counts what it spends itself, not what parts inside of it do: a query that the session needs is the database's.
Prints the medians of each part and of the whole as one line of JSON: `ms` that passed, `cpu_ms` that this process computed
(the difference is waiting, for the database above all), and how many statements there were.
"""

import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from typing import Any

WARM_UP = 100
Start = Callable[..., None]


class Parts:
    """A stack of stopwatches, of which only the uppermost runs; each shows seconds passed and seconds computed."""

    def __init__(self) -> None:
        self.spent: dict[str, tuple[float, float]] = {}
        self.calls: Counter[str] = Counter()
        self._running: list[str] = []
        self._since = (0.0, 0.0)

    def timed(self, owner: Any, name: str, part: str) -> None:
        """Let what `owner`.`name` spends count as `part`."""
        function = getattr(owner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            self.calls[name] += 1
            self._turn(part)
            try:
                return function(*arguments, **named)
            finally:
                self._turn(None)

        setattr(owner, name, counted)

    def _turn(self, part: str | None) -> None:
        passed, computed = time.perf_counter(), time.thread_time()
        if self._running:
            so_far = self.spent.get(self._running[-1], (0.0, 0.0))
            self.spent[self._running[-1]] = so_far[0] + passed - self._since[0], so_far[1] + computed - self._since[1]
        if part is None:
            self._running.pop()
        else:
            self._running.append(part)
        self._since = time.perf_counter(), time.thread_time()


def main() -> None:
    """Read a JSON list of requests as they would stand on the wire."""
    import django  # noqa: PLC0415

    django.setup()
    parts = Parts()
    _watch(parts)
    from vgchub.wsgi import application  # noqa: PLC0415  its middleware takes what is watched by now

    calls: list[dict[str, tuple[float, float]]] = []
    good = 0
    for sent in json.load(sys.stdin):
        parts.spent = {}
        good += _call(application, sent) < 400
        calls.append(parts.spent)
        if len(calls) == WARM_UP:
            parts.calls.clear()
    statements = (parts.calls["execute"] + parts.calls["executemany"]) / (len(calls) - WARM_UP)
    print(json.dumps({"parts": _medians(calls[WARM_UP:]), "statements": round(statements, 2), "good": good}))


def _medians(calls: list[dict[str, tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """By part, and of the whole, `ms` and `cpu_ms`."""
    for call in calls:
        passed, computed = zip(*call.values(), strict=True)
        call["whole"] = sum(passed), sum(computed)
    names = dict.fromkeys(name for call in calls for name in call)
    return {
        name: {
            unit: round(statistics.median(call.get(name, (0.0, 0.0))[index] for call in calls) * 1000, 3)
            for index, unit in enumerate(("ms", "cpu_ms"))
        }
        for name in names
    }


def _watch(parts: Parts) -> None:
    """What counts as what. Everything within the handler is middleware's unless it is something else's."""
    from django.conf import settings  # noqa: PLC0415
    from django.contrib.auth import middleware  # noqa: PLC0415
    from django.core.handlers.base import BaseHandler  # noqa: PLC0415
    from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: PLC0415
    from django.db.backends.utils import CursorWrapper  # noqa: PLC0415
    from rest_framework.request import Request  # noqa: PLC0415

    from registrations.services import joining  # noqa: PLC0415

    parts.timed(BaseHandler, "get_response", "middleware")
    parts.timed(BaseHandler, "_get_response", "view")
    parts.timed(import_module(settings.SESSION_ENGINE).SessionStore, "load", "session or token")
    parts.timed(middleware, "get_user", "session or token")
    parts.timed(Request, "_authenticate", "session or token")
    parts.timed(joining, "take_join", "limiter")
    for name in ("connect", "_commit", "_rollback", "_close"):
        parts.timed(BaseDatabaseWrapper, name, "database")
    for name in ("execute", "executemany"):
        parts.timed(CursorWrapper, name, "database")


def _call(application: Callable[..., Any], sent: str) -> int:
    """The status that the site answers with."""
    environ, said = _environ(sent), []

    def start(status: str, _headers: Any, _error: Any = None) -> None:
        said.append(int(status.split(maxsplit=1)[0]))

    answer = application(environ, start)
    b"".join(answer)
    answer.close()
    return said[0]


def _environ(sent: str) -> dict[str, Any]:
    """WSGI's view of a request."""
    head, _, body = sent.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    method, path, protocol = first.split()
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (line.split(": ", 1) for line in lines)
    }
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": protocol,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": headers.pop("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": headers.pop("HTTP_CONTENT_LENGTH", ""),
        **headers,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body.encode()),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


if __name__ == "__main__":
    main()
