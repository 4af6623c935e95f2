"""The test cards, which are Stripe's, and the checks that a card form makes before anything is attempted."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, kw_only=True)
class Decline:
    """Why the bank says no; `decline_code` is Stripe's finer reason, `message` what the customer reads."""

    code: str
    decline_code: str = ""
    message: str


@dataclass(frozen=True, kw_only=True)
class TestCard:
    """What happens when this number is used. A card may ask for 3-D Secure first and be declined after it."""

    __test__ = False  # pytest, this is not one of yours

    number: str
    label: str
    three_d_secure: bool = False
    decline: Decline | None = None


class CardError(Exception):
    """The card form can't be used as it is; `field` is the one to correct."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.message = message


GENERIC = Decline(code="card_declined", decline_code="generic_decline", message="Your card was declined.")
NO_FUNDS = Decline(
    code="card_declined",
    decline_code="insufficient_funds",
    message="Your card has insufficient funds. Try a different card.",
)
EXPIRED = Decline(
    code="expired_card", decline_code="expired_card", message="Your card has expired. Try a different card."
)
WRONG_CVC = Decline(
    code="incorrect_cvc", decline_code="incorrect_cvc", message="Your card's security code is incorrect."
)
BROKEN = Decline(
    code="processing_error",
    decline_code="processing_error",
    message="An error occurred while processing your card. Try again in a little bit.",
)
NOT_A_TEST_CARD = Decline(
    code="card_declined",
    decline_code="test_mode_live_card",
    message="Your card was declined. This is a simulator: use one of the test cards listed here.",
)

CARDS = (
    TestCard(number="4242424242424242", label="Succeeds"),
    TestCard(number="4000000000000002", label="Declined", decline=GENERIC),
    TestCard(number="4000000000009995", label="Insufficient funds", decline=NO_FUNDS),
    TestCard(number="4000002500003155", label="3-D Secure", three_d_secure=True),
    TestCard(number="4000000000003220", label="3-D Secure 2", three_d_secure=True),
    TestCard(number="4000008400001629", label="3-D Secure, then declined", three_d_secure=True, decline=GENERIC),
    TestCard(number="4000000000000069", label="Expired", decline=EXPIRED),
    TestCard(number="4000000000000127", label="Wrong security code", decline=WRONG_CVC),
    TestCard(number="4000000000000119", label="Processing error", decline=BROKEN),
    TestCard(number="5555555555554444", label="Succeeds (Mastercard)"),
    TestCard(number="378282246310005", label="Succeeds (Amex)"),
)
BY_NUMBER = {card.number: card for card in CARDS}


@dataclass(frozen=True, kw_only=True)
class EnteredCard:
    number: str
    exp_month: int
    exp_year: int
    name: str = ""

    @property
    def brand(self) -> str:
        first = self.number[:2]
        return {"4": "visa", "5": "mastercard", "3": "amex", "6": "discover"}.get(first[0], "unknown")

    @property
    def behaviour(self) -> TestCard:
        unknown = TestCard(number=self.number, label="Not a test card", decline=NOT_A_TEST_CARD)
        return BY_NUMBER.get(self.number, unknown)


def passes_luhn(number: str) -> bool:
    """The check digit of ISO/IEC 7812."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def read_card(*, number: str, expiry: str, cvc: str, name: str, email: str, now: int) -> EnteredCard:
    """The card of a form, `expiry` as MM / YY; raises CardError for what a person can correct."""
    if "@" not in email:
        raise CardError("email_invalid", "email", "Your email address is incomplete.")
    digits = "".join(character for character in number if character not in " -")
    if not (digits.isascii() and digits.isdigit() and 12 <= len(digits) <= 19 and passes_luhn(digits)):
        raise CardError("incorrect_number", "number", "Your card number is invalid.")
    month, year = _read_expiry(expiry, now=now)
    wanted = 4 if digits.startswith("3") else 3
    if not (cvc.isascii() and cvc.isdigit() and len(cvc) == wanted):
        raise CardError("invalid_cvc", "cvc", "Your card's security code is incomplete.")
    return EnteredCard(number=digits, exp_month=month, exp_year=year, name=name)


def _read_expiry(expiry: str, *, now: int) -> tuple[int, int]:
    month_text, _, year_text = expiry.replace(" ", "").partition("/")
    if not (month_text.isdigit() and year_text.isdigit() and len(year_text) in {2, 4}):
        raise CardError("invalid_expiry_month", "expiry", "Your card's expiration date is incomplete.")
    month, year = int(month_text), int(year_text) + (2000 if len(year_text) == 2 else 0)
    if not 1 <= month <= 12:
        raise CardError("invalid_expiry_month", "expiry", "Your card's expiration date is invalid.")
    today = datetime.fromtimestamp(now, tz=UTC)
    if (year, month) < (today.year, today.month) or year > today.year + 50:
        raise CardError("invalid_expiry_year", "expiry", "Your card's expiration date is in the past.")
    return month, year
