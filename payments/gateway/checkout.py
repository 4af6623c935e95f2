"""Hosted checkout pages."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe

from payments.gateway.calling import Caller, client, measured


@dataclass(frozen=True)
class CheckoutOrder:
    """What a checkout session is made of."""

    reference: str  # the entry's public id
    amount_minor: int
    currency: str
    title: str
    email: str
    expires_at: datetime
    success_url: str
    cancel_url: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class Session:
    """A checkout session. `status` is open, complete or expired; the intent is known once it is complete."""

    id: str
    status: str
    url: str
    intent: str | None


class CheckoutCalls(Caller):
    def create_session(self, order: CheckoutOrder, *, key: str) -> Session:
        """Open a hosted checkout page that only authorises: the money is captured when the seat is confirmed."""
        with measured("checkout"):
            created = self._call(
                lambda options: client().v1.checkout.sessions.create(_session_params(order), options), key
            )
        return _session(created)

    def retrieve_session(self, session_id: str) -> Session:
        return _session(self._call(lambda options: client().v1.checkout.sessions.retrieve(session_id, {}, options)))

    def expire_session(self, session_id: str, *, key: str) -> Session:
        """Close an open checkout page; refused when it is complete or expired already."""
        return _session(self._call(lambda options: client().v1.checkout.sessions.expire(session_id, {}, options), key))


def _session_params(order: CheckoutOrder) -> Any:
    return {
        "mode": "payment",
        "client_reference_id": order.reference,
        "customer_email": order.email,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": order.currency,
                    "unit_amount": order.amount_minor,
                    "product_data": {"name": order.title},
                },
            }
        ],
        "payment_intent_data": {
            "capture_method": "manual",
            "description": order.title,
            "metadata": order.metadata,
        },
        "metadata": order.metadata,
        "expires_at": int(order.expires_at.astimezone(UTC).timestamp()),
        "success_url": order.success_url,
        "cancel_url": order.cancel_url,
    }


def _session(found: stripe.checkout.Session) -> Session:
    intent = found.payment_intent
    return Session(
        id=found.id,
        status=found.status or "open",
        url=found.url or "",
        intent=intent if isinstance(intent, str) or intent is None else intent.id,
    )
