"""One player: opens the page, joins, watches the line, takes up an offer and pays, or doesn't."""

import asyncio
import random
import re
import time
from urllib.parse import urlsplit

from bench.crowd.browser import Browser
from bench.crowd.lines import Lines, Text, stands_in
from bench.crowd.plan import Person, Plan
from bench.crowd.tally import Tally
from bench.crowd.window import Window
from bench.load import Answer

GOOD_CARD, BAD_CARD = "4242424242424242", "4000000000000002"

RETURN_REFRESH = 3.0  # as in templates/payments/return.html

# As in static/js/live.js.
REFRESH = 45.0  # and up to half as much more
ASK_EVERY = 3.0
SPREAD, SPREAD_OF_OFFERED, SPREAD_OF_ALL = 0.3, 3.0, 40.0

ENTRY = re.compile(r'data-entry="([0-9a-f]{24})"\s+data-state="([A-Z]+)"')
STANDING = re.compile(r'data-place="(-?\d*)"\s+data-field="([^"]*)"')
LIVE_STATES = ("WAITING", "OFFERED", "PASSED")


class Player:
    """Plays until cancelled."""

    def __init__(self, person: Person, plan: Plan, tally: Tally, lines: Lines) -> None:
        self.person, self.plan, self.tally = person, plan, tally
        self.chance = random.Random(plan.seed * 1_000_003 + person.number)  # noqa: S311  a crowd, no secret
        self.browser = Browser(person, plan, tally, chance=self.chance)
        self.window = Window(plan, tally, lines, receive=self._receive, back=self._back, chance=self.chance)
        self.state = self.entry = self.field = ""
        self.place: int | None = None
        self.moved = asyncio.Event()
        self.asks_at = float("inf")
        self.asked_at = float("-inf")
        self.looks_again: asyncio.TimerHandle | None = None
        self._decide()

    def _decide(self) -> None:
        plan, roll = self.plan, self.chance.random()
        self.declines = roll < plan.declines
        self.ignores = plan.declines <= roll < plan.declines + plan.ignores
        self.returns = self.chance.random() < plan.returns
        self.first_card_fails = self.chance.random() < plan.declined

    async def play(self) -> None:
        """Raises LostError."""
        plan = self.plan
        await self._until(plan.arrive_at + self.chance.random() * (plan.join_at - plan.arrive_at))
        page = await self.browser.get("page", f"/t/{plan.slug}/")
        self.window.show(_text(page))
        due = await self._until(plan.join_at + self.chance.random() * plan.seconds)
        joined = await self.browser.post("join", f"/t/{plan.slug}/join/", began=due, players=self.person.player)
        if not _location(joined).endswith("/queue/"):
            self.tally.failure("join", f"not in the line after {joined.status}")
            return
        self.tally.joined.append(time.monotonic())
        self.window.show(await self._reload())
        while self.state in LIVE_STATES:
            await self._act()
        if self.state == "CONFIRMED":
            self.tally.confirmed.append(time.monotonic())
        while True:  # the page stays open, and shows how the line moves on
            await self._wait()

    async def _act(self) -> None:
        if self.state == "PASSED" and self.returns:
            self.returns = self.ignores = False
            await self._think()
            await self.browser.post("step back in", f"/e/{self.entry}/step-back-in/")
            await self._reload()
        elif self.state == "OFFERED" and self.declines:
            await self._think()
            await self.browser.post("leave", f"/e/{self.entry}/leave/")
            await self._reload()
        elif self.state == "OFFERED" and not self.ignores:
            await self._take_up()
        else:
            await self._wait()

    async def _take_up(self) -> None:
        await self._think()
        answer = await self.browser.post("take up", f"/e/{self.entry}/take-up/")
        checkout = _location(answer)
        if answer.status == 303 and not checkout.startswith((self.plan.site, "/")):
            await self._pay(checkout)
        await self._reload()
        if self.state == "OFFERED":  # not known yet, or refused: the page's countdown goes on
            await asyncio.sleep(3)

    async def _pay(self, checkout: str) -> None:
        """On Stripe's page. `pay` is from the last click there until our page says how it went."""
        if self.first_card_fails:
            self.first_card_fails = False
            self.tally.outcomes["cards declined"] += 1
            await self._think()
            await self._card(checkout, BAD_CARD)
        await self._think()
        began = time.monotonic()
        paid = await self._card(checkout, GOOD_CARD)
        back = _location(paid)
        if back.startswith(self.plan.site):
            await self._come_back(back.removeprefix(self.plan.site))
            self.tally.answered("pay", began)

    async def _come_back(self, path: str) -> None:
        """To the page that asks Stripe how it went, and asks again as long as Stripe hasn't said."""
        while 'data-story="waiting"' in _text(await self.browser.get("return", path)):
            await asyncio.sleep(RETURN_REFRESH)

    async def _card(self, checkout: str, number: str) -> Answer:
        card = {"number": number, "expiry": "12/34", "cvc": "123", "email": "player@players.example", "name": "Player"}
        parts = urlsplit(checkout)
        return await self.browser.post_to((parts.hostname or "", parts.port or 80), "stripe", parts.path, **card)

    async def _think(self) -> None:
        await asyncio.sleep(self.chance.uniform(0.2, 1) * self.plan.thinks)

    async def _until(self, moment: float) -> float:
        """Wait for a time since 1970; returns it on the monotonic clock, so that what comes late counts as late."""
        due = time.monotonic() + moment - time.time()
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        return due

    # --- The live page --------------------------------------------------------------------------------------------

    async def _reload(self) -> str:
        """Ask for the live page, and read off it how the entry stands."""
        self.asks_at = float("inf")
        page = _text(await self.browser.get("queue page", f"/t/{self.plan.slug}/queue/"))
        if found := ENTRY.search(page):
            self.entry, state = found.groups()
            if state != self.state:
                self.tally.outcomes[state.lower()] += 1
            self.state = state
        if found := STANDING.search(page):
            place, self.field = found.groups()
            self.place = int(place) if place else None
        return page

    async def _wait(self) -> None:
        """Until the socket brings something that is about this player; without one, the page refreshes itself."""
        try:
            async with asyncio.timeout(REFRESH * self.chance.uniform(1, 1.5)):
                await self.moved.wait()
        except TimeoutError:
            if self.window.is_open:
                return
        self.moved.clear()
        await self._reload()

    def _receive(self, text: Text) -> None:
        if text.kind == "line":
            self._look_for_me(text)
        elif text.kind.startswith("draw."):
            if text.kind != "draw.bundled":
                self._ask_again(SPREAD_OF_ALL)
        else:
            self._ask_again(SPREAD)

    def _back(self) -> None:
        """After a break. To those in line the greeting says what happened meanwhile."""
        if self.state == "WAITING" and self.place is not None:
            return
        self._ask_again(SPREAD_OF_OFFERED if self.state == "OFFERED" else SPREAD_OF_ALL)

    def _look_for_me(self, text: Text) -> None:
        """A line that moves on without this player makes it ask why; who asked a moment ago looks again after the pause."""
        bits = text.blocks.get(self.field)
        if self.state != "WAITING" or self.place is None or bits is None:
            return
        if self.looks_again is not None:
            self.looks_again.cancel()
        if bits and stands_in(bits, self.place):
            return
        loop = asyncio.get_running_loop()
        pause = self.asked_at + ASK_EVERY - loop.time()
        if pause > 0:
            self.looks_again = loop.call_later(pause, self._look_for_me, text)
        else:
            self.asked_at = loop.time()
            self._ask_again(SPREAD)

    def _ask_again(self, spread: float) -> None:
        if not self.entry:
            return  # the tournament's page says what it says
        loop = asyncio.get_running_loop()
        at = loop.time() + self.chance.random() * spread
        if at < self.asks_at:
            self.asks_at = at
            loop.call_at(at, self.moved.set)


def _text(page: Answer) -> str:
    return page.body.decode(errors="replace")


def _location(answer: Answer) -> str:
    """Where a redirect leads; empty for any other answer."""
    return next(iter(answer.header("location")), "")
