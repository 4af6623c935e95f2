"""Sending events to webhook endpoints from a background task, with retries after growing pauses."""

import asyncio
import http.client
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
        answers = [await asyncio.to_thread(send, endpoint, event, self.settings.webhook_timeout) for _ in range(copies)]
        answer = answers[-1]
        if answer.isdigit() and 200 <= int(answer) < 300:
            event["pending_webhooks"] -= 1
            self.store.save(event)
            self._record(row, None, answer)
        else:
            self._record(row, self._next_due(row["attempts"]), answer)

    def _next_due(self, attempts: int) -> float | None:
        if attempts >= len(RETRY_PAUSES):
            return None
        return time.time() + RETRY_PAUSES[attempts] * self.settings.retry_scale

    def _record(self, row: sqlite3.Row, due_at: float | None, answer: str) -> None:
        self.store.database.execute(
            "UPDATE delivery SET attempts = attempts + 1, due_at = ?, last_answer = ? WHERE id = ?",
            (due_at, answer, row["id"]),
        )


def send(endpoint: Json, event: Json, timeout: float) -> str:
    """POST the signed event; answers the HTTP status as text, or what went wrong. Redirects are failures."""
    payload = json.dumps(public(event), indent=2).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Stripe-Signature": signature(endpoint["_secret"], payload, int(time.time())),
    }
    parts = urlsplit(endpoint["url"])
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        path = parts.path or "/"
        connection.request("POST", f"{path}?{parts.query}" if parts.query else path, payload, headers)
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as problem:
        return f"{type(problem).__name__}: {problem}"
    finally:
        connection.close()
