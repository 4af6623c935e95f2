"""A checkout session and what it sells."""

from typing import Any

Json = dict[str, Any]

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
