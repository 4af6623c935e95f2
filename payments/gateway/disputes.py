"""Disputes: what a cardholder's bank asks about, or took back."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe

from payments.gateway.calling import Caller, client


@dataclass(frozen=True)
class StripeDispute:
    """A dispute as Stripe has it now; `status` is Stripe's word, `intent` what the disputed charge belongs to, or empty."""

    id: str
    status: str
    reason: str
    amount_minor: int
    currency: str
    intent: str
    opened_at: datetime
    evidence_due_at: datetime | None


class DisputeCalls(Caller):
    def retrieve_dispute(self, dispute_id: str) -> StripeDispute:
        return dispute_of(self._call(lambda options: client().v1.disputes.retrieve(dispute_id, {}, options)))

    def disputes_of(self, intent_id: str) -> list[StripeDispute]:
        """All disputes of one payment; there is hardly ever more than one."""
        params: Any = {"payment_intent": intent_id, "limit": 100}
        found = self._call(lambda options: client().v1.disputes.list(params, options))
        return [dispute_of(dispute) for dispute in found.data]


def dispute_of(found: stripe.Dispute) -> StripeDispute:
    intent, details = found.payment_intent, found.evidence_details
    return StripeDispute(
        id=found.id,
        status=found.status,
        reason=found.reason,
        amount_minor=found.amount,
        currency=found.currency,
        intent=intent if isinstance(intent, str) else (intent.id if intent else ""),
        opened_at=datetime.fromtimestamp(found.created, UTC),
        evidence_due_at=datetime.fromtimestamp(details.due_by, UTC) if details and details.due_by else None,
    )
