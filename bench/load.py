"""The load: one lean asyncio process that sends prepared requests over plain connections, and knows what it costs itself.

A request is bytes, an answer is its status, head and body. Connections are kept open and used again as a proxy in front of the
site would; where all are busy there is a new one, so that a request is sent when it is due and not when another was answered.
"""

import asyncio
import gc
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import uvloop

T = TypeVar("T")
PATIENCE = 60.0  # seconds for an answer


def run(main: Coroutine[Any, Any, T]) -> T:
    """What asyncio.run does, on the faster loop, without pauses for garbage of what was prepared."""
    gc.collect()
    gc.freeze()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
    finally:
        gc.unfreeze()


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a request; `content_type="..."` becomes the header Content-Type."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    if method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 is a connection that broke or stayed silent, `body` then says how."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> list[str]:
        """All values of a header, by its lower-case name."""
        start = f"{name}:".encode()
        lines = self.head.split(b"\r\n")
        return [line[len(start) :].strip().decode() for line in lines if line.lower().startswith(start)]


class Connection(asyncio.Protocol):
    """One connection; one request at a time. Answers with a length, chunked ones, and none that end with the connection."""

    def __init__(self) -> None:
        self.is_open = True
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, sent: bytes) -> asyncio.Future[Answer]:
        """Send a request. The future raises ConnectionError if the connection breaks before the answer is whole."""
        assert self._transport is not None  # noqa: S101
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(sent)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        answer = _whole_answer(self._received)
        if answer is None or self._answer is None:
            return
        if b"connection: close" in answer.head.lower():
            self.close()
        if not self._answer.done():
            self._answer.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed without an answer"))

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.close()


def _whole_answer(received: bytes) -> Answer | None:
    """The answer, if all of it has come."""
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return None
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    if start >= 0:
        whole = len(body) >= int(lowered[start + 15 :].split(b"\r\n", 1)[0])
    else:
        whole = b"transfer-encoding: chunked" not in lowered or body.endswith(b"0\r\n\r\n")
    return Answer(int(head[9:12]), head, body) if whole else None


class Client:
    """Connections to one server on 127.0.0.1:`port`; with `keep=False` each request comes over a new one."""

    def __init__(self, port: int, *, keep: bool = True) -> None:
        self.port = port
        self.keep = keep
        self.opened = 0
        self._idle: list[Connection] = []

    async def ask(self, sent: bytes) -> Answer:
        """Send a request and wait for its answer; what goes wrong is an answer with status 0."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._ask(sent)
        except OSError as error:  # TimeoutError is one
            return Answer(0, b"", (str(error) or type(error).__name__).encode())

    async def _ask(self, sent: bytes) -> Answer:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_open:
                continue
            try:
                return await self._asked(connection, sent)
            except ConnectionError:  # the server may close what was idle; every request here can be repeated
                continue
        self.opened += 1
        loop = asyncio.get_running_loop()
        _transport, connection = await loop.create_connection(Connection, "127.0.0.1", self.port)
        return await self._asked(connection, sent)

    async def _asked(self, connection: Connection, sent: bytes) -> Answer:
        answered = False
        try:
            answer = await connection.ask(sent)
            answered = True
        finally:
            if answered and self.keep and connection.is_open:
                self._idle.append(connection)
            else:
                connection.close()
        return answer

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


@dataclass
class Tally:
    """Times by step in milliseconds, and what went wrong, of a load that may have several steps."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)

    def answered(self, step: str, seconds: float) -> None:
        self.milliseconds[step].append(seconds * 1000)

    def error(self, what: str) -> None:
        self.errors[what] += 1

    def figures(self, step: str) -> dict[str, float]:
        """`p50_ms`, `p95_ms`, `p99_ms` and `max_ms` of a step; none if nothing was answered."""
        return percentiles(self.milliseconds[step])


def percentiles(times: list[float]) -> dict[str, float]:
    """`p50_ms`, `p95_ms`, `p99_ms` and `max_ms` of times in milliseconds; none of none."""
    if not times:
        return {}
    cuts = statistics.quantiles(times, n=100, method="inclusive") if len(times) > 1 else times * 99
    named = {"p50_ms": cuts[49], "p95_ms": cuts[94], "p99_ms": cuts[98], "max_ms": max(times)}
    return {name: round(value, 1) for name, value in named.items()}


@dataclass
class Load:
    """How a load went: its answers in times and errors, over how many seconds, at what cost for this process."""

    tally: Tally = field(default_factory=Tally)
    sent: int = 0
    last_sent: float = 0.0
    sent_seconds: float = 0.0  # until the last was sent
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def good(self) -> int:
        return len(self.tally.milliseconds["request"])

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.good / self.seconds if self.seconds else 0.0

    def begin(self) -> None:
        """Note that something is sent."""
        self.sent += 1
        self.last_sent = time.perf_counter()

    def end(self, answer: Answer, *, good: int, due: float) -> None:
        """Note what came back, if it has the status that is meant with the time since it was `due`."""
        if answer.status == good:
            self.tally.answered("request", time.perf_counter() - due)
        else:
            self.tally.error(f"{answer.status} {'' if answer.status else answer.body.decode()}".strip())

    def figures(self) -> dict[str, Any]:
        """`rate`, `errors`, percentiles, `generator_share` (of one core), and what the errors were."""
        figures: dict[str, Any] = {
            "rate": round(self.rate, 1),
            "errors": self.tally.errors.total(),
            **self.tally.figures("request"),
            "generator_share": round(self.cpu_seconds / self.seconds, 3) if self.seconds else 0.0,
        }
        if self.tally.errors:
            figures["error_kinds"] = dict(self.tally.errors.most_common(5))
        return figures


def together(loads: Iterable[Load]) -> Load:
    """Several loads, one after the other, as one."""
    whole = Load()
    for one in loads:
        whole.tally.milliseconds["request"] += one.tally.milliseconds["request"]
        whole.tally.errors += one.tally.errors
        whole.sent += one.sent
        whole.seconds += one.seconds
        whole.cpu_seconds += one.cpu_seconds
    return whole


def milliseconds_each(seconds: Mapping[str, float], count: int) -> dict[str, float]:
    """CPU seconds by process as milliseconds of each of `count` requests; who used next to none is left out."""
    return {name: round(used * 1000 / count, 2) for name, used in seconds.items() if used * 1000 > count * 0.005}


async def as_fast_as_it_goes(client: Client, requests: Iterable[bytes], *, good: int, at_once: int = 32) -> Load:
    """`at_once` clients, each with its next request as soon as the last is answered; `good` is the status that is meant."""
    load = Load()
    with measured(load):
        await in_turns(lambda sent, due: _counted(client, sent, load, good=good, due=due), requests, at_once=at_once)
    return load


async def in_turns(act: Callable[[T, float], Awaitable[None]], items: Iterable[T], *, at_once: int) -> None:
    """Do `act(item, due)` for each, so many at once; `due` is when it began, of time.perf_counter()."""
    left = iter(items)

    async def one_after_another() -> None:
        for item in left:
            await act(item, time.perf_counter())

    await asyncio.gather(*(one_after_another() for _ in range(at_once)))


async def at_rate(client: Client, requests: Iterable[bytes], *, good: int, rate: float) -> Load:
    """Send so many a second whatever the answers do; times count from when a request was due (nothing is left out)."""
    load = Load()
    with measured(load):
        await paced(lambda sent, due: _counted(client, sent, load, good=good, due=due), requests, rate=rate)
    return load


async def paced(act: Callable[[T, float], Awaitable[None]], items: Iterable[T], *, rate: float) -> None:
    """Begin `act(item, due)` for so many items a second, and wait until all have ended; `due` is of time.perf_counter()."""
    began = time.perf_counter()
    tasks: set[asyncio.Task[None]] = set()

    def forget(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is None:  # the others raise below
            tasks.discard(task)

    for index, item in enumerate(items):
        due = began + index / rate
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        elif index % 50 == 0:
            await asyncio.sleep(0)  # answers have to be read also when we are late
        task = asyncio.ensure_future(act(item, due))
        tasks.add(task)
        task.add_done_callback(forget)
    await asyncio.gather(*tasks)


async def _counted(client: Client, sent: bytes, load: Load, *, good: int, due: float) -> None:
    load.begin()
    load.end(await client.ask(sent), good=good, due=due)


@contextmanager
def measured(load: Load) -> Iterator[None]:
    """Take the time, and what it costs this process."""
    began, cpu = time.perf_counter(), time.process_time()
    yield
    load.seconds = time.perf_counter() - began
    load.sent_seconds = load.last_sent - began
    load.cpu_seconds = time.process_time() - cpu
