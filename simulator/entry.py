"""The checks that a card form makes before anything is attempted."""

from datetime import UTC, datetime

from simulator.cards import EnteredCard


class CardError(Exception):
    """The card form can't be used as it is; `field` is the one to correct."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.message = message


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
