"""Payments and refunds written directly, in any state that the database allows."""

import secrets
from typing import Any

from payments.models import Payment, Refund
from payments.rules import RefundState, State
from tests.builders import now
from tests.payments.till import make_offer


def payment_in(state: State) -> dict[str, Any]:
    """What a payment has to carry in `state`, with times of this moment: rows written later must not be old already."""
    at = now()
    fields: dict[State, dict[str, Any]] = {
        State.CREATED: {"due_at": at},
        State.AUTHORISED: {"due_at": at, "intent": "pi_1", "authorised_at": at},
        State.CAPTURED: {"intent": "pi_1", "authorised_at": at, "captured_at": at, "due_at": None},
        State.FAILED: {"ended_at": at, "due_at": None, "captured_at": None},
        State.VOIDED: {
            "intent": "pi_1",
            "authorised_at": at,
            "ended_at": at,
            "due_at": None,
            "released_at": at,
            "release_reason": "late",
        },
    }
    return fields[state]


def refund_in(state: RefundState) -> dict[str, Any]:
    """The same of a refund."""
    at = now()
    fields: dict[RefundState, dict[str, Any]] = {
        RefundState.DUE: {"due_at": at, "ended_at": None},
        RefundState.PENDING: {"due_at": at, "stripe_id": "re_1", "ended_at": None},
        RefundState.SUCCEEDED: {"ended_at": at, "stripe_id": "re_1", "due_at": None},
        RefundState.FAILED: {"ended_at": at, "due_at": None},
    }
    return fields[state]


def make_payment(state: State = State.CREATED, **fields: Any) -> Payment:
    """A payment of 25 euros as the services would have left it in `state`, written directly."""
    entry = fields.pop("entry", None) or make_offer()
    values = {"amount_minor": 2500, "currency": "eur", "session_expires_at": now(), "created_at": now()}
    values |= payment_in(state)
    if "intent" in values:
        values["intent"] = f"pi_{secrets.token_hex(8)}"
    return Payment.objects.create(entry=entry, state=state, **{**values, **fields})


def make_refund(payment: Payment, state: RefundState = RefundState.DUE, **fields: Any) -> Refund:
    """A refund of all 25 euros in `state`, written directly."""
    values = {"amount_minor": 2500, "reason": "cancelled", "created_at": now(), **refund_in(state)}
    if "stripe_id" in values:
        values["stripe_id"] = f"re_{secrets.token_hex(8)}"
    return Refund.objects.create(payment=payment, state=state, **{**values, **fields})
