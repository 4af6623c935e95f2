"""Stripe's events: noted once as they arrive, handled later, in any order. They only say at what to look."""

import logging
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.db.models.functions import Now
from djstripe.models import WebhookEventTrigger

from payments.gateway import Gateway, GatewayAwayError, GatewayError
from payments.models import Payment, StripeEvent
from payments.rules import pause
from payments.services.capturing import let_go_of_stray
from payments.services.refunding import check_refund
from payments.services.settling import record_decline
from payments.services.sweeping import BATCH, advance
from payments.tasks import handle_event
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit

logger = logging.getLogger(__name__)

DELIVERIES_KEPT = timedelta(days=30)
EVENTS = (
    "checkout.session.completed",
    "checkout.session.expired",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "refund.failed",
    "refund.updated",
)


def receive_event(event: dict[str, Any]) -> None:
    """Note a signed event, once by its id, and wake a worker after the commit. No call, no decision."""
    about = event["data"]["object"]
    now = database_now()
    row = StripeEvent(
        stripe_id=event["id"],
        type=event["type"],
        stripe_account=event.get("account") or "",
        object_id=about.get("id") or "",
        payment_id=_payment_named_in(about.get("metadata") or {}),
        received_at=now,
        due_at=now,
    )
    StripeEvent.objects.bulk_create([row], ignore_conflicts=True)
    wake_on_commit(handle_event, event["id"])


def _payment_named_in(metadata: dict[str, str]) -> int | None:
    """Our payment, if this is about one: another site may use the same Stripe account, so that both ids have to fit."""
    named = metadata.get("payment", "")
    if not named.isdecimal() or len(named) > 18:
        return None
    found = Payment.objects.filter(pk=int(named), entry__public_id=metadata.get("entry", ""))
    return found.values_list("pk", flat=True).first()


def due_events() -> list[str]:
    """Stripe's ids of events that are still to be handled."""
    return list(StripeEvent.objects.due(database_now()).order_by("due_at").values_list("stripe_id", flat=True)[:BATCH])


def handle_stripe_event(*, stripe_id: str) -> None:
    """Look at what an event is about. One worker at a time: it is taken for a minute, and due again if that one dies."""
    now = database_now()
    taken = StripeEvent.objects.due(now).filter(stripe_id=stripe_id)
    if not taken.update(due_at=now + pause(4), attempts=F("attempts") + 1):
        return
    event = StripeEvent.objects.get(stripe_id=stripe_id)
    problem = ""
    try:
        _look_at(event)
    except GatewayAwayError as error:
        StripeEvent.objects.filter(pk=event.pk).update(error=str(error), due_at=now + pause(event.attempts))
        return
    except GatewayError as error:
        logger.exception("Stripe's event %s leads nowhere", stripe_id)
        problem = str(error)
    StripeEvent.objects.filter(pk=event.pk).update(handled_at=Now(), error=problem)


def forget_old_deliveries() -> int:
    """Delete the bodies of old deliveries; the events themselves stay as rows without personal data. Returns how many."""
    before = database_now() - DELIVERIES_KEPT
    deleted: int = WebhookEventTrigger.objects.filter(created__lt=before).delete()[0]
    return deleted


def _look_at(event: StripeEvent) -> None:
    if event.payment_id is None:
        return
    if event.type.startswith("refund."):
        check_refund(stripe_id=event.object_id)
    elif event.type == "payment_intent.payment_failed":
        _look_at_decline(event)
    else:
        advance(payment_id=event.payment_id)
        if event.type == "checkout.session.completed":
            let_go_of_stray(payment_id=event.payment_id, session_id=event.object_id)


def _look_at_decline(event: StripeEvent) -> None:
    intent = Gateway(event.stripe_account).retrieve_intent(event.object_id)
    record_decline(payment_id=event.payment_id or 0, intent=intent)
