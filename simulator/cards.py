"""The test cards, which are Stripe's: what each does when it is saved, charged, refunded, and after."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from simulator.declines import BLOCKED, BY_CODE, NOT_A_TEST_CARD, Decline

# When the bank wants to know that it is the customer. `unless_set_up`: not off-session once the card was saved for that;
# `on_session`: never off-session.
Secure = Literal["never", "always", "unless_set_up", "on_session"]


@dataclass(frozen=True, kw_only=True)
class TestCard:
    """`decline` answers every attempt, `declines_charges` only those to take money: the card can be saved.

    A card may ask for 3-D Secure first and be declined after it. `alias` is the payment method id that stands for it.
    """

    __test__ = False  # pytest, this is not one of yours

    number: str
    label: str
    alias: str = ""
    group: str = "Declined"
    secure: Secure = "never"
    decline: Decline | None = None
    declines_charges: Decline | None = None
    risk: Literal["normal", "elevated", "highest"] = "normal"
    dispute: Literal["", "fraudulent", "product_not_received", "inquiry"] = ""
    warned_of: bool = False
    refund: Literal["succeeded", "pending", "failed"] = "succeeded"

    def asks(self, *, off_session: bool, set_up: bool) -> bool:
        """Whether a charge needs 3-D Secure."""
        if not off_session or self.secure == "never":
            return self.secure != "never"
        return self.secure == "always" or (self.secure == "unless_set_up" and not set_up)

    @property
    def asks_when_saved(self) -> bool:
        return self.secure != "never"

    @property
    def declined_when_charged(self) -> Decline | None:
        return self.declines_charges or self.decline


GOOD, SECURE, LATER = "Succeeds", "Asks for 3-D Secure", "Trouble later"


def _declined(number: str, code: str, label: str, alias: str) -> TestCard:
    return TestCard(number=number, label=label, alias=alias, decline=BY_CODE[code])


CARDS = (
    TestCard(number="4242424242424242", label="Succeeds", alias="pm_card_visa", group=GOOD),
    TestCard(number="5555555555554444", label="Succeeds (Mastercard)", alias="pm_card_mastercard", group=GOOD),
    TestCard(number="378282246310005", label="Succeeds (Amex)", alias="pm_card_amex", group=GOOD),
    _declined("4000000000000002", "generic_decline", "Declined", "pm_card_visa_chargeDeclined"),
    _declined(
        "4000000000009995",
        "insufficient_funds",
        "Insufficient funds",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
    ),
    _declined("4000000000009987", "lost_card", "Lost card", "pm_card_visa_chargeDeclinedLostCard"),
    _declined("4000000000009979", "stolen_card", "Stolen card", "pm_card_visa_chargeDeclinedStolenCard"),
    _declined("4000000000000069", "expired_card", "Expired", "pm_card_chargeDeclinedExpiredCard"),
    _declined("4000000000000127", "incorrect_cvc", "Wrong security code", "pm_card_chargeDeclinedIncorrectCvc"),
    _declined("4000000000000119", "processing_error", "Processing error", "pm_card_chargeDeclinedProcessingError"),
    _declined(
        "4000000000006975",
        "card_velocity_exceeded",
        "Used too often",
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
    ),
    TestCard(
        number="4100000000000019",
        label="Blocked: always",
        alias="pm_card_radarBlock",
        declines_charges=BLOCKED,
        risk="highest",
    ),
    TestCard(
        number="4000000000004954",
        label="Blocked: highest risk",
        alias="pm_card_riskLevelHighest",
        declines_charges=BLOCKED,
        risk="highest",
    ),
    TestCard(
        number="4000002500003155",
        label="3-D Secure, unless saved",
        alias="pm_card_authenticationRequiredOnSetup",
        group=SECURE,
        secure="unless_set_up",
    ),
    TestCard(
        number="4000002760003184",
        label="3-D Secure every time",
        alias="pm_card_authenticationRequired",
        group=SECURE,
        secure="always",
    ),
    TestCard(
        number="4000003800000446",
        label="3-D Secure, but not for later charges",
        alias="pm_card_authenticationRequiredSetupForOffSession",
        group=SECURE,
        secure="on_session",
    ),
    TestCard(
        number="4000000000003220",
        label="3-D Secure 2",
        alias="pm_card_threeDSecure2Required",
        group=SECURE,
        secure="always",
    ),
    TestCard(
        number="4000008400001629",
        label="3-D Secure, then declined",
        alias="pm_card_threeDSecureRequiredChargeDeclined",
        group=SECURE,
        secure="always",
        decline=BY_CODE["generic_decline"],
    ),
    TestCard(
        number="4000008260003178",
        label="3-D Secure, then too little money",
        alias="pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        group=SECURE,
        secure="unless_set_up",
        declines_charges=BY_CODE["insufficient_funds"],
    ),
    TestCard(
        number="4000000000000341",
        label="Can be saved, declines when charged",
        alias="pm_card_chargeCustomerFail",
        group=LATER,
        declines_charges=BY_CODE["generic_decline"],
    ),
    TestCard(
        number="4000000000009235",
        label="Elevated risk",
        alias="pm_card_riskLevelElevated",
        group=LATER,
        risk="elevated",
    ),
    TestCard(
        number="4000000000005423",
        label="Early fraud warning",
        alias="pm_card_createIssuerFraudRecord",
        group=LATER,
        warned_of=True,
    ),
    TestCard(
        number="4000000000000259",
        label="Disputed: fraudulent",
        alias="pm_card_createDispute",
        group=LATER,
        dispute="fraudulent",
    ),
    TestCard(
        number="4000000000002685",
        label="Disputed: not received",
        alias="pm_card_createDisputeProductNotReceived",
        group=LATER,
        dispute="product_not_received",
    ),
    TestCard(
        number="4000000000001976",
        label="Disputed: inquiry",
        alias="pm_card_createDisputeInquiry",
        group=LATER,
        dispute="inquiry",
    ),
    TestCard(
        number="4000000000007726",
        label="Refunds take a while",
        alias="pm_card_pendingRefund",
        group=LATER,
        refund="pending",
    ),
    TestCard(
        number="4000000000005126",
        label="Refunds fail",
        alias="pm_card_refundFail",
        group=LATER,
        refund="failed",
    ),
)
BY_NUMBER = {card.number: card for card in CARDS}
BY_ALIAS = {card.alias: card for card in CARDS}
GROUPS = (GOOD, "Declined", SECURE, LATER)


@dataclass(frozen=True, kw_only=True)
class EnteredCard:
    number: str
    exp_month: int
    exp_year: int
    name: str = ""

    @property
    def brand(self) -> str:
        return {"4": "visa", "5": "mastercard", "3": "amex", "6": "discover"}.get(self.number[0], "unknown")

    @property
    def fingerprint(self) -> str:
        """The same for the same number, whoever uses it, and nothing else to learn from it."""
        return sha256(f"fingerprint of {self.number}".encode()).hexdigest()[:16]


def behaviour_of(number: str) -> TestCard:
    unknown = TestCard(number=number, label="Not a test card", decline=NOT_A_TEST_CARD)
    return BY_NUMBER.get(number, unknown)
