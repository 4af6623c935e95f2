"""Payments and refunds written directly, in any state that the database allows."""

import secrets
from typing import Any

from payments.models import Payment, Refund
from payments.rules import RefundState, State
from tests.builders import now
from tests.payments.till import make_offer

# What a row has to carry in each state.
PAYMENT: dict[State, dict[str, Any]] = {
    State.CREATED: {"due_at": now()},
    State.AUTHORISED: {"due_at": now(), "intent": "pi_1", "authorised_at": now()},
    State.CAPTURED: {"intent": "pi_1", "authorised_at": now(), "captured_at": now(), "due_at": None},
    State.FAILED: {"ended_at": now(), "due_at": None, "captured_at": None},
    State.VOIDED: {
        "intent": "pi_1",
        "authorised_at": now(),
        "ended_at": now(),
        "due_at": None,
        "released_at": now(),
        "release_reason": "late",
    },
}
REFUND: dict[RefundState, dict[str, Any]] = {
    RefundState.DUE: {"due_at": now(), "ended_at": None},
    RefundState.PENDING: {"due_at": now(), "stripe_id": "re_1", "ended_at": None},
    RefundState.SUCCEEDED: {"ended_at": now(), "stripe_id": "re_1", "due_at": None},
    RefundState.FAILED: {"ended_at": now(), "due_at": None},
}


def make_payment(state: State = State.CREATED, **fields: Any) -> Payment:
    """A payment of 25 euros as the services would have left it in `state`, written directly."""
    entry = fields.pop("entry", None) or make_offer()
    values = {"amount_minor": 2500, "currency": "eur", "session_expires_at": now(), "created_at": now()}
    own = {"intent": f"pi_{secrets.token_hex(8)}"} if "intent" in PAYMENT[state] else {}
    return Payment.objects.create(entry=entry, state=state, **{**values, **PAYMENT[state], **own, **fields})


def make_refund(payment: Payment, state: RefundState = RefundState.DUE, **fields: Any) -> Refund:
    """A refund of all 25 euros in `state`, written directly."""
    values = {"amount_minor": 2500, "reason": "cancelled", "created_at": now()}
    own = {"stripe_id": f"re_{secrets.token_hex(8)}"} if "stripe_id" in REFUND[state] else {}
    return Refund.objects.create(payment=payment, state=state, **{**values, **REFUND[state], **own, **fields})
