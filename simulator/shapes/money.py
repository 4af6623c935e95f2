"""What moves money after a charge, and the books."""

from typing import Any

Json = dict[str, Any]

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

EVIDENCE: Json = {"enhanced_evidence": {}} | dict.fromkeys(
    [
        "access_activity_log",
        "billing_address",
        "cancellation_policy",
        "cancellation_policy_disclosure",
        "cancellation_rebuttal",
        "customer_communication",
        "customer_email_address",
        "customer_name",
        "customer_purchase_ip",
        "customer_signature",
        "duplicate_charge_documentation",
        "duplicate_charge_explanation",
        "duplicate_charge_id",
        "product_description",
        "receipt",
        "refund_policy",
        "refund_policy_disclosure",
        "refund_refusal_explanation",
        "service_date",
        "service_documentation",
        "shipping_address",
        "shipping_carrier",
        "shipping_date",
        "shipping_documentation",
        "shipping_tracking_number",
        "uncategorized_file",
        "uncategorized_text",
    ]
)

DISPUTE: Json = {
    "object": "dispute",
    "balance_transactions": [],
    "enhanced_eligibility_types": [],
    "evidence": EVIDENCE,
    "livemode": False,
    "metadata": {},
    "reason": "fraudulent",
}

EARLY_FRAUD_WARNING: Json = {
    "object": "radar.early_fraud_warning",
    "actionable": True,
    "fraud_type": "made_with_stolen_card",
    "livemode": False,
}
