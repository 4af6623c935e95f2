"""Where Stripe sends its events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import stripe

from payments.gateway.calling import Caller, client


@dataclass(frozen=True)
class Endpoint:
    """Where Stripe sends events; `secret` is told only when it is made."""

    id: str
    url: str
    enabled: bool
    events: tuple[str, ...]
    metadata: dict[str, str]
    secret: str = ""


class EndpointCalls(Caller):
    def endpoints(self) -> list[Endpoint]:
        found = self._call(lambda options: client().v1.webhook_endpoints.list({"limit": 100}, options))
        return [_endpoint(endpoint) for endpoint in found.data]

    def create_endpoint(
        self, *, url: str, events: Sequence[str], metadata: dict[str, str], connect: bool = False
    ) -> Endpoint:
        """`connect` receives the events of connected accounts instead of the platform's own."""
        params: Any = {"url": url, "enabled_events": list(events), "metadata": metadata, "connect": connect}
        return _endpoint(self._call(lambda options: client().v1.webhook_endpoints.create(params, options)))

    def update_endpoint(self, endpoint_id: str, *, url: str, events: Sequence[str]) -> Endpoint:
        params: Any = {"url": url, "enabled_events": list(events), "disabled": False}
        return _endpoint(self._call(lambda options: client().v1.webhook_endpoints.update(endpoint_id, params, options)))

    def delete_endpoint(self, endpoint_id: str) -> None:
        self._call(lambda options: client().v1.webhook_endpoints.delete(endpoint_id, {}, options))


def _endpoint(found: stripe.WebhookEndpoint) -> Endpoint:
    return Endpoint(
        id=found.id,
        url=found.url,
        enabled=found.status == "enabled",
        events=tuple(found.enabled_events),
        metadata=found.metadata.to_dict(),
        secret=getattr(found, "secret", None) or "",
    )
