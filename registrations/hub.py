"""One subscription per tournament and live process; one text, encoded once, written to all its sockets."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from redis import asyncio as aioredis
from redis.exceptions import RedisError

from registrations.publisher import line_key, moved_text
from vgchub.live import tournament_channel

logger = logging.getLogger(__name__)

Send = Callable[[str], Awaitable[None]]

RECONNECT_SECONDS = 1.0


class Hub:
    """The sockets of one live process, by tournament."""

    def __init__(self) -> None:
        self.sockets: dict[int, set[Send]] = defaultdict(set)
        self.listener: asyncio.Task[None] | None = None
        self.redis: aioredis.Redis | None = None
        self.pubsub: aioredis.client.PubSub | None = None

    async def join(self, tournament_id: int, send: Send, blocks: tuple[str, ...]) -> None:
        """Add a socket and send it the latest line with the blocks it asks for."""
        first = not self.sockets[tournament_id]
        self.sockets[tournament_id].add(send)
        if self.listener is None:
            self.listener = asyncio.create_task(self._listen())
        elif first:
            with contextlib.suppress(RedisError, OSError):
                await self._subscribe(tournament_id)
        await self._greet(tournament_id, send, blocks)

    def leave(self, tournament_id: int, send: Send) -> None:
        """Remove a socket. The subscription stays: it costs one text a second at most."""
        self.sockets[tournament_id].discard(send)

    async def _greet(self, tournament_id: int, send: Send, blocks: tuple[str, ...]) -> None:
        try:
            asked: Any = self._client().hmget(line_key(tournament_id), ["head", *blocks])
            head, *bitmaps = await asked
        except (RedisError, OSError):
            return  # the page has what it was rendered with; the next move brings the rest
        if head:
            found = {name: text.decode() for name, text in zip(blocks, bitmaps, strict=True) if text}
            await send(moved_text(head.decode(), dict.fromkeys(blocks, "") | found))

    def _client(self) -> aioredis.Redis:
        if self.redis is None:
            self.redis = aioredis.Redis.from_url(settings.REDIS_URL, socket_timeout=None)
        return self.redis

    async def _subscribe(self, *tournament_ids: int) -> None:
        if self.pubsub is not None and tournament_ids:
            await self.pubsub.subscribe(*(tournament_channel(pk) for pk in tournament_ids))

    async def _listen(self) -> None:
        """For ever; after Redis was away, subscribe again and greet nobody: the next move comes within seconds."""
        while True:
            try:
                self.pubsub = self._client().pubsub(ignore_subscribe_messages=True)
                await self._subscribe(*self.sockets)
                async for message in self.pubsub.listen():
                    await self._pass_on(int(message["channel"].rsplit(b":", 1)[1]), message["data"].decode())
            except (RedisError, OSError):
                logger.warning("Redis is away; the sockets wait")
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _pass_on(self, tournament_id: int, text: str) -> None:
        for count, send in enumerate(tuple(self.sockets[tournament_id])):
            # A socket that is just closing must not keep the others waiting for their turn.
            with contextlib.suppress(RuntimeError, OSError):
                await send(text)
            if count % 200 == 199:
                await asyncio.sleep(0)


hub = Hub()
