"""The addresses at which Stripe tells us of events: kept at Stripe and, with their secrets, in dj-stripe's table."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from django.conf import settings
from django.urls import reverse
from djstripe.models import WebhookEndpoint

from payments.gateway import Endpoint, Gateway
from payments.services.inbox import EVENTS
from tournaments.models import Organization
from vgchub.pages import absolute


@dataclass(frozen=True)
class Registered:
    """An endpoint as it is now; `change` is made, updated or kept."""

    url: str
    change: str


def register_endpoints() -> list[Registered]:
    """Make Stripe send its events to this site, once; one endpoint more where organizations have accounts of their own.

    Raises:
        GatewayError
    """
    connects = [False, *([True] if Organization.objects.exclude(stripe_account="").exists() else [])]
    gateway = Gateway()
    at_stripe = gateway.endpoints()
    registered = [_register(gateway, at_stripe, connect=connect) for connect in connects]
    _drop_strangers(gateway, at_stripe, {found.url for found in registered})
    return registered


def _register(gateway: Gateway, at_stripe: list[Endpoint], *, connect: bool) -> Registered:
    known = {endpoint.id: endpoint for endpoint in at_stripe}
    for row in WebhookEndpoint.objects.exclude(secret=""):
        found = known.get(row.id)
        if found is None:
            row.delete()  # Stripe has forgotten it, and its secret with it
        elif (found.metadata.get("connect") == "yes") == connect:
            return _keep(gateway, row, found)
    return _make(gateway, connect=connect)


def _keep(gateway: Gateway, row: WebhookEndpoint, found: Endpoint) -> Registered:
    url = _address(row.djstripe_uuid)
    if found.url == url and found.enabled and set(found.events) == set(EVENTS):
        return Registered(url, "kept")
    gateway.update_endpoint(found.id, url=url, events=EVENTS)
    row.url, row.enabled_events, row.status = url, list(EVENTS), "enabled"
    row.save(update_fields=["url", "enabled_events", "status"])
    return Registered(url, "updated")


def _make(gateway: Gateway, *, connect: bool) -> Registered:
    uuid = uuid4()
    mark = {"djstripe_uuid": str(uuid), "connect": "yes" if connect else "no"}
    made = gateway.create_endpoint(url=_address(uuid), events=EVENTS, metadata=mark, connect=connect)
    WebhookEndpoint.objects.create(
        id=made.id,
        djstripe_uuid=uuid,
        url=made.url,
        secret=made.secret,
        status="enabled",
        enabled_events=list(EVENTS),
        livemode=settings.STRIPE_LIVE_MODE,
        metadata=mark,
    )
    return Registered(made.url, "made")


def _drop_strangers(gateway: Gateway, at_stripe: list[Endpoint], ours: set[str]) -> None:
    """Endpoints of this site whose secret was lost, by a crash or a new database: every delivery to them would fail."""
    prefix = absolute(reverse("djstripe:djstripe_webhook_by_uuid", args=[UUID(int=0)])).split(str(UUID(int=0)))[0]
    known = set(WebhookEndpoint.objects.values_list("id", flat=True))
    for endpoint in at_stripe:
        if endpoint.url.startswith(prefix) and endpoint.url not in ours and endpoint.id not in known:
            gateway.delete_endpoint(endpoint.id)


def _address(uuid: UUID | str) -> str:
    return absolute(reverse("djstripe:djstripe_webhook_by_uuid", args=[uuid]))
