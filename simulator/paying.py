"""What happens when a customer presses Pay: the attempt, 3-D Secure, a decline, or the completed session."""

from simulator import customers, intents, refunds, shapes
from simulator.cards import Decline, EnteredCard
from simulator.context import Context
from simulator.params import Params
from simulator.settings import AUTHORISATION_LASTS
from simulator.store import Json, new_id

UNAUTHENTICATED = Decline(
    code="payment_intent_authentication_failure",
    message=(
        "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    ),
)


def attempt(context: Context, session: Json, card: EnteredCard, *, email: str) -> str:
    """Try the card; answers the intent's state after it.

    That is `requires_action`, `requires_payment_method` (declined), `requires_capture` or `succeeded`.
    """
    intent = _intent_of(context, session)
    session["_email"] = email
    context.save(session)
    method = _payment_method(context, session, card, email=email)
    intent |= {"payment_method": method["id"], "_card_number": card.number, "last_payment_error": None}
    if card.behaviour.three_d_secure:
        return _ask_for_authentication(context, session, intent)
    return _settle(context, session, intent, method, card.behaviour.decline)


def finish_authentication(context: Context, session: Json, *, passed: bool) -> str:
    """The customer came back from the bank's page; answers like `attempt`."""
    intent = _intent_of(context, session)
    if intent["status"] != "requires_action":
        return str(intent["status"])
    method = context.get("payment_method", intent["payment_method"])
    card = EnteredCard(number=intent["_card_number"], exp_month=1, exp_year=2000)
    intent["next_action"] = None
    if passed:
        return _settle(context, session, intent, method, card.behaviour.decline)
    return _fail(context, intent, method, UNAUTHENTICATED, charge_id=None)


def retrieve_method(context: Context, _params: Params, method_id: str) -> Json:
    return context.get("payment_method", method_id, param="payment_method")


def last_problem(context: Context, session: Json) -> Json | None:
    """The error of the latest attempt, as the intent keeps it, or None."""
    if session["_payment_intent"] is None:
        return None
    error: Json | None = context.get("payment_intent", session["_payment_intent"])["last_payment_error"]
    return error


def _intent_of(context: Context, session: Json) -> Json:
    if session["_payment_intent"]:
        return context.get("payment_intent", session["_payment_intent"])
    intent = intents.add(context, session=session)
    session["_payment_intent"] = intent["id"]
    context.save(session)
    return intent


def _ask_for_authentication(context: Context, session: Json, intent: Json) -> str:
    url = f"{context.settings.public_url}/c/pay/{session['id']}/authenticate"
    redirect = {"return_url": f"{context.settings.public_url}/c/pay/{session['id']}", "url": url}
    intent |= {
        "status": "requires_action",
        "next_action": {"type": "redirect_to_url", "redirect_to_url": redirect},
    }
    context.save(intent)
    context.emit("payment_intent.requires_action", intent)
    return "requires_action"


def _settle(context: Context, session: Json, intent: Json, method: Json, decline: Decline | None) -> str:
    charge = _charge(context, intent, method, decline)
    intent["latest_charge"] = charge["id"]
    if decline:
        context.emit("charge.failed", charge)
        return _fail(context, intent, method, decline, charge_id=charge["id"])
    context.emit("charge.succeeded", charge)
    if intent["capture_method"] == "manual":
        intent |= {
            "status": "requires_capture",
            "amount_capturable": intent["amount"],
            "_authorised_at": context.now(),
        }
        context.save(intent)
        context.emit("payment_intent.amount_capturable_updated", intent)
    else:
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        context.save(intent)
        context.emit("payment_intent.succeeded", intent)
    _complete(context, session, intent, method)
    return str(intent["status"])


def _fail(context: Context, intent: Json, method: Json, decline: Decline, *, charge_id: str | None) -> str:
    error: Json = {
        "code": decline.code,
        "doc_url": "https://docs.stripe.com/error-codes#" + decline.code.replace("_", "-"),
        "message": decline.message,
        "payment_method": method,
        "type": "card_error",
    }
    if charge_id:
        error["charge"] = charge_id
    if decline.decline_code:
        error["decline_code"] = decline.decline_code
    intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": error}
    context.save(intent)
    context.emit("payment_intent.payment_failed", intent)
    return "requires_payment_method"


def _complete(context: Context, session: Json, intent: Json, method: Json) -> None:
    billing = method["billing_details"]
    if session["customer_creation"] == "always" and session["customer"] is None:
        customer = customers.add(context, email=billing["email"], name=billing["name"])
        session["customer"] = customer["id"]
        context.save(intent | {"customer": customer["id"]})
    session |= {
        "status": "complete",
        "payment_intent": intent["id"],
        "payment_status": "paid" if intent["status"] == "succeeded" else "unpaid",
        "url": None,
        "customer_details": customer_details(email=billing["email"], name=billing["name"]),
    }
    context.save(session)
    context.emit("checkout.session.completed", session)


def customer_details(*, email: str | None, name: str | None = None) -> Json:
    return {
        "address": shapes.new(shapes.ADDRESS),
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _payment_method(context: Context, session: Json, card: EnteredCard, *, email: str) -> Json:
    shown = {
        "brand": card.brand,
        "display_brand": card.brand,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "fingerprint": new_id("", 16),
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
    }
    method = shapes.new(
        shapes.PAYMENT_METHOD,
        id=new_id("pm_1"),
        billing_details=shapes.new(shapes.BILLING, email=email, name=card.name or None),
        card=shapes.new(shapes.PAYMENT_METHOD_CARD, **shown),
        created=context.now(),
        customer=session["customer"],
    )
    return context.add(method)


def _charge(context: Context, intent: Json, method: Json, decline: Decline | None) -> Json:
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
        outcome=_outcome(decline),
        paid=decline is None,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details={"card": _charged_card(context, intent, method), "type": "card"},
        receipt_email=intent["receipt_email"],
        status="failed" if decline else "succeeded",
    )
    if decline:
        charge |= {"failure_code": decline.code, "failure_message": decline.message}
    elif intent["capture_method"] != "manual":
        charge |= {"captured": True, "amount_captured": intent["amount"]}
        charge["balance_transaction"] = refunds.book(context, source=charge, amount=intent["amount"], kind="charge")
    return context.add(charge)


def _outcome(decline: Decline | None) -> Json:
    if decline is None:
        return shapes.new(shapes.OUTCOME)
    reason = decline.decline_code or decline.code
    shown = {"network_status": "declined_by_network", "reason": reason, "seller_message": decline.message}
    return shapes.new(shapes.OUTCOME, type="issuer_declined", **shown)


def _charged_card(context: Context, intent: Json, method: Json) -> Json:
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
