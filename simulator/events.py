"""Events: written with every change, kept for `GET /v1/events`, queued for the webhook endpoints."""

from typing import TYPE_CHECKING

from simulator import listing, posting, rendering
from simulator.params import Params
from simulator.settings import API_VERSION
from simulator.store import Json, new_id

if TYPE_CHECKING:
    from simulator.context import Context


def record(context: "Context", event_type: str, body: Json) -> Json:
    endpoints = _listening(context, event_type)
    event: Json = {
        "id": new_id("evt_1"),
        "object": "event",
        "api_version": API_VERSION,
        "created": context.now(),
        "data": {"object": rendering.shown(context, body)},
        "livemode": False,
        "pending_webhooks": len(endpoints),
        "request": {"id": context.request_id, "idempotency_key": context.idempotency_key},
        "type": event_type,
    }
    if context.account:
        event["account"] = context.account
    context.add(event)
    for endpoint in endpoints:
        posting.post(context.store, event, endpoint)
    return event


def _listening(context: "Context", event_type: str) -> list[Json]:
    """Enabled endpoints that asked for this type; connected accounts' events go to `connect` endpoints."""
    return [
        endpoint
        for endpoint in context.store.select("webhook_endpoint", {"status": "enabled"})
        if ("*" in endpoint["enabled_events"] or event_type in endpoint["enabled_events"])
        and endpoint["_connect"] == bool(context.account)
    ]


def retrieve(context: "Context", _params: Params, event_id: str) -> Json:
    return context.get("event", event_id)


def list_all(context: "Context", params: Params) -> Json:
    params.allow("type", "types", "created", "delivery_success", *listing.PAGING)
    where = listing.filters(params, "type") | listing.created(params)
    types = params.texts("types")
    if types:
        where["type in"] = types
    if params.text("delivery_success"):
        where["pending_webhooks " + ("=" if params.flag("delivery_success") else ">")] = 0
    return listing.page(context, params, "/v1/events", "event", where)
