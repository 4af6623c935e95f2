"""The addresses at which Stripe tells us of events: kept at Stripe and, with their secrets, in dj-stripe's table.

A secret is changed by a second endpoint, whose secret is new: until the first is deleted both are valid, and what both
deliver is one event. `replaced_at` in the row's metadata marks the old one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from djstripe.models import WebhookEndpoint

from payments.gateway import Endpoint, Gateway
from payments.services.inbox import EVENTS
from tournaments.models import Organization
from tournaments.queries import database_now
from vgchub.errors import RefusedError
from vgchub.pages import absolute

BOTH_VALID = timedelta(hours=24)  # at least, unless somebody ends it


class RotatingError(RefusedError):
    code = "rotating"
    message = _("The old secrets are still valid, since less than a day.")
    remedy = _("End that first: register_webhook --finish.")


@dataclass(frozen=True)
class Registered:
    """An endpoint as it is now; `change` is made, updated, kept, or deleted."""

    url: str
    change: str


def register_endpoints() -> list[Registered]:
    """Make Stripe send its events to this site, once; one endpoint more where organizations have accounts of their own.

    Old and new ones of a change of secrets are both left as they are.

    Raises:
        GatewayError
    """
    gateway = Gateway()
    at_stripe = gateway.endpoints()
    registered = [_register(gateway, at_stripe, connect=connect) for connect in _kinds()]
    _drop_strangers(gateway, at_stripe, {found.url for found in registered})
    return registered


def rotate_endpoints() -> list[Registered]:
    """Begin to change the secrets: an endpoint with a new one beside each that there is. Old ones of an earlier change end now.

    Raises:
        GatewayError
        RotatingError: the change before is not a day old
    """
    old = _replaced()
    if any(database_now() < _replaced_at(row) + BOTH_VALID for row in old):
        raise RotatingError
    ended = finish_rotation()
    replaced = list(WebhookEndpoint.objects.exclude(secret=""))
    gateway = Gateway()
    made = [_make(gateway, connect=connect) for connect in _kinds()]
    for row in replaced:
        row.metadata = {**(row.metadata or {}), "replaced_at": database_now().isoformat()}
        row.save(update_fields=["metadata"])
    return [*ended, *made]


def finish_rotation() -> list[Registered]:
    """Delete the old endpoints, at Stripe and here: what is signed with their secrets is refused from now on.

    Raises:
        GatewayError
    """
    old = _replaced()
    if not old:
        return []
    gateway = Gateway()
    known = {endpoint.id for endpoint in gateway.endpoints()}
    for row in old:
        if row.id in known:
            gateway.delete_endpoint(row.id)
        row.delete()
    return [Registered(row.url, "deleted") for row in old]


def _kinds() -> list[bool]:
    """Whether for connected accounts: of the platform itself, and of others where there are any."""
    return [False, *([True] if Organization.objects.exclude(stripe_account="").exists() else [])]


def _replaced() -> list[WebhookEndpoint]:
    return [row for row in WebhookEndpoint.objects.exclude(secret="") if _is_replaced(row)]


def _is_replaced(row: WebhookEndpoint) -> bool:
    return "replaced_at" in (row.metadata or {})


def _replaced_at(row: WebhookEndpoint) -> datetime:
    return datetime.fromisoformat(row.metadata["replaced_at"])


def _register(gateway: Gateway, at_stripe: list[Endpoint], *, connect: bool) -> Registered:
    known = {endpoint.id: endpoint for endpoint in at_stripe}
    current = None
    for row in WebhookEndpoint.objects.exclude(secret="").order_by("djstripe_id"):
        found = known.get(row.id)
        if found is None:
            row.delete()  # Stripe has forgotten it, and its secret with it
        elif (found.metadata.get("connect") == "yes") == connect:
            kept = _keep(gateway, row, found)
            current = current if _is_replaced(row) else kept
    return current or _make(gateway, connect=connect)


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
