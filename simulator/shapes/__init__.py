"""The fields of each object, with the values that a plain card payment has. `new()` fills in the rest."""

import copy
from typing import Any

from simulator.shapes.accounts import ACCOUNT, CUSTOMER, WEBHOOK_ENDPOINT
from simulator.shapes.checkout import LINE_ITEM, PRICE, SESSION
from simulator.shapes.money import BALANCE_TRANSACTION, DISPUTE, EARLY_FRAUD_WARNING, EVIDENCE, REFUND
from simulator.shapes.payments import (
    ADDRESS,
    BILLING,
    CARD_CHECKS,
    CHARGE,
    CHARGE_CARD,
    INTENT,
    OUTCOME,
    PAYMENT_METHOD,
    PAYMENT_METHOD_CARD,
    SETUP_INTENT,
)

__all__ = [
    "ACCOUNT",
    "ADDRESS",
    "BALANCE_TRANSACTION",
    "BILLING",
    "CARD_CHECKS",
    "CHARGE",
    "CHARGE_CARD",
    "CUSTOMER",
    "DISPUTE",
    "EARLY_FRAUD_WARNING",
    "EVIDENCE",
    "INTENT",
    "LINE_ITEM",
    "OUTCOME",
    "PAYMENT_METHOD",
    "PAYMENT_METHOD_CARD",
    "PRICE",
    "REFUND",
    "SESSION",
    "SETUP_INTENT",
    "WEBHOOK_ENDPOINT",
    "a_list",
    "new",
]

Json = dict[str, Any]


def new(shape: Json, **fields: Any) -> Json:
    """A fresh object of the shape; nothing of the shape itself is shared."""
    return copy.deepcopy(shape) | fields


def a_list(url: str, data: list[Json] | None = None, *, has_more: bool = False) -> Json:
    return {"object": "list", "data": data or [], "has_more": has_more, "url": url}
