"""The fields of each object, with the values that a plain card payment has. `new()` fills in the rest."""

import copy
from typing import Any

Json = dict[str, Any]

ADDRESS: Json = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
BILLING: Json = {"address": ADDRESS, "email": None, "name": None, "phone": None, "tax_id": None}

SESSION: Json = {
    "object": "checkout.session",
    "adaptive_pricing": {"enabled": False},
    "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
    "custom_fields": [],
    "custom_text": dict.fromkeys(
        ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"),
    ),
    "livemode": False,
    "mode": "payment",
    "payment_method_collection": "if_required",
    "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
    "payment_method_types": ["card"],
    "payment_status": "unpaid",
    "phone_number_collection": {"enabled": False},
    "shipping_options": [],
    "status": "open",
    "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    "ui_mode": "hosted_page",
} | dict.fromkeys(
    [
        "after_expiration",
        "allow_promotion_codes",
        "billing_address_collection",
        "client_secret",
        "collected_information",
        "consent",
        "consent_collection",
        "currency_conversion",
        "customer_account",
        "customer_creation",
        "customer_details",
        "customer_email",
        "discounts",
        "integration_identifier",
        "invoice",
        "invoice_creation",
        "locale",
        "managed_payments",
        "origin_context",
        "payment_intent",
        "payment_link",
        "payment_method_configuration_details",
        "permissions",
        "recovered_from",
        "saved_payment_method_options",
        "setup_intent",
        "shipping_address_collection",
        "shipping_cost",
        "submit_type",
        "subscription",
        "wallet_options",
        "cancel_url",
        "client_reference_id",
        "customer",
    ]
)

LINE_ITEM: Json = {"object": "item", "amount_discount": 0, "amount_tax": 0, "metadata": {}}

PRICE: Json = {
    "object": "price",
    "active": False,  # Stripe keeps prices given inside a session as inactive ones
    "billing_scheme": "per_unit",
    "custom_unit_amount": None,
    "livemode": False,
    "lookup_key": None,
    "metadata": {},
    "nickname": None,
    "recurring": None,
    "tax_behavior": "unspecified",
    "tiers_mode": None,
    "transform_quantity": None,
    "type": "one_time",
}

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

REFUND: Json = {
    "object": "refund",
    "balance_transaction": None,
    "customer": None,
    "customer_account": None,
    "metadata": {},
    "payment_method": None,
    "reason": None,
    "receipt_number": None,
    "source_transfer_reversal": None,
    "status": "succeeded",
    "transfer_reversal": None,
}

BALANCE_TRANSACTION: Json = {
    "object": "balance_transaction",
    "balance_type": "payments",
    "description": None,
    "exchange_rate": None,
    "fee": 0,
    "fee_details": [],
    "status": "pending",
}

CUSTOMER: Json = {
    "object": "customer",
    "balance": 0,
    "delinquent": False,
    "invoice_settings": dict.fromkeys(("custom_fields", "default_payment_method", "footer", "rendering_options")),
    "livemode": False,
    "next_invoice_sequence": 1,
    "preferred_locales": [],
    "tax_exempt": "none",
} | dict.fromkeys(
    [
        "address",
        "currency",
        "default_source",
        "description",
        "discount",
        "email",
        "name",
        "phone",
        "shipping",
        "test_clock",
    ],
)

WEBHOOK_ENDPOINT: Json = {
    "object": "webhook_endpoint",
    "api_version": None,
    "application": None,
    "description": None,
    "livemode": False,
    "metadata": {},
    "status": "enabled",
}

REQUIREMENTS: Json = {
    "alternatives": [],
    "current_deadline": None,
    "currently_due": [],
    "disabled_reason": None,
    "errors": [],
    "eventually_due": [],
    "past_due": [],
    "pending_verification": [],
}

ACCOUNT: Json = {
    "object": "account",
    "business_profile": {
        "annual_revenue": None,
        "estimated_worker_count": None,
        "mcc": None,
        "minority_owned_business_designation": None,
        "name": "Simulator",
        "product_description": None,
        "support_address": None,
        "support_email": None,
        "support_phone": None,
        "support_url": None,
        "url": None,
    },
    "business_type": None,
    "capabilities": {"card_payments": "active", "transfers": "active"},
    "charges_enabled": True,
    "controller": {"type": "account"},
    "country": "US",
    "default_currency": "usd",
    "details_submitted": True,
    "email": "simulator@example.com",
    "future_requirements": REQUIREMENTS,
    "metadata": {},
    "payouts_enabled": True,
    "requirements": REQUIREMENTS,
    "settings": {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": dict.fromkeys(("icon", "logo", "primary_color", "secondary_color")),
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": True},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": "Simulator", "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": None},
        "payments": dict.fromkeys(
            [
                "statement_descriptor",
                "statement_descriptor_kana",
                "statement_descriptor_kanji",
                "statement_descriptor_prefix_kana",
                "statement_descriptor_prefix_kanji",
            ]
        ),
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": "daily"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    },
    "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
    "type": "standard",
}


def new(shape: Json, **fields: Any) -> Json:
    """A fresh object of the shape; nothing of the shape itself is shared."""
    return copy.deepcopy(shape) | fields


def a_list(url: str, data: list[Json] | None = None, *, has_more: bool = False) -> Json:
    return {"object": "list", "data": data or [], "has_more": has_more, "url": url}
