"""The states of money, how long to pause before asking again, and what a cancelled seat gives back: pure functions."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
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


class CardState(StrEnum):
    """Where a card on file stands. Saving one moves no money and buys no ticket."""

    ASKED = "ASKED"  # Stripe's page that saves it may be open
    SAVED = "SAVED"
    DROPPED = "DROPPED"  # it was never saved
    DETACHED = "DETACHED"  # taken off at Stripe again: nothing can be charged any more


class ReviewState(StrEnum):
    OPEN = "OPEN"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"  # the seat was taken back, and the money refunded


class Signal(StrEnum):
    """What makes somebody look at an entry. No number of them decides anything by itself."""

    RISK = "RISK"  # Stripe's own risk score of the charge, or its level
    CARD = "CARD"  # one card pays for many accounts; the players of one account are a household
    ADDRESS = "ADDRESS"  # many accounts from one address prefix
    DEVICE = "DEVICE"  # many accounts from one device
    LOOKALIKE = "LOOKALIKE"  # e-mail addresses that differ in dots, plus-parts or digits only
    VELOCITY = "VELOCITY"  # many refused cards in a short time
    WARNING = "WARNING"  # the bank reported the charge as fraud
    DISPUTE = "DISPUTE"  # the cardholder disputes the charge


class LetterKind(StrEnum):
    """What a job that failed for good was to do."""

    WEBHOOK = "WEBHOOK"
    CHARGE = "CHARGE"
    CAPTURE = "CAPTURE"
    REFUND = "REFUND"
    DETACH = "DETACH"
    MAIL = "MAIL"


class LetterState(StrEnum):
    OPEN = "OPEN"
    RETRIED = "RETRIED"
    DISMISSED = "DISMISSED"


class Finding(StrEnum):
    """How Stripe and our rows differ."""

    NOT_OURS = "NOT_OURS"  # Stripe has an object with our mark, and there is no row
    NOT_AT_STRIPE = "NOT_AT_STRIPE"  # a row names an object that Stripe does not know
    STATE = "STATE"  # both know it, and say different things of it
    AMOUNT = "AMOUNT"
    BOOKS = "BOOKS"  # the sums of Stripe's balance and of our rows differ


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

CARD_LIVE = (CardState.ASKED, CardState.SAVED)
CARD_TRANSITIONS = (
    (CardState.ASKED, CardState.SAVED),
    (CardState.ASKED, CardState.DROPPED),
    (CardState.SAVED, CardState.DETACHED),
)

# A dispute's status is Stripe's word. An inquiry moves no money; a chargeback takes it at once and keeps it unless it is won.
INQUIRY_OPEN = ("warning_needs_response", "warning_under_review")
CHARGEBACK_OPEN = ("needs_response", "under_review")
DISPUTE_OPEN = (*INQUIRY_OPEN, *CHARGEBACK_OPEN)
DISPUTE_TAKES = (*CHARGEBACK_OPEN, "lost")
DISPUTE_ENDED = ("won", "lost", "warning_closed", "prevented")
DISPUTE_STATUSES = (*DISPUTE_OPEN, *DISPUTE_ENDED)

REVIEW_TRANSITIONS = ((ReviewState.OPEN, ReviewState.APPROVED), (ReviewState.OPEN, ReviewState.REJECTED))
REVIEW_POINTS = 100  # from so many points on, somebody looks


@dataclass(frozen=True)
class SignalDefaults:
    """How a signal counts until staff say otherwise: raised from `limit`, within so many minutes (0: ever), for `points`."""

    limit: int
    within_minutes: int
    points: int


SIGNALS = {
    Signal.RISK: SignalDefaults(65, 0, 50),  # Stripe's score, 0 to 100: 65 is elevated
    Signal.CARD: SignalDefaults(3, 0, 100),  # accounts that paid with one card
    Signal.ADDRESS: SignalDefaults(30, 0, 40),  # accounts from one address prefix: a school has many
    Signal.DEVICE: SignalDefaults(4, 0, 70),  # accounts from one device
    Signal.LOOKALIKE: SignalDefaults(2, 0, 60),  # other accounts with a look-alike address
    Signal.VELOCITY: SignalDefaults(5, 60, 60),  # refused cards of one account
    Signal.WARNING: SignalDefaults(1, 0, 100),
    Signal.DISPUTE: SignalDefaults(1, 0, 100),
}

CAPTURE_TRIES = 4  # refusals by Stripe; a Stripe that does not answer is asked for days
AUTHORISATION_USED = timedelta(days=6)  # of the seven that a card's bank holds an amount

SESSION_SHORTEST = timedelta(minutes=31)  # Stripe's 30, and one for a repeated call
SESSION_LONGEST = timedelta(hours=23, minutes=50)
SESSION_STARTABLE = timedelta(minutes=30, seconds=15)  # what must be left of a planned end when Stripe is asked

AUTHENTICATION_LASTS = timedelta(minutes=10)  # the bank's own page (3-D Secure), which then gives up

EVENT_TRIES = 20  # of an event whose handling breaks, and for a day: then somebody has to look
EVENT_TRIED_FOR = timedelta(days=1)

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


def refund_terms(
    *, amount_minor: int, kept_percent: int, refund_until: datetime | None, now: datetime, step_minor: int = 1
) -> RefundTerms:
    """All but the kept percentage until the deadline, nothing afterwards; rounded for the player, to what cards can pay."""
    if refund_until is not None and now >= refund_until:
        return RefundTerms(0, amount_minor)
    kept = amount_minor * kept_percent // 100
    kept -= kept % step_minor
    return RefundTerms(amount_minor - kept, kept)


FIRST_CHARGE_LEAST = timedelta(hours=1)  # of an offer are left to whoever's card is refused
CHARGE_PAUSES = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))

# Declines after which the same card is refused again, or may not be tried: only its holder can do something about it.
CHARGED_IN_VAIN = frozenset(
    {
        "authentication_required",
        "card_not_supported",
        "currency_not_supported",
        "do_not_try_again",
        "duplicate_transaction",
        "expired_card",
        "fraudulent",
        "incorrect_address",
        "incorrect_cvc",
        "incorrect_number",
        "incorrect_pin",
        "incorrect_zip",
        "invalid_account",
        "invalid_amount",
        "invalid_cvc",
        "invalid_expiry_month",
        "invalid_expiry_year",
        "invalid_number",
        "invalid_pin",
        "lost_card",
        "merchant_blacklist",
        "mobile_device_authentication_required",
        "new_account_information_available",
        "not_permitted",
        "offline_pin_required",
        "online_or_offline_pin_required",
        "pickup_card",
        "pin_try_exceeded",
        "restricted_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "security_violation",
        "service_not_allowed",
        "stolen_card",
        "stop_payment_order",
        "test_mode_live_card",
        "testmode_decline",
        "transaction_not_allowed",
    }
)


def first_charge(*, offered_at: datetime, expires_at: datetime, decline_hours: int) -> datetime | None:
    """When a winner's card is charged: after all the hours to decline; None for an offer that is too short for them.

    An hour of it has to be left then, for another way to pay.
    """
    charged_at = offered_at + timedelta(hours=decline_hours)
    return charged_at if charged_at <= expires_at - FIRST_CHARGE_LEAST else None


def next_charge(*, charges: int, code: str, now: datetime, expires_at: datetime) -> datetime | None:
    """When a card is tried again after so many `charges`, the last of them refused with `code`; None if only its player can help.

    The pauses grow, and the last try is an hour before the offer ends.
    """
    if code in CHARGED_IN_VAIN or not 0 < charges <= len(CHARGE_PAUSES):
        return None
    again = now + CHARGE_PAUSES[charges - 1]
    return again if again <= expires_at - FIRST_CHARGE_LEAST else None


def included_tax(amount_minor: int, percent: Decimal) -> int:
    """The tax in a price that includes it, in whole units, half of one rounded up: 19% of 25.00 are 3.99."""
    hundredths = int(percent * 100)
    whole = 10_000 + hundredths
    return (2 * amount_minor * hundredths + whole) // (2 * whole)
