"""From an event to its deliveries: sent at once, unless it was ordered or drawn that they be late, twice, or lost."""

import time
from fnmatch import fnmatchcase

from simulator import misbehaviour
from simulator.store import Json, Store

LOST = "lost by the simulator"


def post(store: Store, event: Json, endpoint: Json) -> None:
    """Queue the event for an endpoint. A lost one stays in the list of events, and is never sent."""
    how = store.setting("webhooks", {})
    fate, late = misbehaviour.fate_of_next(store)
    late += how.get("delay_ms", 0) / 1000
    due_at = time.time() + late if late else 0.0
    if fate == "lost" or fnmatchcase(event["type"], how.get("lose", "")):
        _queue(store, event, endpoint, due_at=None, answer=LOST)
        return
    for _ in range(2 if fate == "twice" else 1):
        _queue(store, event, endpoint, due_at=due_at, answer=None)


def _queue(store: Store, event: Json, endpoint: Json, *, due_at: float | None, answer: str | None) -> None:
    store.database.execute(
        "INSERT INTO delivery (event, endpoint, attempts, due_at, last_answer) VALUES (?, ?, 0, ?, ?)",
        (event["id"], endpoint["id"], due_at, answer),
    )
