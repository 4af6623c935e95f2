"""Charges: one for each attempt to take money, whether the bank agreed or not."""

from simulator import balance, disputes, listing, methods, radar, shapes
from simulator.context import Context
from simulator.declines import Decline
from simulator.params import Params
from simulator.settings import AUTHORISATION_LASTS
from simulator.store import Json, new_id


def retrieve(context: Context, _params: Params, charge_id: str) -> Json:
    return context.get("charge", charge_id)


def list_all(context: Context, params: Params) -> Json:
    params.allow("payment_intent", "customer", "created", *listing.PAGING)
    where = listing.filters(params, "payment_intent", "customer") | listing.created(params)
    return listing.page(context, params, "/v1/charges", "charge", where)


def add(context: Context, intent: Json, method: Json, decline: Decline | None) -> Json:
    """The attempt on record; what it takes is held until it is captured."""
    charge = shapes.new(
        shapes.CHARGE,
        id=new_id("ch_3", 23),
        amount=intent["amount"],
        billing_details=method["billing_details"],
        created=context.now(),
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        metadata=intent["metadata"],
        outcome=radar.outcome(context, methods.behaviour_of(method), decline),
        paid=decline is None,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details={"card": _card(context, intent, method), "type": "card"},
        receipt_email=intent["receipt_email"],
        status="failed" if decline else "succeeded",
        _number=method["_number"],
    )
    if decline:
        charge |= {"failure_code": decline.code, "failure_message": decline.message}
    return context.add(charge)


def capture(context: Context, charge: Json, amount: int) -> Json:
    """The money moves, and is booked."""
    charge |= {"captured": True, "amount_captured": amount}
    charge["balance_transaction"] = balance.book_charge(context, charge, amount)
    return context.save(charge)


def have_consequences(context: Context, charge_id: str) -> None:
    """What the card's holder or bank says about a captured charge, for the cards that are made to."""
    charge = context.get("charge", charge_id)
    card = methods.behaviour_of(charge)
    if card.warned_of:
        radar.warn(context, charge)
    if card.dispute:
        inquiry = card.dispute == "inquiry"
        disputes.begin(context, charge, reason="general" if inquiry else card.dispute, inquiry=inquiry)


def _card(context: Context, intent: Json, method: Json) -> Json:
    card = method["card"]
    copied = {name: card[name] for name in ("brand", "exp_month", "exp_year", "fingerprint", "last4")}
    shown = shapes.new(
        shapes.CHARGE_CARD,
        amount_authorized=intent["amount"],
        network=card["brand"],
        overcapture={"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
        **copied,
    )
    if intent["capture_method"] == "manual":
        shown["capture_before"] = context.now() + AUTHORISATION_LASTS
    return shown
