"""Payment intents, with what is known of their charge."""

from dataclasses import dataclass
from typing import Any

import stripe

from payments.gateway.calling import Caller, client

# The charge tells by what card it was paid, and how risky that looked.
WITH_CHARGE: Any = {"expand": ["latest_charge"]}


@dataclass(frozen=True)
class Charge:
    """What an intent took or tried to: by which means, and Stripe's opinion of it.

    `risk_level` is normal, elevated, highest or empty; `risk_score` 0 to 100, None without Radar for Fraud Teams.
    """

    id: str
    method: str = ""
    brand: str = ""
    last4: str = ""
    fingerprint: str = ""
    risk_level: str = ""
    risk_score: int | None = None
    refunded_minor: int = 0


@dataclass(frozen=True)
class Intent:
    """A payment intent; `status` as Stripe says it, `decline` the last answer of the card's bank if it was a no.

    `declined_charge` is the attempt that it answered; empty where none was made, as after a 3-D Secure that failed.
    """

    id: str
    status: str
    amount_minor: int
    received_minor: int
    decline_code: str
    decline_message: str
    declined_charge: str
    metadata: dict[str, str]
    charge: Charge | None


class IntentCalls(Caller):
    def retrieve_intent(self, intent_id: str) -> Intent:
        return intent_of(
            self._call(lambda options: client().v1.payment_intents.retrieve(intent_id, WITH_CHARGE, options))
        )

    def capture_intent(self, intent_id: str, *, key: str) -> Intent:
        """Take the authorised money; refused when there is none (any more), or by the card's bank."""
        return intent_of(
            self._call(lambda options: client().v1.payment_intents.capture(intent_id, WITH_CHARGE, options), key)
        )

    def cancel_intent(self, intent_id: str, *, key: str) -> Intent:
        """Let an authorisation go; refused when it was captured, or its session is still open."""
        return intent_of(
            self._call(lambda options: client().v1.payment_intents.cancel(intent_id, WITH_CHARGE, options), key)
        )


def intent_of(found: stripe.PaymentIntent) -> Intent:
    error = found.last_payment_error
    # Failed at the bank's own page (3-D Secure) it was not declined, and has no decline code.
    code = (getattr(error, "decline_code", "") or error.code or "declined") if error else ""
    charge = found.latest_charge
    return Intent(
        id=found.id,
        status=found.status,
        amount_minor=found.amount,
        received_minor=found.amount_received,
        decline_code=code,
        decline_message=(error.message or code) if error else "",
        declined_charge=declined_charge_of(found),
        metadata=found.metadata.to_dict() if found.metadata else {},
        charge=charge_of(charge) if isinstance(charge, stripe.Charge) else None,
    )


def declined_charge_of(found: stripe.PaymentIntent) -> str:
    return getattr(found.last_payment_error, "charge", None) or ""


def charge_of(found: stripe.Charge) -> Charge:
    outcome, details = found.outcome, found.payment_method_details
    card = details.card if details and details.type == "card" else None
    return Charge(
        id=found.id,
        method=details.type if details else "",
        brand=(card.brand or "") if card else "",
        last4=(card.last4 or "") if card else "",
        fingerprint=(card.fingerprint or "") if card else "",
        risk_level=(outcome.risk_level or "") if outcome else "",
        risk_score=getattr(outcome, "risk_score", None),
        refunded_minor=found.amount_refunded,
    )
