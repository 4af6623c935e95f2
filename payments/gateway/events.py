"""Stripe's own list of events: what it would have told us, also where its webhook was lost."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from payments.gateway.calling import Caller, client

# What happens on a checkout page before it is complete. Its session does not name the intent until then.
ATTEMPTS = ("payment_intent.payment_failed", "payment_intent.requires_action")
MOST_PAGES = 10  # of a hundred each, since one checkout began


@dataclass(frozen=True)
class Attempt:
    """An attempt to pay that a bank refused, or of which it asks its holder (3-D Secure); `at` is when it said so."""

    event: str
    type: str
    intent: str
    at: datetime


class EventCalls(Caller):
    def last_attempt(self, *, metadata: dict[str, str], since: datetime) -> Attempt | None:
        """The latest refusal, or question of a bank, about an intent with this metadata since then; None if there is none.

        Raises:
            GatewayAwayError
        """
        for event in self._attempts(since):
            about = event.data.object
            if metadata.items() <= dict(about.get("metadata") or {}).items():
                return Attempt(event.id, event.type, about["id"], datetime.fromtimestamp(event.created, UTC))
        return None

    def _attempts(self, since: datetime) -> Iterator[Any]:
        """The newest first."""
        params: dict[str, Any] = {"limit": 100, "types": list(ATTEMPTS), "created": {"gte": int(since.timestamp())}}
        for _page in range(MOST_PAGES):
            found: Any = self._call(lambda options: client().v1.events.list(params, options))  # type: ignore[arg-type]
            yield from found.data
            if not found.has_more:
                return
            params["starting_after"] = found.data[-1].id
