"""The sockets of one live process: one subscription per tournament; one text, encoded once, written to all of them.

What a socket is greeted with is in memory, so that ten thousand that come back at once ask nobody for anything.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from redis import asyncio as aioredis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from registrations.passes import Pass
from registrations.publisher import line_key, moved_text
from vgchub.live import accounts_channel, compact, tournament_channel
from vgchub.live_worker import Encoded, Write, encoded

logger = logging.getLogger(__name__)

RECONNECT_SECONDS = 1.0
SILENT_SECONDS = 3.0  # after so long Redis is asked whether it is there, and given as long for each answer
WRITTEN_AT_ONCE = 500  # sockets, before others get their turn

# Said after a break: whatever concerned an account alone meanwhile was told to nobody, so its page has to ask.
MISSED = encoded(compact({"kind": "missed"}))


@dataclass(eq=False)
class Socket:
    """An open socket, whom it belongs to, and how to write an encoded text to it."""

    owner: Pass
    write: Write


@dataclass(eq=False)
class Room:
    """A tournament as this process knows it: its sockets and the line as last heard.

    `greetings` are encoded texts by the blocks that they hold, kept until the line moves.
    """

    sockets: set[Socket] = field(default_factory=set)
    head: Any = None  # None until it is known
    blocks: dict[str, str] = field(default_factory=dict)
    greetings: dict[tuple[str, ...], Encoded] = field(default_factory=dict)

    def learn(self, head: Any, blocks: dict[str, str]) -> None:
        self.head = head
        self.blocks |= blocks
        self.greetings.clear()

    def greet(self, sockets: Iterable[Socket]) -> None:
        """Write them the line with the blocks that their passes name; nothing while it isn't known."""
        if self.head is None:
            return
        for socket in sockets:
            names = socket.owner.blocks
            if names not in self.greetings:
                found = {name: self.blocks.get(name, "") for name in names}
                self.greetings[names] = encoded(moved_text(compact(self.head), found))
            socket.write(self.greetings[names])


class Hub:
    """The sockets of one live process, by tournament and by account."""

    def __init__(self) -> None:
        self.rooms: dict[int, Room] = {}
        self.accounts: dict[int, set[Socket]] = defaultdict(set)
        self.listener: asyncio.Task[None] | None = None
        self.redis: aioredis.Redis | None = None
        self.pubsub: aioredis.client.PubSub | None = None  # while it is connected
        self.has_listened = False

    async def join(self, socket: Socket) -> None:
        """Add a socket; it is written the latest line now, or as soon as it is known."""
        tournament_id = socket.owner.tournament_id
        is_new = tournament_id not in self.rooms
        room = self.rooms.setdefault(tournament_id, Room())
        room.sockets.add(socket)
        if socket.owner.account_id is not None:
            self.accounts[socket.owner.account_id].add(socket)
        if self.listener is None:
            self.listener = asyncio.create_task(self._listen())
        elif is_new and self.pubsub is not None:
            try:
                await self.pubsub.subscribe(tournament_channel(tournament_id))
            except (RedisError, OSError):
                logger.warning("Redis is away; tournament %s is subscribed to once it is back", tournament_id)
        room.greet([socket])

    def leave(self, socket: Socket) -> None:
        """Remove a socket. The subscription stays: it costs one text a second at most."""
        self.rooms[socket.owner.tournament_id].sockets.discard(socket)
        account_id = socket.owner.account_id
        if account_id is not None:
            self.accounts[account_id].discard(socket)
            if not self.accounts[account_id]:
                del self.accounts[account_id]

    async def _listen(self) -> None:
        """For ever; after any break, be it that Redis was away, all is subscribed to again, and every socket greeted anew."""
        while True:
            try:
                # All connections are new ones: after a host vanished, those that were idle are as dead as the one that showed it.
                async with (
                    aioredis.Redis.from_url(settings.REDIS_URL, socket_timeout=SILENT_SECONDS) as self.redis,
                    self.redis.pubsub() as pubsub,
                ):
                    await pubsub.subscribe(accounts_channel())
                    self.pubsub = pubsub  # from here on, new rooms subscribe themselves
                    await pubsub.subscribe(*map(tournament_channel, self.rooms))
                    while True:
                        await self._hear(await _next_message(pubsub))
            except (RedisError, OSError):
                logger.warning("Redis is away; the sockets wait")
            except Exception:
                # Sockets that stay open and hear nothing are worse than none: their pages ask for nothing either.
                logger.exception("The sockets could not be told something; they are greeted anew")
            self.pubsub = None
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "pong":
            return
        channel = message["channel"].decode()
        if channel == accounts_channel():
            if message["type"] == "message":
                self._tell(json.loads(message["data"]))
            elif self.has_listened:
                await _write(MISSED, [socket for sockets in self.accounts.values() for socket in sockets])
            self.has_listened = True
            return
        tournament_id = int(channel.rsplit(":", 1)[1])
        if message["type"] == "subscribe":
            await self._load(tournament_id)
        elif message["type"] == "message":
            await self._pass_on(tournament_id, message["data"].decode())

    def _tell(self, messages: list[tuple[int, str]]) -> None:
        for account_id, text in messages:
            # `get` makes no sets for accounts that are elsewhere.
            for socket in self.accounts.get(account_id, ()):
                socket.write(encoded(text))

    async def _load(self, tournament_id: int) -> None:
        """Learn the whole line once its moves are subscribed to; those that come meanwhile are heard after it."""
        assert self.redis is not None  # noqa: S101  it listens
        asked: Any = self.redis.hgetall(line_key(tournament_id))
        found = {name.decode(): text.decode() for name, text in (await asked).items()}
        head = found.pop("head", None)
        room = self.rooms[tournament_id]
        if head is not None:
            room.blocks.clear()
            room.learn(json.loads(head), found)
            room.greet(tuple(room.sockets))

    async def _pass_on(self, tournament_id: int, text: str) -> None:
        told, room = json.loads(text), self.rooms[tournament_id]
        if told["kind"] == "line":
            if told["blocks"] is None:
                await self._load(tournament_id)
                return
            room.learn(told["head"], told["blocks"])
        await _write(encoded(text), tuple(room.sockets))


async def _write(text: Encoded, sockets: Sequence[Socket]) -> None:
    for count, socket in enumerate(sockets, start=1):
        socket.write(text)
        if count % WRITTEN_AT_ONCE == 0:
            await asyncio.sleep(0)


async def _next_message(pubsub: aioredis.client.PubSub) -> dict[str, Any]:
    """What Redis says next. While it says nothing it is asked whether it is there: a host that vanished closes no connection.

    Raises:
        RedisTimeoutError: it says nothing to that either
    """
    message: dict[str, Any] | None = await pubsub.get_message(timeout=SILENT_SECONDS)
    if message is None:
        await pubsub.ping()
        message = await pubsub.get_message(timeout=SILENT_SECONDS)
    if message is None:
        raise RedisTimeoutError("Redis does not answer")
    return message


hub = Hub()
