"""The account, its customers and its webhook endpoints."""

from typing import Any

Json = dict[str, Any]

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
