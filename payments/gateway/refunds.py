"""Refunds."""

from dataclasses import dataclass
from typing import Any

import stripe

from payments.gateway.calling import Caller, client


@dataclass(frozen=True)
class StripeRefund:
    """`status` is pending, requires_action, succeeded, failed or canceled."""

    id: str
    status: str
    problem: str


class RefundCalls(Caller):
    def create_refund(self, intent_id: str, *, amount_minor: int, key: str, metadata: dict[str, str]) -> StripeRefund:
        params: Any = {"payment_intent": intent_id, "amount": amount_minor, "metadata": metadata}
        return refund_of(self._call(lambda options: client().v1.refunds.create(params, options), key))

    def retrieve_refund(self, refund_id: str) -> StripeRefund:
        return refund_of(self._call(lambda options: client().v1.refunds.retrieve(refund_id, {}, options)))

    def find_refund(self, intent_id: str, *, metadata: dict[str, str]) -> StripeRefund | None:
        """The refund of an intent that carries this metadata: did an earlier call get through unanswered?"""
        params: Any = {"payment_intent": intent_id, "limit": 100}
        found = self._call(lambda options: client().v1.refunds.list(params, options))
        for refund in found.data:
            if (refund.metadata or {}) and metadata.items() <= refund.metadata.to_dict().items():
                return refund_of(refund)
        return None


def refund_of(found: stripe.Refund) -> StripeRefund:
    return StripeRefund(
        id=found.id, status=found.status or "pending", problem=getattr(found, "failure_reason", "") or ""
    )
