"""Every write to money. Stripe is asked outside of transactions; what it says is recorded by compare and set.

Lock order: tournament, entries by id, seats, payment. No network call while a lock is held.
"""

from payments.services.cancelling import cancel_confirmed_entries, cancel_tournament
from payments.services.capturing import capture_payment, void_payment
from payments.services.inbox import handle_stripe_event, receive_event
from payments.services.refunding import (
    NothingToRefundError,
    RefundChangedError,
    cancel_and_refund,
    cancellation_terms,
    refund_payment,
    retry_refund,
)
from payments.services.settling import record_authorisation, record_decline, settle_payment
from payments.services.starting import (
    PaymentAwayError,
    PaymentClosingError,
    PaymentImpossibleError,
    start_payment,
)

__all__ = [
    "NothingToRefundError",
    "PaymentAwayError",
    "PaymentClosingError",
    "PaymentImpossibleError",
    "RefundChangedError",
    "cancel_and_refund",
    "cancel_confirmed_entries",
    "cancel_tournament",
    "cancellation_terms",
    "capture_payment",
    "handle_stripe_event",
    "receive_event",
    "record_authorisation",
    "record_decline",
    "refund_payment",
    "retry_refund",
    "settle_payment",
    "start_payment",
    "void_payment",
]
