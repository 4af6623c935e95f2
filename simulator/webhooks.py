"""Webhook endpoints: where events are sent, and the secret that signs them."""

import hashlib
import hmac

from simulator import listing, shapes
from simulator.context import Context
from simulator.errors import invalid
from simulator.params import Params, merged
from simulator.store import Json, new_id


def create(context: Context, params: Params) -> Json:
    """The only answer that carries the secret."""
    params.allow("url", "enabled_events", "description", "metadata", "api_version", "connect")
    endpoint = shapes.new(
        shapes.WEBHOOK_ENDPOINT,
        id=new_id("we_1"),
        api_version=params.text("api_version"),
        created=context.now(),
        description=params.text("description"),
        enabled_events=_enabled_events(params),
        metadata=params.metadata(),
        url=_url(params),
        _connect=params.flag("connect"),
        _secret=new_id("whsec_", 32),
    )
    context.add(endpoint)
    return endpoint | {"secret": endpoint["_secret"]}


def retrieve(context: Context, _params: Params, endpoint_id: str) -> Json:
    return context.get("webhook_endpoint", endpoint_id, param="webhook_endpoint")


def list_all(context: Context, params: Params) -> Json:
    params.allow(*listing.PAGING)
    return listing.page(context, params, "/v1/webhook_endpoints", "webhook_endpoint", {})


def update(context: Context, params: Params, endpoint_id: str) -> Json:
    params.allow("url", "enabled_events", "description", "metadata", "disabled")
    metadata = params.metadata()
    fields: Json = {}
    if "url" in params.values:
        fields["url"] = _url(params)
    if "enabled_events" in params.values:
        fields["enabled_events"] = _enabled_events(params)
    if "description" in params.values:
        fields["description"] = params.text("description")
    if "disabled" in params.values:
        fields["status"] = "disabled" if params.flag("disabled") else "enabled"
    endpoint = context.get("webhook_endpoint", endpoint_id, param="webhook_endpoint") | fields
    endpoint["metadata"] = merged(endpoint["metadata"], metadata)
    return context.save(endpoint)


def delete(context: Context, _params: Params, endpoint_id: str) -> Json:
    context.get("webhook_endpoint", endpoint_id, param="webhook_endpoint")
    context.store.remove(endpoint_id)
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}


def _enabled_events(params: Params) -> list[str]:
    events = params.texts("enabled_events")
    if not events:
        message = "Missing required param: enabled_events."
        raise invalid(message, param="enabled_events", code="parameter_missing")
    return events


def _url(params: Params) -> str:
    url = params.need_text("url")
    if not url.startswith(("http://", "https://")):
        message = "Invalid URL: URL must be publicly accessible."
        raise invalid(message, param="url", code="url_invalid")
    return url


def signature(secret: str, payload: bytes, moment: int) -> str:
    """The value of `Stripe-Signature` for a body sent at `moment` (real seconds since 1970)."""
    signed = f"{moment}.".encode() + payload
    return f"t={moment},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
