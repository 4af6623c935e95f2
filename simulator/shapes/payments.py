"""Intents, charges and the cards behind them."""

from typing import Any

Json = dict[str, Any]

ADDRESS: Json = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))

BILLING: Json = {"address": ADDRESS, "email": None, "name": None, "phone": None, "tax_id": None}

INTENT: Json = {
    "object": "payment_intent",
    "amount_capturable": 0,
    "amount_details": {"tip": {}},
    "amount_received": 0,
    "confirmation_method": "automatic",
    "livemode": False,
    "metadata": {},
    "payment_method_options": {"card": {"installments": None, "mandate_options": None, "network": None}},
    "payment_method_types": ["card"],
    "status": "requires_payment_method",
} | dict.fromkeys(
    [
        "application",
        "application_fee_amount",
        "automatic_payment_methods",
        "canceled_at",
        "cancellation_reason",
        "customer",
        "customer_account",
        "description",
        "excluded_payment_method_types",
        "last_payment_error",
        "latest_charge",
        "managed_payments",
        "next_action",
        "on_behalf_of",
        "payment_method",
        "payment_method_configuration_details",
        "processing",
        "receipt_email",
        "review",
        "setup_future_usage",
        "shipping",
        "source",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
        "transfer_group",
    ]
)

CARD_CHECKS: Json = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}

CHARGE: Json = {
    "object": "charge",
    "amount_captured": 0,
    "amount_refunded": 0,
    "calculated_statement_descriptor": "SIMULATOR",
    "captured": False,
    "disputed": False,
    "fraud_details": {},
    "livemode": False,
    "refunded": False,
} | dict.fromkeys(
    [
        "application",
        "application_fee",
        "application_fee_amount",
        "balance_transaction",
        "customer",
        "description",
        "failure_balance_transaction",
        "failure_code",
        "failure_message",
        "on_behalf_of",
        "receipt_email",
        "receipt_number",
        "receipt_url",
        "review",
        "shipping",
        "source",
        "source_transfer",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
        "transfer_group",
    ]
)

CHARGE_CARD: Json = {
    "authorization_code": None,
    "checks": CARD_CHECKS,
    "country": "US",
    "extended_authorization": {"status": "disabled"},
    "funding": "credit",
    "incremental_authorization": {"status": "unavailable"},
    "installments": None,
    "mandate": None,
    "multicapture": {"status": "unavailable"},
    "network_token": {"used": False},
    "network_transaction_id": None,
    "regulated_status": "unregulated",
    "three_d_secure": None,
    "transaction_link_id": None,
    "wallet": None,
}

OUTCOME: Json = {
    "advice_code": None,
    "network_advice_code": None,
    "network_decline_code": None,
    "network_status": "approved_by_network",
    "reason": None,
    "risk_level": "normal",
    "risk_score": 12,
    "seller_message": "Payment complete.",
    "type": "authorized",
}

PAYMENT_METHOD: Json = {
    "object": "payment_method",
    "allow_redisplay": "limited",
    "customer": None,
    "customer_account": None,
    "livemode": False,
    "metadata": {},
    "type": "card",
}

PAYMENT_METHOD_CARD: Json = {
    "checks": CARD_CHECKS,
    "country": "US",
    "funding": "credit",
    "generated_from": None,
    "regulated_status": "unregulated",
    "three_d_secure_usage": {"supported": True},
    "wallet": None,
}

SETUP_INTENT: Json = {
    "object": "setup_intent",
    "livemode": False,
    "metadata": {},
    "payment_method_options": {
        "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    },
    "payment_method_types": ["card"],
    "status": "requires_payment_method",
    "usage": "off_session",
} | dict.fromkeys(
    [
        "application",
        "automatic_payment_methods",
        "cancellation_reason",
        "customer",
        "description",
        "excluded_payment_method_types",
        "flow_directions",
        "last_setup_error",
        "latest_attempt",
        "mandate",
        "next_action",
        "on_behalf_of",
        "payment_method",
        "payment_method_configuration_details",
        "single_use_mandate",
    ]
)
