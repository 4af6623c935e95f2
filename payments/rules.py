"""The states of money, how long to pause before asking again, and what a cancelled seat gives back: pure functions."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    """Where a payment stands. No money has moved before CAPTURED."""

    CREATED = "CREATED"  # the price is fixed; a checkout session may be open
    AUTHORISED = "AUTHORISED"  # the card's bank holds the amount for us
    CAPTURED = "CAPTURED"  # the money was taken
    FAILED = "FAILED"  # it came to nothing: not paid in time, or the bank gave nothing when we captured
    VOIDED = "VOIDED"  # the authorisation was let go; nothing was taken


class RefundState(StrEnum):
    DUE = "DUE"  # decided; Stripe has not been told yet, or has not answered
    PENDING = "PENDING"  # Stripe works on it
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"  # the bank did not take it back: somebody has to look


OPEN = (State.CREATED, State.AUTHORISED)
LIVE = (State.CREATED, State.AUTHORISED, State.CAPTURED)
ENDED = (State.FAILED, State.VOIDED)
WITH_INTENT = (State.AUTHORISED, State.CAPTURED, State.VOIDED)

TRANSITIONS = (
    (State.CREATED, State.AUTHORISED),
    (State.CREATED, State.FAILED),
    (State.AUTHORISED, State.CAPTURED),
    (State.AUTHORISED, State.FAILED),
    (State.AUTHORISED, State.VOIDED),
)

REFUND_OPEN = (RefundState.DUE, RefundState.PENDING)
REFUND_TRANSITIONS = (
    (RefundState.DUE, RefundState.PENDING),
    (RefundState.DUE, RefundState.SUCCEEDED),
    (RefundState.DUE, RefundState.FAILED),
    (RefundState.PENDING, RefundState.SUCCEEDED),
    (RefundState.PENDING, RefundState.FAILED),
    (RefundState.SUCCEEDED, RefundState.FAILED),  # banks send money back days later
)

CAPTURE_TRIES = 4  # refusals by Stripe; a Stripe that does not answer is asked for days
AUTHORISATION_USED = timedelta(days=6)  # of the seven that a card's bank holds an amount

SESSION_SHORTEST = timedelta(minutes=31)  # Stripe's 30, and one for a repeated call
SESSION_LONGEST = timedelta(hours=23, minutes=50)
SESSION_STARTABLE = timedelta(minutes=30, seconds=15)  # what must be left of a planned end when Stripe is asked

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)


def pause(attempts: int) -> timedelta:
    """How long to wait before the next try after `attempts` that failed: 5 s, doubling up to ten minutes."""
    return min(FIRST_PAUSE * (1 << min(attempts, 10)), LONGEST_PAUSE)


def session_expiry(now: datetime, hold_until: datetime) -> datetime:
    """When Stripe should close a checkout session, in full seconds; we close it earlier ourselves when the offer is over."""
    expiry = max(now + SESSION_SHORTEST, min(hold_until, now + SESSION_LONGEST))
    return expiry.replace(microsecond=0)


@dataclass(frozen=True)
class RefundTerms:
    """What a player who gives a seat back gets, and what is kept; together the amount that was paid."""

    refund_minor: int
    kept_minor: int


def refund_terms(*, amount_minor: int, kept_percent: int, refund_until: datetime | None, now: datetime) -> RefundTerms:
    """All but the kept percentage until the deadline, nothing afterwards; cents are rounded for the player."""
    if refund_until is not None and now >= refund_until:
        return RefundTerms(0, amount_minor)
    kept = amount_minor * kept_percent // 100
    return RefundTerms(amount_minor - kept, kept)
