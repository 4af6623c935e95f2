"""Every write to money. Stripe is asked outside of transactions; what it says is recorded by compare and set.

Lock order: tournament, entries by id, seats, card, payment. No network call while a lock is held.
"""

from payments.services.cancelling import cancel_confirmed_entries, cancel_tournament
from payments.services.capturing import capture_payment, void_payment
from payments.services.charging import charge_card, settle_charge
from payments.services.declining import record_decline
from payments.services.disputing import DisputedError, record_dispute
from payments.services.inbox import handle_stripe_event, receive_event
from payments.services.letters import LetterDecidedError, bury_failed_mails, dismiss_letter
from payments.services.planning import plan_charges
from payments.services.refunding import (
    NothingToRefundError,
    RefundChangedError,
    cancel_and_refund,
    cancellation_terms,
    refund_payment,
)
from payments.services.retrying import NothingToRetryError, retry_letter, retry_letters
from payments.services.reviewing import (
    ReviewDecidedError,
    approve_review,
    look_at_entries,
    look_at_entry,
    reject_review,
)
from payments.services.saving import (
    CardAwayError,
    CardImpossibleError,
    CardNotWantedError,
    advance_card,
    ask_for_card,
    detach_card,
    give_up_cards,
    remove_card,
    settle_card,
)
from payments.services.settling import record_authorisation, settle_payment
from payments.services.staff_refunds import (
    TooMuchError,
    refund_part,
    retry_refund,
    settle_another_way,
    take_seat_back,
)
from payments.services.starting import (
    CardChargingError,
    PaymentAwayError,
    PaymentClosingError,
    PaymentImpossibleError,
    start_payment,
)

__all__ = [
    "CardAwayError",
    "CardChargingError",
    "CardImpossibleError",
    "CardNotWantedError",
    "DisputedError",
    "LetterDecidedError",
    "NothingToRefundError",
    "NothingToRetryError",
    "PaymentAwayError",
    "PaymentClosingError",
    "PaymentImpossibleError",
    "RefundChangedError",
    "ReviewDecidedError",
    "TooMuchError",
    "advance_card",
    "approve_review",
    "ask_for_card",
    "bury_failed_mails",
    "cancel_and_refund",
    "cancel_confirmed_entries",
    "cancel_tournament",
    "cancellation_terms",
    "capture_payment",
    "charge_card",
    "detach_card",
    "dismiss_letter",
    "give_up_cards",
    "handle_stripe_event",
    "look_at_entries",
    "look_at_entry",
    "plan_charges",
    "receive_event",
    "record_authorisation",
    "record_decline",
    "record_dispute",
    "refund_part",
    "refund_payment",
    "reject_review",
    "remove_card",
    "retry_letter",
    "retry_letters",
    "retry_refund",
    "settle_another_way",
    "settle_card",
    "settle_charge",
    "settle_payment",
    "start_payment",
    "take_seat_back",
    "void_payment",
]
