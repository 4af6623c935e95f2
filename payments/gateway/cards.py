"""Cards that are saved now and charged later, while their holder is away."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe

from payments.gateway.calling import Caller, client
from payments.gateway.errors import GatewayRefusedError
from payments.gateway.intents import Intent, intent_of


@dataclass(frozen=True)
class SetupOrder:
    """What a page that saves a card is made of."""

    reference: str  # the entry's public id
    customer: str
    currency: str
    expires_at: datetime
    success_url: str
    cancel_url: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class CardMethod:
    """A saved card, as far as anybody but Stripe may know it."""

    id: str
    brand: str
    last4: str
    fingerprint: str


@dataclass(frozen=True)
class SetupSession:
    """A page that saves a card. `status` is open, complete or expired; the card is known once it is complete."""

    id: str
    status: str
    url: str
    method: CardMethod | None


@dataclass(frozen=True)
class CardCharge:
    """What is to be authorised, and on which saved card."""

    customer: str
    method: str
    amount_minor: int
    currency: str
    title: str
    metadata: dict[str, str]


class CardCalls(Caller):
    def create_customer(self, *, email: str, metadata: dict[str, str], key: str) -> str:
        """The id of a new customer, to whom a card can be saved."""
        params: Any = {"email": email, "metadata": metadata}
        created: stripe.Customer = self._call(lambda options: client().v1.customers.create(params, options), key)
        return created.id

    def create_setup_session(self, order: SetupOrder, *, key: str) -> SetupSession:
        """Open a hosted page that saves a card and charges nothing."""
        params = _setup_params(order)
        return _setup_session(self._call(lambda options: client().v1.checkout.sessions.create(params, options), key))

    def retrieve_setup_session(self, session_id: str) -> SetupSession:
        params: Any = {"expand": ["setup_intent.payment_method"]}
        return _setup_session(
            self._call(lambda options: client().v1.checkout.sessions.retrieve(session_id, params, options))
        )

    def charge_card(self, charge: CardCharge, *, key: str) -> Intent:
        """Authorise a saved card while its holder is away.

        A decline is no error here: Stripe's refusal carries the intent that it left behind, which says why.
        """
        params = _charge_params(charge)

        def ask(options: Any) -> stripe.PaymentIntent:
            try:
                return client().v1.payment_intents.create(params, options)
            except stripe.CardError as refusal:
                left = refusal.error.payment_intent if refusal.error else None
                if left is None:
                    raise
                return left

        return intent_of(self._call(ask, key))

    def find_intent(self, customer: str, *, metadata: dict[str, str]) -> Intent | None:
        """The customer's intent that carries this metadata: did an earlier call get through unanswered?"""
        params: Any = {"customer": customer, "limit": 100, "expand": ["data.latest_charge"]}
        found = self._call(lambda options: client().v1.payment_intents.list(params, options))
        for intent in found.data:
            if intent.metadata and metadata.items() <= intent.metadata.to_dict().items():
                return intent_of(intent)
        return None

    def detach_card(self, method_id: str) -> None:
        """Take a saved card off its customer, for good. One that is off already counts as done.

        Raises:
            NotAtStripeError, GatewayRefusedError, GatewayAwayError
        """
        try:
            self._call(lambda options: client().v1.payment_methods.detach(method_id, {}, options))
        except GatewayRefusedError:
            method = self._call(lambda options: client().v1.payment_methods.retrieve(method_id, {}, options))
            if method.customer is not None:
                raise


def _setup_params(order: SetupOrder) -> Any:
    return {
        "mode": "setup",
        "currency": order.currency,
        "payment_method_types": ["card"],
        "customer": order.customer,
        "client_reference_id": order.reference,
        "metadata": order.metadata,
        "setup_intent_data": {"metadata": order.metadata},
        "expires_at": int(order.expires_at.astimezone(UTC).timestamp()),
        "success_url": order.success_url,
        "cancel_url": order.cancel_url,
    }


def _charge_params(charge: CardCharge) -> Any:
    return {
        "amount": charge.amount_minor,
        "currency": charge.currency,
        "customer": charge.customer,
        "payment_method": charge.method,
        "confirm": True,
        "off_session": True,
        "capture_method": "manual",
        "description": charge.title,
        "metadata": charge.metadata,
        "expand": ["latest_charge"],
    }


def _setup_session(found: stripe.checkout.Session) -> SetupSession:
    return SetupSession(id=found.id, status=found.status or "open", url=found.url or "", method=_method_of(found))


def _method_of(found: stripe.checkout.Session) -> CardMethod | None:
    setup = found.setup_intent
    method = setup.payment_method if isinstance(setup, stripe.SetupIntent) else None
    if found.status != "complete" or not isinstance(method, stripe.PaymentMethod):
        return None
    card = method.card
    return CardMethod(
        id=method.id,
        brand=(card.brand or "") if card else "",
        last4=(card.last4 or "") if card else "",
        fingerprint=(card.fingerprint or "") if card else "",
    )
