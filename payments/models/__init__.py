"""Our own account of the money, which is the truth: one file for each thing that it is made of."""

from payments.models.books import Discrepancy, LedgerLine, Reconciliation
from payments.models.card import SavedCard
from payments.models.dispute import Dispute
from payments.models.inbox import DeadLetter, StripeEvent
from payments.models.payment import Payment
from payments.models.refund import Refund, new_idempotency_key
from payments.models.review import Review, SignalRule

__all__ = [
    "DeadLetter",
    "Discrepancy",
    "Dispute",
    "LedgerLine",
    "Payment",
    "Reconciliation",
    "Refund",
    "Review",
    "SavedCard",
    "SignalRule",
    "StripeEvent",
    "new_idempotency_key",
]
