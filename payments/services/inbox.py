"""Stripe's events: noted once as they arrive, handled later, in any order. They only say at what to look."""

import logging
from datetime import timedelta
from typing import Any

import pghistory
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from djstripe.models import WebhookEventTrigger

from payments.gateway import Gateway, GatewayAwayError, GatewayError
from payments.models import Payment, SavedCard, StripeEvent
from payments.rules import EVENT_TRIED_FOR, EVENT_TRIES, LetterKind, pause
from payments.services import letters
from payments.services.capturing import let_go_of_stray
from payments.services.declining import record_decline
from payments.services.disputing import record_dispute
from payments.services.refunding import check_refund
from payments.services.reviewing import FRAUD_WARNING, look_at_entry
from payments.services.saving import settle_card
from payments.services.sweeping import BATCH, advance
from payments.tasks import handle_event
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit
from vgchub.masking import clean

logger = logging.getLogger(__name__)

DELIVERIES_KEPT = timedelta(days=30)
EVENTS = (
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "checkout.session.completed",
    "checkout.session.expired",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "radar.early_fraud_warning.created",
    "refund.failed",
    "refund.updated",
)


def receive_event(event: dict[str, Any]) -> None:
    """Note a signed event, once by its id, and wake a worker after the commit. No call, no decision."""
    about, account = event["data"]["object"], event.get("account") or ""
    now = database_now()
    row = StripeEvent(
        stripe_id=event["id"],
        type=event["type"],
        stripe_account=account,
        object_id=about.get("id") or "",
        payment_id=_payment_of(about, account),
        card_id=_card_named_in(about.get("metadata") or {}, account),
        received_at=now,
        due_at=now,
    )
    StripeEvent.objects.bulk_create([row], ignore_conflicts=True)
    wake_on_commit(handle_event, event["id"])


def _payment_of(about: dict[str, Any], account: str) -> int | None:
    """Our payment that an event's object is about: the one it names or, of what carries no mark of ours, the one of its intent.

    Whoever owns another connected account can put what they like on its objects: theirs are never about a payment of this one.
    """
    payments = Payment.objects.filter(stripe_account=account).values_list("pk", flat=True)
    named = _named_in(about.get("metadata") or {}, "payment", payments)
    if named is not None or not about.get("payment_intent"):
        return named
    return payments.filter(intent=about["payment_intent"]).first()


def _card_named_in(metadata: dict[str, str], account: str) -> int | None:
    """Our card on file, if this is about one."""
    return _named_in(metadata, "card", SavedCard.objects.filter(stripe_account=account).values_list("pk", flat=True))


def _named_in(metadata: dict[str, str], name: str, rows: QuerySet[Any, int]) -> int | None:
    """The row that is named: another site may use the same Stripe account, so that both ids have to fit."""
    return rows.filter(pk=_id_in(metadata, name), entry__public_id=metadata.get("entry", "")).first()


def _id_in(metadata: dict[str, str], name: str) -> int:
    """0, which no row has, for what is no id of ours."""
    named = metadata.get(name, "")
    return int(named) if named.isdecimal() and len(named) <= 18 else 0


def due_events() -> list[str]:
    """Stripe's ids of events that are still to be handled."""
    return list(StripeEvent.objects.due(database_now()).order_by("due_at").values_list("stripe_id", flat=True)[:BATCH])


def handle_stripe_event(*, stripe_id: str) -> None:
    """Look at what an event is about. One worker at a time: it is taken for a minute, and due again if that one dies.

    What leads nowhere, or breaks for a day, becomes a dead letter.
    """
    now = database_now()
    taken = StripeEvent.objects.due(now).filter(stripe_id=stripe_id)
    if not taken.update(due_at=now + pause(4), attempts=F("attempts") + 1):
        return
    event = StripeEvent.objects.get(stripe_id=stripe_id)
    try:
        _look_at(event)
    except GatewayAwayError as error:
        _look_later(event, error)
    except GatewayError as error:
        logger.exception("Stripe's event %s leads nowhere", stripe_id)
        _bury(event, error)
    except Exception as error:
        logger.exception("Stripe's event %s can't be handled", stripe_id)
        if event.attempts >= EVENT_TRIES and database_now() >= event.received_at + EVENT_TRIED_FOR:
            _bury(event, error)
        else:
            _look_later(event, error)
    else:
        StripeEvent.objects.filter(pk=event.pk).update(handled_at=Now(), error="")


def _look_later(event: StripeEvent, error: Exception) -> None:
    due_at = database_now() + pause(event.attempts)
    StripeEvent.objects.filter(pk=event.pk).update(error=clean(str(error)), due_at=due_at)


def _bury(event: StripeEvent, error: Exception) -> None:
    about = {"type": event.type, "object": event.object_id, "account": event.stripe_account}
    cause = f"{type(error).__name__}: {error}"
    with transaction.atomic(), pghistory.context(service="handle_stripe_event"):
        StripeEvent.objects.filter(pk=event.pk).update(handled_at=Now(), error=clean(str(error)))
        letters.bury(LetterKind.WEBHOOK, f"event {event.stripe_id}", cause, about, event.attempts, event.payment)


def forget_old_deliveries() -> int:
    """Delete the bodies of old deliveries; the events themselves stay as rows without personal data. Returns how many."""
    before = database_now() - DELIVERIES_KEPT
    deleted: int = WebhookEventTrigger.objects.filter(created__lt=before).delete()[0]
    return deleted


def _look_at(event: StripeEvent) -> None:
    if event.card_id is not None:
        settle_card(card_id=event.card_id)
    if event.payment_id is None:
        return
    if event.type.startswith("refund."):
        check_refund(stripe_id=event.object_id)
    elif event.type.startswith("charge.dispute."):
        record_dispute(stripe_id=event.object_id, stripe_account=event.stripe_account)
    elif event.type == FRAUD_WARNING:
        look_at_entry(entry_id=Payment.objects.values_list("entry_id", flat=True).get(pk=event.payment_id))
    elif event.type == "payment_intent.payment_failed":
        _look_at_decline(event)
    else:
        advance(payment_id=event.payment_id)
        if event.type == "checkout.session.completed":
            let_go_of_stray(payment_id=event.payment_id, session_id=event.object_id)


def _look_at_decline(event: StripeEvent) -> None:
    if event.payment is not None and event.payment.card_id is not None:
        advance(payment_id=event.payment.pk)
        return
    intent = Gateway(event.stripe_account).retrieve_intent(event.object_id)
    record_decline(payment_id=event.payment_id or 0, intent=intent)
