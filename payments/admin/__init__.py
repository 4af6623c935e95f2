"""Money in the admin: to read, and to act on by what a reason leads to; one file for each thing."""

from payments.admin.books import DiscrepancyAdmin, LedgerLineAdmin, ReconciliationAdmin
from payments.admin.cards import SavedCardAdmin
from payments.admin.disputes import DisputeAdmin
from payments.admin.letters import DeadLetterAdmin
from payments.admin.payments import PaymentAdmin, RefundAdmin
from payments.admin.reviews import ReviewAdmin, SignalRuleAdmin

__all__ = [
    "DeadLetterAdmin",
    "DiscrepancyAdmin",
    "DisputeAdmin",
    "LedgerLineAdmin",
    "PaymentAdmin",
    "ReconciliationAdmin",
    "RefundAdmin",
    "ReviewAdmin",
    "SavedCardAdmin",
    "SignalRuleAdmin",
]
