"""Sending events to webhook endpoints from a background task, with retries after growing pauses."""

import asyncio
import json
import sqlite3
import time
from contextlib import suppress
from urllib.parse import urlsplit

from simulator.settings import RETRY_PAUSES, Settings
from simulator.store import Json, Store, public
from simulator.webhooks import signature

IDLE = 0.5  # seconds between looks at the queue when nobody rings


class Courier:
    """Delivers what is due. At least once, in no promised order, like Stripe."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.bell = asyncio.Event()
        self.on_the_way: set[int] = set()
        self.places = asyncio.Semaphore(settings.webhooks_at_once)

    def ring(self) -> None:
        """There may be something to send."""
        self.bell.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                for row in self._due():
                    self.on_the_way.add(row["id"])
                    group.create_task(self._deliver(row))
                self.bell.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.bell.wait(), IDLE)

    def _due(self) -> list[sqlite3.Row]:
        how = self.store.setting("webhooks", {})
        if how.get("held"):
            return []
        order = "DESC" if how.get("reversed") else "ASC"
        rows = self.store.database.execute(
            f"SELECT * FROM delivery WHERE due_at <= ? ORDER BY id {order} LIMIT 500",  # noqa: S608 (one of two words)
            (time.time(),),
        )
        return [row for row in rows if row["id"] not in self.on_the_way]

    async def _deliver(self, row: sqlite3.Row) -> None:
        try:
            async with self.places:
                await self._attempt(row)
        finally:
            self.on_the_way.discard(row["id"])

    async def _attempt(self, row: sqlite3.Row) -> None:
        endpoint = self.store.find(row["endpoint"])
        event = self.store.find(row["event"])
        if endpoint is None or event is None or endpoint["status"] != "enabled":
            self._record(row, None, "endpoint gone or disabled")
            return
        copies = int(self.store.setting("webhooks", {}).get("copies", 1))
        answers = [await send(endpoint, event, self.settings.webhook_timeout) for _ in range(copies)]
        answer = answers[-1]
        if answer.isdigit() and 200 <= int(answer) < 300:
            if not self._arrived_before(row):
                event["pending_webhooks"] -= 1
                self.store.save(event)
            self._record(row, None, answer)
        else:
            self._record(row, self._next_due(row["attempts"]), answer)

    def _arrived_before(self, row: sqlite3.Row) -> bool:
        """Whether this is the second of two that were sent of one event."""
        twin = self.store.database.execute(
            "SELECT 1 FROM delivery WHERE event = ? AND endpoint = ? AND id <> ? AND last_answer LIKE '2__'",
            (row["event"], row["endpoint"], row["id"]),
        )
        return twin.fetchone() is not None

    def _next_due(self, attempts: int) -> float | None:
        if attempts >= len(RETRY_PAUSES):
            return None
        return time.time() + RETRY_PAUSES[attempts] * self.settings.retry_scale

    def _record(self, row: sqlite3.Row, due_at: float | None, answer: str) -> None:
        self.store.database.execute(
            "UPDATE delivery SET attempts = attempts + 1, due_at = ?, last_answer = ? WHERE id = ?",
            (due_at, answer, row["id"]),
        )


async def send(endpoint: Json, event: Json, patience: float) -> str:
    """POST the signed event; answers the HTTP status as text, or what went wrong. Redirects are failures."""
    payload = json.dumps(public(event), indent=2).encode()
    try:
        async with asyncio.timeout(patience):
            return await _post(endpoint, payload)
    except (OSError, TimeoutError, ValueError, IndexError) as problem:
        return f"{type(problem).__name__}: {problem}"


async def _post(endpoint: Json, payload: bytes) -> str:
    """HTTP by hand, as a task that can be cancelled: nothing waits for a slow endpoint when the simulator stops."""
    parts = urlsplit(endpoint["url"])
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure or None)
    try:
        head = {
            "Host": parts.netloc,
            "Connection": "close",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(payload)),
            "Stripe-Signature": signature(endpoint["_secret"], payload, int(time.time())),
        }
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + payload)
        status = (await reader.readline()).split()[1].decode()
        await reader.read()
        return status
    finally:
        writer.close()
