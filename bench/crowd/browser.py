"""A browser's requests: each can be repeated, and is, as its person would."""

import asyncio
import errno
import random
import secrets
import time
from urllib.parse import urlencode

from bench.crowd.plan import Person, Plan
from bench.crowd.tally import Tally
from bench.load import Answer, Connection

TRIES = 12
PATIENCE = 120.0  # seconds for an answer; browsers have more
FILE_PAUSE = 0.1
# What the site's own pages never lead to. Others are part of the play: a declined card (402), an offer that is over (409).
WRONG = (400, 401, 403, 404, 405)

Host = tuple[str, int]


class LostError(Exception):
    """The site did not answer for minutes; its player gave up."""


class Browser:
    """One person's, signed in."""

    def __init__(self, person: Person, plan: Plan, tally: Tally, *, chance: random.Random) -> None:
        self.person, self.plan, self.tally, self.chance = person, plan, tally, chance
        self._csrf = secrets.token_hex(16)
        self._connections: dict[Host, Connection] = {}

    async def get(self, step: str, path: str) -> Answer:
        return await self._ask(step, self._request("GET", path), began=time.monotonic())

    async def post(self, step: str, path: str, *, began: float | None = None, **form: object) -> Answer:
        """`began` is when the answer was due to be asked for, if that was earlier than now."""
        return await self._ask(step, self._request("POST", path, form), began=began or time.monotonic())

    async def post_to(self, host: Host, step: str, path: str, **form: object) -> Answer:
        """To another site, without our cookies."""
        body = urlencode(form).encode()
        head = (f"POST {path} HTTP/1.1", f"Host: {host[0]}:{host[1]}", *_form_headers(body))
        return await self._ask(step, _joined(head) + body, began=time.monotonic(), host=host)

    async def _ask(self, step: str, request: bytes, *, began: float, host: Host | None = None) -> Answer:
        """The answer, after as many tries as it takes. Raises LostError when these are too many."""
        self.tally.asked += 1
        for attempt in range(TRIES):
            pause, sent = self.chance.uniform(0.5, 1.5) * (attempt + 1), time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await self._send(host or ("127.0.0.1", self.plan.port), request)
            except OSError as error:  # TimeoutError is one
                self.tally.failure(step, f"{type(error).__name__} {error}".strip(), sent=sent)
            else:
                if answer.status < 500 and answer.status != 429:
                    self._answered(step, answer, began)
                    return answer
                if answer.status == 429:
                    self.tally.outcomes["asked to wait"] += 1
                else:
                    self.tally.failure(step, str(answer.status), sent=sent)
                pause = float((answer.header("retry-after") or ["1"])[0]) + self.chance.random()
            await asyncio.sleep(pause)
        self.tally.lost += 1
        raise LostError(step)

    def _answered(self, step: str, answer: Answer, began: float) -> None:
        self.tally.answers += 1
        self.tally.answered(step, began)
        if answer.status in WRONG:
            self.tally.failure(step, str(answer.status))
        elif answer.status >= 400:
            self.tally.outcomes[f"{step}: {answer.status}"] += 1

    async def _send(self, host: Host, request: bytes) -> Answer:
        """On the open connection if there is one. Where that one ends, browsers send again on a new one, and nobody notices."""
        connection = self._connections.get(host)
        if connection is not None and connection.is_open:
            try:
                return await self._whole(connection, request)
            except ConnectionError:
                self.tally.outcomes["sent again"] += 1
        connection = self._connections[host] = await self._connect(host)
        return await self._whole(connection, request)

    async def _connect(self, host: Host) -> Connection:
        """That this process has no file to spare is none of the site's errors, but time that passes."""
        while True:
            try:
                _transport, connection = await asyncio.get_running_loop().create_connection(Connection, *host)
            except OSError as error:
                if error.errno != errno.EMFILE:
                    raise
                self.tally.outcomes["waited for a file"] += 1
                await asyncio.sleep(FILE_PAUSE)
            else:
                return connection

    async def _whole(self, connection: Connection, request: bytes) -> Answer:
        """The answer. A connection on which somebody stopped waiting is of no use any more."""
        answer = None
        try:
            answer = await connection.ask(request)
        finally:
            if answer is None:
                connection.close()
        return answer

    def _request(self, method: str, path: str, form: dict[str, object] | None = None) -> bytes:
        head = [
            f"{method} {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.plan.port}",
            "User-Agent: vgchub-bench",
            f"X-Forwarded-For: {self.person.address}",
            f"Cookie: sessionid={self.person.session}; csrftoken={self._csrf}",
        ]
        if form is None:
            return _joined(head)
        body = urlencode(form).encode()
        return _joined((*head, f"Origin: {self.plan.site}", f"X-CSRFToken: {self._csrf}", *_form_headers(body))) + body


def _form_headers(body: bytes) -> tuple[str, str]:
    return "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"


def _joined(head: list[str] | tuple[str, ...]) -> bytes:
    return "\r\n".join([*head, "", ""]).encode()
