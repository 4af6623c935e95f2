"""The only place that talks to Stripe. Plain values come out; errors are these three and no others."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import stripe
from django.conf import settings

from vgchub import health

logger = logging.getLogger(__name__)

TIMEOUT = (3.0, 8.0)  # seconds to connect, and to wait for an answer
RETRIES = 1  # at once, by the client; later ones are the sweep's
IN_FLIGHT = "in_flight"


class GatewayError(Exception):
    """Stripe did not do what was asked. `code` is Stripe's, or empty."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message, self.code = message, code


class GatewayAwayError(GatewayError):
    """No answer, or "not now": ask again later. `answered` says that a new idempotency key is needed then."""

    def __init__(self, message: str, code: str = "", *, answered: bool = False) -> None:
        super().__init__(message, code)
        self.answered = answered


class GatewayRefusedError(GatewayError):
    """A final no to this call: the card's bank refuses, or the object is in another state. Ask for the object."""


class NotAtStripeError(GatewayError):
    """Stripe knows no such object."""


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


@dataclass(frozen=True)
class Intent:
    """A payment intent; `status` as Stripe says it, `decline` the last answer of the card's bank if it was a no."""

    id: str
    status: str
    amount_minor: int
    decline_code: str
    decline_message: str


@dataclass(frozen=True)
class StripeRefund:
    """`status` is pending, requires_action, succeeded, failed or canceled."""

    id: str
    status: str
    problem: str


@dataclass(frozen=True)
class Endpoint:
    """Where Stripe sends events; `secret` is told only when it is made."""

    id: str
    url: str
    enabled: bool
    events: tuple[str, ...]
    metadata: dict[str, str]
    secret: str = ""


@dataclass(frozen=True)
class Gateway:
    """Stripe on behalf of one account; empty is the platform's own."""

    account: str = ""

    def create_session(self, order: CheckoutOrder, *, key: str) -> Session:
        """Open a hosted checkout page that only authorises: the money is captured when the seat is confirmed."""
        with _measured("checkout"):
            created = self._call(
                lambda options: _client().v1.checkout.sessions.create(_session_params(order), options), key
            )
        return _session(created)

    def retrieve_session(self, session_id: str) -> Session:
        return _session(self._call(lambda options: _client().v1.checkout.sessions.retrieve(session_id, {}, options)))

    def expire_session(self, session_id: str, *, key: str) -> Session:
        """Close an open checkout page; refused when it is complete or expired already."""
        return _session(self._call(lambda options: _client().v1.checkout.sessions.expire(session_id, {}, options), key))

    def retrieve_intent(self, intent_id: str) -> Intent:
        return _intent(self._call(lambda options: _client().v1.payment_intents.retrieve(intent_id, {}, options)))

    def capture_intent(self, intent_id: str, *, key: str) -> Intent:
        """Take the authorised money; refused when there is none (any more), or by the card's bank."""
        return _intent(self._call(lambda options: _client().v1.payment_intents.capture(intent_id, {}, options), key))

    def cancel_intent(self, intent_id: str, *, key: str) -> Intent:
        """Let an authorisation go; refused when it was captured, or its session is still open."""
        return _intent(self._call(lambda options: _client().v1.payment_intents.cancel(intent_id, {}, options), key))

    def create_refund(self, intent_id: str, *, amount_minor: int, key: str, metadata: dict[str, str]) -> StripeRefund:
        params: Any = {"payment_intent": intent_id, "amount": amount_minor, "metadata": metadata}
        return _refund(self._call(lambda options: _client().v1.refunds.create(params, options), key))

    def retrieve_refund(self, refund_id: str) -> StripeRefund:
        return _refund(self._call(lambda options: _client().v1.refunds.retrieve(refund_id, {}, options)))

    def find_refund(self, intent_id: str, *, metadata: dict[str, str]) -> StripeRefund | None:
        """The refund of an intent that carries this metadata: did an earlier call get through unanswered?"""
        params: Any = {"payment_intent": intent_id, "limit": 100}
        found = self._call(lambda options: _client().v1.refunds.list(params, options))
        for refund in found.data:
            if (refund.metadata or {}) and metadata.items() <= refund.metadata.to_dict().items():
                return _refund(refund)
        return None

    def endpoints(self) -> list[Endpoint]:
        found = self._call(lambda options: _client().v1.webhook_endpoints.list({"limit": 100}, options))
        return [_endpoint(endpoint) for endpoint in found.data]

    def create_endpoint(
        self, *, url: str, events: Sequence[str], metadata: dict[str, str], connect: bool = False
    ) -> Endpoint:
        """`connect` receives the events of connected accounts instead of the platform's own."""
        params: Any = {"url": url, "enabled_events": list(events), "metadata": metadata, "connect": connect}
        return _endpoint(self._call(lambda options: _client().v1.webhook_endpoints.create(params, options)))

    def update_endpoint(self, endpoint_id: str, *, url: str, events: Sequence[str]) -> Endpoint:
        params: Any = {"url": url, "enabled_events": list(events), "disabled": False}
        return _endpoint(
            self._call(lambda options: _client().v1.webhook_endpoints.update(endpoint_id, params, options))
        )

    def delete_endpoint(self, endpoint_id: str) -> None:
        self._call(lambda options: _client().v1.webhook_endpoints.delete(endpoint_id, {}, options))

    def _call(self, ask: "Callable[[Any], Any]", key: str = "") -> Any:
        """Ask Stripe; its dozen errors come out as ours."""
        options = {"stripe_account": self.account} if self.account else {}
        if key:
            options["idempotency_key"] = key
        with _translated():
            return ask(options)


@cache
def _client_for(key: str, base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": base} if base else None,
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=TIMEOUT),
    )


def _client() -> stripe.StripeClient:
    return _client_for(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except stripe.InvalidRequestError as error:
        wrong = NotAtStripeError if error.code == "resource_missing" else GatewayRefusedError
        raise wrong(_message(error), error.code or "invalid_request") from error
    except stripe.CardError as error:
        raise GatewayRefusedError(_message(error), error.code or "card_error") from error
    except stripe.IdempotencyError as error:
        raise GatewayAwayError(_message(error), "idempotency_error", answered=True) from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        # Ours to set right; nobody should lose a seat by it meanwhile.
        logger.exception("Stripe does not accept our key")
        raise GatewayAwayError(_message(error), "not_allowed") from error
    except stripe.APIConnectionError as error:
        raise GatewayAwayError(_message(error), "no_answer") from error
    except stripe.StripeError as error:
        if error.http_status == 409:  # the same call is under way elsewhere: a second tab
            raise GatewayAwayError(_message(error), IN_FLIGHT) from error
        raise GatewayAwayError(_message(error), error.code or "not_now", answered=True) from error


@contextmanager
def _measured(service: str) -> Iterator[None]:
    """Count whether Stripe answers; a refusal is an answer."""
    is_there = True
    try:
        yield
    except GatewayAwayError as error:
        is_there = error.code == IN_FLIGHT
        raise
    finally:
        health.record_call(service, ok=is_there)


def _message(error: stripe.StripeError) -> str:
    return error.user_message or str(error) or type(error).__name__


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


def _intent(found: stripe.PaymentIntent) -> Intent:
    error = found.last_payment_error
    code = (error.decline_code or error.code or "declined") if error else ""
    return Intent(
        id=found.id,
        status=found.status,
        amount_minor=found.amount,
        decline_code=code,
        decline_message=(error.message or code) if error else "",
    )


def _refund(found: stripe.Refund) -> StripeRefund:
    return StripeRefund(
        id=found.id, status=found.status or "pending", problem=getattr(found, "failure_reason", "") or ""
    )


def _endpoint(found: stripe.WebhookEndpoint) -> Endpoint:
    return Endpoint(
        id=found.id,
        url=found.url,
        enabled=found.status == "enabled",
        events=tuple(found.enabled_events),
        metadata=found.metadata.to_dict(),
        secret=getattr(found, "secret", None) or "",
    )
