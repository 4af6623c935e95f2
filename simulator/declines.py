"""Why a card is declined: every code that Stripe documents for cards, and what comes with it."""

from dataclasses import dataclass, replace

DECLINED = "Your card was declined."
AGAIN, NEVER, CHECK = "try_again_later", "do_not_try_again", "confirm_card_data"

# decline code: what the customer reads, and Stripe's advice to the seller
DOCUMENTED: dict[str, tuple[str, str | None]] = {
    "approve_with_id": (DECLINED, AGAIN),
    "authentication_required": ("Your card was declined. This transaction requires authentication.", None),
    "call_issuer": (DECLINED, None),
    "card_not_supported": ("Your card does not support this type of purchase.", NEVER),
    "card_velocity_exceeded": (
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
        AGAIN,
    ),
    "currency_not_supported": ("Your card does not support this currency.", NEVER),
    "do_not_honor": (DECLINED, AGAIN),
    "do_not_try_again": (DECLINED, NEVER),
    "duplicate_transaction": (
        "A transaction with identical amount and credit card information was submitted very recently.",
        NEVER,
    ),
    "expired_card": ("Your card has expired. Try a different card.", CHECK),
    "fraudulent": (DECLINED, NEVER),
    "generic_decline": (DECLINED, None),
    "incorrect_address": ("Your card's billing address is incorrect.", CHECK),
    "incorrect_cvc": ("Your card's security code is incorrect.", CHECK),
    "incorrect_number": ("Your card number is incorrect.", CHECK),
    "incorrect_pin": ("Your card's PIN is incorrect.", CHECK),
    "incorrect_zip": ("Your card's postal code is incorrect.", CHECK),
    "insufficient_funds": ("Your card has insufficient funds. Try a different card.", AGAIN),
    "invalid_account": (DECLINED, NEVER),
    "invalid_amount": ("Your card does not allow this amount.", None),
    "invalid_cvc": ("Your card's security code is invalid.", CHECK),
    "invalid_expiry_month": ("Your card's expiration month is invalid.", CHECK),
    "invalid_expiry_year": ("Your card's expiration year is invalid.", CHECK),
    "invalid_number": ("Your card number is invalid.", CHECK),
    "invalid_pin": ("Your card's PIN is invalid.", CHECK),
    "issuer_not_available": (DECLINED, AGAIN),
    "lost_card": (DECLINED, NEVER),
    "merchant_blacklist": (DECLINED, NEVER),
    "mobile_device_authentication_required": (DECLINED, None),
    "new_account_information_available": (DECLINED, CHECK),
    "no_action_taken": (DECLINED, AGAIN),
    "not_permitted": (DECLINED, NEVER),
    "offline_pin_required": ("Your card needs its PIN.", None),
    "online_or_offline_pin_required": ("Your card needs its PIN.", None),
    "pickup_card": (DECLINED, NEVER),
    "pin_try_exceeded": ("Your card's PIN was entered too often.", NEVER),
    "processing_error": ("An error occurred while processing your card. Try again in a little bit.", AGAIN),
    "reenter_transaction": (DECLINED, AGAIN),
    "restricted_card": (DECLINED, NEVER),
    "revocation_of_all_authorizations": (DECLINED, NEVER),
    "revocation_of_authorization": (DECLINED, NEVER),
    "security_violation": (DECLINED, NEVER),
    "service_not_allowed": (DECLINED, NEVER),
    "stolen_card": (DECLINED, NEVER),
    "stop_payment_order": (DECLINED, NEVER),
    "testmode_decline": ("Your card was declined. A Stripe test card number was used.", None),
    "transaction_not_allowed": (DECLINED, NEVER),
    "try_again_later": (DECLINED, AGAIN),
    "withdrawal_count_limit_exceeded": (DECLINED, AGAIN),
}

# Decline codes that are error codes too; with all others the error is `card_declined`.
OWN_ERROR = {
    "authentication_required",
    "expired_card",
    "incorrect_address",
    "incorrect_cvc",
    "incorrect_number",
    "incorrect_zip",
    "invalid_cvc",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "invalid_number",
    "processing_error",
}


@dataclass(frozen=True, kw_only=True)
class Decline:
    """`decline_code` is the finer reason, `message` what the customer reads; `blocked` is Radar's no, not the bank's."""

    code: str
    decline_code: str = ""
    message: str
    advice: str | None = None
    blocked: bool = False


def _documented(decline_code: str) -> Decline:
    message, advice = DOCUMENTED[decline_code]
    code = decline_code if decline_code in OWN_ERROR else "card_declined"
    return Decline(code=code, decline_code=decline_code, message=message, advice=advice)


BY_CODE = {code: _documented(code) for code in DOCUMENTED}
BLOCKED = replace(BY_CODE["fraudulent"], blocked=True)
NEEDS_AUTHENTICATION = BY_CODE["authentication_required"]
NOT_A_TEST_CARD = Decline(
    code="card_declined",
    decline_code="test_mode_live_card",
    message="Your card was declined. This is a simulator: use one of the test cards listed here.",
)
UNAUTHENTICATED = Decline(
    code="payment_intent_authentication_failure",
    message=(
        "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    ),
)
NOT_SET_UP = Decline(code="setup_intent_authentication_failure", message=UNAUTHENTICATED.message)
