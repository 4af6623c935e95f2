"""One player of the crowd: signs in, joins, watches, pays or doesn't."""

import asyncio
import contextlib
import html
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin

import aiohttp

from vgchub.management.crowd.people import PASSWORD, Person
from vgchub.management.crowd.tally import Tally

GOOD_CARD = "4242424242424242"
DECLINED_CARDS = ("4000000000000002", "4000000000009995")
RETRIES = 8

STATE = re.compile(r'data-state="([A-Z]+)"')
ENTRY = re.compile(r'data-entry="([0-9a-f]{24})"')
PASS = re.compile(r'data-pass="([^"]+)"')
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
DECLINE_SHOWN = re.compile(r"declined|insufficient funds", re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """What the crowd does: shares are of all players, 0 to 1."""

    site: str
    live: str
    tournament: str
    pay: float
    leave: float
    watch: float = 0.3  # with a socket; the others reload
    decline: float = 0.1  # of those who pay: a card is declined first


class CrowdPlayer:
    """Plays until the entry is over, the seat is confirmed, or `stop` is set."""

    def __init__(
        self, person: Person, plan: Plan, http: aiohttp.ClientSession, tally: Tally, chance: random.Random
    ) -> None:
        self.person, self.plan, self.http, self.tally, self.chance = person, plan, http, tally, chance
        self.cookies: dict[str, str] = {"sessionid": person.session} if person.session else {}
        self.state = ""
        self.entry = ""
        self.moved = asyncio.Event()
        roll = chance.random()
        self.pays = roll < plan.pay
        self.leaves = not self.pays and roll < plan.pay + plan.leave
        self.watches = chance.random() < plan.watch
        self.card_fails_first = chance.random() < plan.decline

    async def play(self) -> None:
        page = await self._get("tournament", f"/t/{self.plan.tournament}/")
        if not self.person.session:
            await self._sign_in()
            page = await self._get("tournament", f"/t/{self.plan.tournament}/")
        joined = await self._post("join", f"/t/{self.plan.tournament}/join/", page, players=str(self.person.player))
        self._read(joined)
        if not self.entry:
            self.tally.error("not in the line after joining")
            return
        self.tally.outcomes["joined"] += 1
        if self.watches:
            async with self._socket(PASS.search(joined)):
                await self._wait_and_act()
        else:
            await self._wait_and_act()

    async def _wait_and_act(self) -> None:
        if self.leaves and self.state == "WAITING":
            await asyncio.sleep(self.chance.uniform(1, 10))
            await self._leave()
            return
        while self.state in ("WAITING", "OFFERED", "PASSED"):
            if self.state == "OFFERED" and self.pays:
                await self._take_up()
            elif self.state == "OFFERED" and self.leaves:
                await self._leave()
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.moved.wait(), self.chance.uniform(5, 9))
                self.moved.clear()
                await self._reload()

    async def _reload(self) -> str:
        page = await self._get("queue", f"/t/{self.plan.tournament}/queue/")
        self._read(page)
        return page

    async def _leave(self) -> None:
        await self._reload()
        if self.state in ("WAITING", "OFFERED"):
            address = f"/e/{self.entry}/leave/"
            page = await self._get("asked to leave", address)
            self._read(await self._post("leave", address, page))

    async def _take_up(self) -> None:
        page = await self._reload()
        if self.state != "OFFERED":
            return
        answer = await self._post("take up", f"/e/{self.entry}/take-up/", page, follow=False)
        if answer.startswith("http"):
            await self._pay(answer)
        await self._reload()
        if self.state == "OFFERED":
            await asyncio.sleep(2)

    async def _pay(self, checkout: str) -> None:
        """Stripe's hosted page: some cards are declined first, and the page has to say why."""
        if self.card_fails_first:
            self.card_fails_first = False
            self.tally.outcomes["cards declined"] += 1
            page = await self._form("pay", checkout, self._card(self.chance.choice(DECLINED_CARDS)))
            if DECLINE_SHOWN.search(page):
                self.tally.outcomes["saw why"] += 1
        back = await self._form("pay", checkout, self._card(GOOD_CARD), follow=False)
        if back.startswith(self.plan.site):
            await self._get("return", back.removeprefix(self.plan.site))

    def _card(self, number: str) -> dict[str, str]:
        return {"number": number, "expiry": "12/34", "cvc": "123", "email": self.person.email, "name": "Crowd"}

    async def _sign_in(self) -> None:
        page = await self._get("sign-in page", "/accounts/login/")
        await self._post("sign in", "/accounts/login/", page, login=self.person.email, password=PASSWORD)
        if "sessionid" not in self.cookies:
            self.tally.error("not signed in")

    @asynccontextmanager
    async def _socket(self, socket_pass: re.Match[str] | None) -> AsyncIterator[None]:
        """Watch while the block runs; a message about the own entry wakes the player at once."""
        task = asyncio.create_task(self._watch(socket_pass.group(1))) if socket_pass else None
        try:
            yield
        finally:
            if task:
                task.cancel()

    async def _watch(self, socket_pass: str) -> None:
        url = f"{self.plan.live}/live/?{urlencode({'pass': html.unescape(socket_pass)})}"
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with self.http.ws_connect(url, headers={**self._headers(), "Origin": self.plan.site}) as socket:
                    async for message in socket:
                        if '"entry.changed"' in str(message.data):
                            self.moved.set()
            await asyncio.sleep(self.chance.uniform(0.5, 3))

    def _read(self, page: str) -> None:
        state, entry = STATE.search(page), ENTRY.search(page)
        if state and entry:
            if state.group(1) == "OFFERED" and self.state != "OFFERED":
                self.tally.outcomes["offered"] += 1
            self.state, self.entry = state.group(1), entry.group(1)

    # --- HTTP: every step can be repeated, and is, while the site is away for a moment ------------------------------

    def _headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"X-Forwarded-For": self.person.address, "Cookie": cookies, "User-Agent": "vgchub-crowd"}

    async def _get(self, step: str, path: str) -> str:
        return await self._request(step, "GET", self.plan.site + path, {}, follow=True)

    async def _post(self, step: str, path: str, page: str, *, follow: bool = True, **form: str) -> str:
        token = TOKEN.search(page)
        fields = {"csrfmiddlewaretoken": token.group(1) if token else "", **form}
        return await self._request(step, "POST", self.plan.site + path, fields, follow=follow)

    async def _form(self, step: str, url: str, form: dict[str, str], *, follow: bool = True) -> str:
        return await self._request(step, "POST", url, form, follow=follow)

    async def _request(self, step: str, method: str, url: str, form: dict[str, str], *, follow: bool) -> str:
        """The page, or (without `follow`) the address that a redirect leads to."""
        for attempt in range(RETRIES):
            began = time.monotonic()
            try:
                async with self.http.request(
                    method, url, data=form or None, headers=self._headers() | {"Referer": url}, allow_redirects=False
                ) as answer:
                    text = await answer.text()
            except (aiohttp.ClientError, OSError, TimeoutError):
                self.tally.outcomes["tried again"] += 1
                await asyncio.sleep(self.chance.uniform(0.5, 1.5) * (attempt + 1))
                continue
            if answer.status in (429, 502, 503):
                self.tally.outcomes["tried again"] += 1
                await asyncio.sleep(float(answer.headers.get("Retry-After", "1")) + self.chance.random())
                continue
            self.tally.answered(step, time.monotonic() - began)
            self.cookies |= {name: morsel.value for name, morsel in answer.cookies.items()}
            if answer.status in (301, 302, 303):
                return await self._redirected(answer, step, follow=follow)
            if answer.status >= 400 and answer.status != 402:
                self.tally.error(f"{answer.status} on {step}")
            return text
        self.tally.error(f"no answer on {step}")
        return ""

    async def _redirected(self, answer: aiohttp.ClientResponse, step: str, *, follow: bool) -> str:
        target = urljoin(str(answer.url), answer.headers["Location"])
        if not follow:
            return target
        return await self._request(f"{step}", "GET", target, {}, follow=True)
