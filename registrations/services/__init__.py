"""Every write to the queue. One function per state change; each updates WHERE state = <old> and looks at the row count.

Lock order: tournament, entries by id, seats, payment. No network call while a lock is held.
"""

from registrations.services.charging import begin_charge, end_charge
from registrations.services.errors import (
    ClosedError,
    EntryNotFoundError,
    FullError,
    NotEligibleError,
    NotInQueueError,
    NotOpenYetError,
    PlayerNotFoundError,
    TournamentNotFoundError,
)
from registrations.services.holding import (
    OfferOverError,
    cancel_entry,
    confirm_entry,
    extend_for_bank,
    extend_for_retry,
    lapse_offer,
    reopen_offer,
    take_up_offer,
    waive_fee,
)
from registrations.services.joining import join_queue
from registrations.services.leaving import leave_queue, own_entry, step_back_in
from registrations.services.offering import (
    NoFreeSeatError,
    NotOfferableError,
    OrderOpenError,
    extend_offers,
    grant_seat,
    lapse_offers,
    offer_seats,
)
from registrations.services.running import (
    SeatsTakenError,
    beat,
    close_entries_of_cancelled,
    close_registration,
    pause_tournament,
    regroup_entries,
    regroup_sealed,
    reject_entry,
    resume_tournament,
    set_seats,
)

__all__ = [
    "ClosedError",
    "EntryNotFoundError",
    "FullError",
    "NoFreeSeatError",
    "NotEligibleError",
    "NotInQueueError",
    "NotOfferableError",
    "NotOpenYetError",
    "OfferOverError",
    "OrderOpenError",
    "PlayerNotFoundError",
    "SeatsTakenError",
    "TournamentNotFoundError",
    "beat",
    "begin_charge",
    "cancel_entry",
    "close_entries_of_cancelled",
    "close_registration",
    "confirm_entry",
    "end_charge",
    "extend_for_bank",
    "extend_for_retry",
    "extend_offers",
    "grant_seat",
    "join_queue",
    "lapse_offer",
    "lapse_offers",
    "leave_queue",
    "offer_seats",
    "own_entry",
    "pause_tournament",
    "regroup_entries",
    "regroup_sealed",
    "reject_entry",
    "reopen_offer",
    "resume_tournament",
    "set_seats",
    "step_back_in",
    "take_up_offer",
    "waive_fee",
]
