"""Fresh sign-ins by password and by a mailed code: how many a second, and what they cost those who join meanwhile."""

import asyncio
import os
import re
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import psycopg

from bench import load
from bench.joins import GOOD, join_requests
from bench.people import Person, make_people
from bench.report import say
from bench.site import BenchSite
from tests.builders import make_tournament

PASSWORD = "a long password of the crowd"  # noqa: S105  of accounts that live for minutes
AT_ONCE = 16
WARM_UP = 50
CODE = re.compile(r"^ {4}(\S+)$", re.MULTILINE)
POLL = 0.05  # seconds between two looks into the mailbox
PATIENCE = 60.0  # seconds until a mail counts as lost
SignIn = Callable[["Visitor"], Awaitable[load.Answer]]


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """For each way, `rate` alone as fast as it goes; then at a fixed rate beside joins, with their p95 before and meanwhile."""
    bench = SignInBench(site, options)
    site.start("web", "worker")  # the worker sends the codes
    site.settle()
    ways: dict[str, SignIn] = {"password": by_password, "code": by_code}
    return {name: bench.of(name, sign_in) for name, sign_in in ways.items()}


class SignInBench:
    """A site with a tournament to join, and its figures."""

    def __init__(self, site: BenchSite, options: Namespace) -> None:
        self.site, self.options = site, options
        self.tournament = make_tournament(seats=700)

    def of(self, name: str, sign_in: SignIn) -> dict[str, Any]:
        """One way to sign in."""
        options, cpu = self.options, dict[str, float]()
        warm, fast, steady = (
            make_people(count, password=PASSWORD) for count in (WARM_UP, options.people, options.rate * options.seconds)
        )
        say(f"{options.people} sign-ins by {name}")
        load.run(self._fast(sign_in, warm))
        with self.site.cpu_counted(cpu):
            alone = load.run(self._fast(sign_in, fast))
        say(f"{options.joins} joins a second, alone and beside {options.rate} sign-ins by {name}")
        before = load.run(self._joins(self._wave()))
        joins, signed_in = load.run(self._both(sign_in, steady, self._wave()))
        return {
            **alone.figures(),
            "cpu_ms": load.milliseconds_each(cpu, alone.sent),
            "beside_joins": signed_in.figures(),
            "joins_before": before.figures(),
            "joins_meanwhile": joins.figures(),
        }

    def _wave(self) -> list[bytes]:
        people = make_people(self.options.joins * self.options.seconds)
        return join_requests(self.tournament, people, "api")

    def _joins(self, wave: list[bytes]) -> Awaitable[load.Load]:
        return load.at_rate(load.Client(self.site.port), wave, good=GOOD["api"], rate=self.options.joins)

    async def _fast(self, sign_in: SignIn, people: Iterable[Person]) -> load.Load:
        return await self._signed_in(
            sign_in, people, lambda act, visitors: load.in_turns(act, visitors, at_once=AT_ONCE)
        )

    async def _both(self, sign_in: SignIn, people: Iterable[Person], wave: list[bytes]) -> tuple[load.Load, load.Load]:
        rate = self.options.rate
        signing_in = self._signed_in(sign_in, people, lambda act, visitors: load.paced(act, visitors, rate=rate))
        joins, signed_in = await asyncio.gather(self._joins(wave), signing_in)
        return joins, signed_in

    async def _signed_in(
        self, sign_in: SignIn, people: Iterable[Person], pace: Callable[..., Awaitable[None]]
    ) -> load.Load:
        """How it went when each of `people` signed in once; `pace` says how one comes after the other."""
        done, client = load.Load(), load.Client(self.site.port)

        async def act(visitor: Visitor, due: float) -> None:
            done.begin()
            answer = await sign_in(visitor)
            if any("/accounts/" in place for place in answer.header("location")):
                answer = load.Answer(0, b"", b"sent on to sign in once more")
            done.end(answer, good=302, due=due)

        async with Mailbox() as mailbox:
            with load.measured(done):
                await pace(act, [Visitor(client, mailbox, person) for person in people])
        return done


async def by_password(visitor: "Visitor") -> load.Answer:
    """The page, then its form."""
    await visitor.get("/accounts/login/")
    return await visitor.post("/accounts/login/", login=visitor.person.email, password=PASSWORD)


async def by_code(visitor: "Visitor") -> load.Answer:
    """The page, its form, the page for the code, the mail, the code."""
    await visitor.get("/accounts/login/code/")
    asked = await visitor.post("/accounts/login/code/", email=visitor.person.email)
    if asked.status != 302:
        return asked
    await visitor.get("/accounts/login/code/confirm/")
    code = await visitor.mailbox.code(visitor.person.email)
    return await visitor.post("/accounts/login/code/confirm/", code=code)


class Visitor:
    """A browser without JavaScript: keeps its cookies, and fills in forms."""

    def __init__(self, client: load.Client, mailbox: "Mailbox", person: Person) -> None:
        self.client, self.mailbox, self.person = client, mailbox, person
        self.cookies: dict[str, str] = {}

    async def get(self, path: str) -> load.Answer:
        return await self._ask(load.request("GET", path, **self._headers()))

    async def post(self, path: str, **values: str) -> load.Answer:
        form = urlencode({"csrfmiddlewaretoken": self.cookies.get("csrftoken", ""), **values}).encode()
        kind = "application/x-www-form-urlencoded"
        return await self._ask(load.request("POST", path, form, content_type=kind, **self._headers()))

    def _headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        own = {"cookie": cookies} if cookies else {}
        return {"x_forwarded_for": self.person.address, "accept": "text/html", **own}

    async def _ask(self, sent: bytes) -> load.Answer:
        answer = await self.client.ask(sent)
        for line in answer.header("set-cookie"):
            name, _, value = line.split(";", 1)[0].partition("=")
            self.cookies[name] = value
        return answer


class Mailbox:
    """Reads the codes from the queue of mails, which is where a mail server would get them."""

    def __init__(self) -> None:
        self._codes: dict[str, asyncio.Future[str]] = {}

    async def __aenter__(self) -> "Mailbox":
        self._connection = await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], autocommit=True)
        self._reading = asyncio.create_task(self._read(await self._newest()))
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        await self._connection.close()

    async def code(self, email: str) -> str:
        """The code in the mail to this address, as soon as it is there.

        Raises:
            TimeoutError: it is not there after PATIENCE
            psycopg.Error: mails can't be read any more
        """
        mailed = self._mailed(email)
        await asyncio.wait((mailed, self._reading), timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if mailed.done():
            return mailed.result()
        if self._reading.done():
            self._reading.result()
        raise TimeoutError(f"no code for {email}")

    def _mailed(self, email: str) -> "asyncio.Future[str]":
        return self._codes.setdefault(email, asyncio.get_running_loop().create_future())

    async def _read(self, seen: int) -> None:
        """What comes after the mail with the id `seen`."""
        missing = set[int]()  # up to `seen`: they may be committed later than a later one
        while True:
            rows = await self._connection.execute(
                'SELECT id, "to", message FROM post_office_email WHERE id > %s OR id = ANY(%s)', [seen, list(missing)]
            )
            mails = await rows.fetchall()
            for _id, email, message in mails:
                found, mailed = CODE.search(message), self._mailed(email)
                if found and not mailed.done():
                    mailed.set_result(found[1])
            ids = {number for number, _email, _message in mails}
            newest = max(ids, default=seen)
            missing = (missing | set(range(seen + 1, newest + 1))) - ids
            seen = max(seen, newest)
            await asyncio.sleep(POLL)

    async def _newest(self) -> int:
        rows = await self._connection.execute("SELECT coalesce(max(id), 0) FROM post_office_email")
        row = await rows.fetchone()
        return row[0] if row else 0
