"""Radar: how risky a charge looked, and the warnings of fraud that banks send before anybody disputes."""

from simulator import listing, shapes
from simulator.cards import TestCard
from simulator.context import Context
from simulator.declines import Decline
from simulator.params import Params
from simulator.store import Json, new_id

SCORES = {"normal": 12, "elevated": 71, "highest": 92}
FRAUD_TYPES = (
    "card_never_received",
    "fraudulent_card_application",
    "made_with_counterfeit_card",
    "made_with_lost_card",
    "made_with_stolen_card",
    "misc",
    "unauthorized_use_of_card",
)
URL = "/v1/radar/early_fraud_warnings"
KIND = "radar.early_fraud_warning"


def outcome(context: Context, card: TestCard, decline: Decline | None) -> Json:
    """Why a charge went as it did, for the seller. Without Radar for Fraud Teams there is a level and no score."""
    shown = shapes.new(shapes.OUTCOME, risk_level=card.risk, risk_score=SCORES[card.risk])
    if not context.store.setting("radar", {}).get("scores", True):
        del shown["risk_score"]
    if decline is None:
        return shown
    if decline.blocked:
        words = "Stripe blocked this payment as too risky."
        why = {"network_status": "not_sent_to_network", "reason": "highest_risk_level", "seller_message": words}
        return shown | {"type": "blocked"} | why
    reason = decline.decline_code or decline.code
    why = {"network_status": "declined_by_network", "reason": reason, "seller_message": decline.message}
    return shown | {"type": "issuer_declined", "advice_code": decline.advice} | why


def warn(context: Context, charge: Json, fraud_type: str = "made_with_stolen_card") -> Json:
    """The card's bank believes that the charge is fraud. To act on it is to refund it all before it is disputed."""
    warning = shapes.new(
        shapes.EARLY_FRAUD_WARNING,
        id=new_id("issfr_1"),
        charge=charge["id"],
        created=context.now(),
        fraud_type=fraud_type,
        payment_intent=charge["payment_intent"],
        actionable=not (charge["refunded"] or charge["disputed"]),
    )
    context.add(warning)
    context.emit("radar.early_fraud_warning.created", warning)
    return warning


def settle_warnings(context: Context, charge: Json) -> None:
    """A warning of a charge that was fully refunded or disputed asks for nothing any more."""
    if not (charge["refunded"] or charge["disputed"]):
        return
    for warning in context.store.select(KIND, {"charge": charge["id"], "actionable": True}):
        context.save(warning | {"actionable": False})
        context.emit("radar.early_fraud_warning.updated", warning | {"actionable": False})


def retrieve(context: Context, _params: Params, warning_id: str) -> Json:
    return context.get(KIND, warning_id, param="early_fraud_warning")


def list_all(context: Context, params: Params) -> Json:
    params.allow("charge", "payment_intent", "created", *listing.PAGING)
    where = listing.filters(params, "charge", "payment_intent") | listing.created(params)
    return listing.page(context, params, URL, KIND, where)
