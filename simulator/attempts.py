"""Trying to pay an intent with a card: 3-D Secure, the bank's yes or no, and what the intent is after it."""

from simulator import charges, methods, orders
from simulator.context import Context
from simulator.declines import NEEDS_AUTHENTICATION, UNAUTHENTICATED, Decline
from simulator.store import Json, public


def attempt(context: Context, intent: Json, method: Json, *, off_session: bool = False) -> str:
    """Answers the intent's state after it.

    That is `requires_action`, `requires_payment_method` (declined), `requires_capture` or `succeeded`.
    """
    card = methods.behaviour_of(method)
    ordered = orders.take(context, intent, method)
    asks = card.asks(off_session=off_session, set_up=method["_set_up"]) or ordered == NEEDS_AUTHENTICATION
    intent |= {"payment_method": method["id"], "last_payment_error": None}
    if asks and off_session:
        return _settle(context, intent, method, NEEDS_AUTHENTICATION)
    if asks and not (ordered and ordered != NEEDS_AUTHENTICATION):
        return _ask(context, intent)
    return _settle(context, intent, method, ordered or card.declined_when_charged)


def finish_authentication(context: Context, intent: Json, *, passed: bool) -> str:
    """The customer came back from the bank's page; answers like `attempt`."""
    if intent["status"] != "requires_action":
        return str(intent["status"])
    method = context.get("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if passed:
        return _settle(context, intent, method, methods.behaviour_of(method).declined_when_charged)
    return _fail(context, intent, method, UNAUTHENTICATED, charge_id=None)


def _ask(context: Context, intent: Json) -> str:
    page = f"{context.settings.public_url}/c/pay/{intent['_session'] or intent['id']}"
    redirect = {"return_url": intent.get("_return_url") or page, "url": f"{page}/authenticate"}
    intent |= {
        "status": "requires_action",
        "next_action": {"type": "redirect_to_url", "redirect_to_url": redirect},
    }
    context.save(intent)
    context.emit("payment_intent.requires_action", intent)
    return "requires_action"


def _settle(context: Context, intent: Json, method: Json, decline: Decline | None) -> str:
    charge = charges.add(context, intent, method, decline)
    intent |= {"latest_charge": charge["id"], "next_action": None}
    if decline:
        context.emit("charge.failed", charge)
        return _fail(context, intent, method, decline, charge_id=charge["id"])
    context.save(method | {"_spent": True})
    if intent["capture_method"] == "manual":
        context.emit("charge.succeeded", charge)
        _hold(context, intent)
    else:
        context.emit("charge.succeeded", charges.capture(context, charge, intent["amount"]))
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        context.save(intent)
        context.emit("payment_intent.succeeded", intent)
        charges.have_consequences(context, charge["id"])
    keep_method(context, intent)
    return str(intent["status"])


def keep_method(context: Context, intent: Json) -> None:
    """Attach the card that was paid with to the customer, if that was asked for."""
    method = context.get("payment_method", intent["payment_method"])
    if intent["setup_future_usage"] and intent["customer"] and method["customer"] is None:
        later = intent["setup_future_usage"] == "off_session"
        methods.keep_for(context, method, intent["customer"], set_up=later)


def _hold(context: Context, intent: Json) -> None:
    intent |= {
        "status": "requires_capture",
        "amount_capturable": intent["amount"],
        "_authorised_at": context.now(),
    }
    context.save(intent)
    context.emit("payment_intent.amount_capturable_updated", intent)


def _fail(context: Context, intent: Json, method: Json, decline: Decline, *, charge_id: str | None) -> str:
    error = methods.error_of(decline) | {"payment_method": public(method)}
    if charge_id:
        error["charge"] = charge_id
    failed = {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    intent |= failed | {"last_payment_error": error}
    context.save(intent)
    context.emit("payment_intent.payment_failed", intent)
    return "requires_payment_method"
