"""PaymentIntents: what the API can do with them. What a card makes of them is in `attempts.py`."""

from simulator import attempts, charges, listing, methods, orders, refunds, rendering, shapes
from simulator.context import Context
from simulator.errors import DeclinedError, invalid, refused
from simulator.params import Params, merged
from simulator.settings import AUTHORISATION_LASTS
from simulator.store import Json, new_id

CANCELLABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
    "processing",
)
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELLATION_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
UNEXPECTED_STATE = "payment_intent_unexpected_state"
TEXTS = ("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix", "transfer_group")
CONFIRMING = ("payment_method", "off_session", "return_url", "error_on_requires_action", "setup_future_usage")
CREATE = (
    "amount",
    "automatic_payment_methods",
    "capture_method",
    "confirm",
    "currency",
    "customer",
    "metadata",
    "payment_method_types",
    *CONFIRMING,
    *TEXTS,
)


def add_for_session(context: Context, session: Json) -> Json:
    """The intent of a session, made when a customer first presses Pay."""
    fields = {"amount": session["amount_total"], "currency": session["currency"], "customer": session["customer"]}
    return _add(context, fields | session["_payment_intent_data"] | {"_session": session["id"]})


def _add(context: Context, fields: Json) -> Json:
    private = {"_session": None, "_authorised_at": None, "_return_url": None}
    intent = shapes.new(shapes.INTENT, id=new_id("pi_3", 23), created=context.now(), **(private | fields))
    intent["client_secret"] = f"{intent['id']}_secret_{new_id('', 25)}"
    context.add(intent)
    context.emit("payment_intent.created", intent)
    return intent


def create(context: Context, params: Params) -> Json:
    params.allow(*CREATE)
    fields, confirm = _fields(params), params.flag("confirm")
    if _is_off_session(params) and not confirm:
        raise invalid("`off_session` can be used with `confirm=true` only.", param="off_session")
    customer, method_id = params.text("customer"), params.text("payment_method")
    if customer:
        context.get("customer", customer, param="customer")
    if method_id:
        method = methods.usable(context, method_id, customer=customer)
        fields |= {"payment_method": method["id"], "status": "requires_confirmation"}
    intent = _add(context, fields | {"customer": customer})
    return _confirm(context, params, intent, intent["payment_method"]) if confirm else intent


def _fields(params: Params) -> Json:
    fields: Json = {name: params.text(name) for name in TEXTS}
    fields |= {"amount": params.need_integer("amount", minimum=1), "currency": params.need_text("currency").lower()}
    fields["capture_method"] = params.choice("capture_method", CAPTURE_METHODS, "automatic_async")
    fields["setup_future_usage"] = params.text("setup_future_usage")
    fields["metadata"] = orders.check(params.metadata())
    fields["automatic_payment_methods"] = _automatic(params)
    return fields


def _automatic(params: Params) -> Json | None:
    given = params.child("automatic_payment_methods")
    given.allow("enabled", "allow_redirects")
    if not given.values:
        return None
    redirects = given.choice("allow_redirects", ("always", "never"), "always")
    return {"allow_redirects": redirects, "enabled": given.flag("enabled")}


def _is_off_session(params: Params) -> bool:
    return (params.text("off_session") in {"one_off", "recurring"}) or params.flag("off_session")


def confirm(context: Context, params: Params, intent_id: str) -> Json:
    params.allow("receipt_email", "capture_method", *CONFIRMING)
    fields = listing.filters(params, "receipt_email", "setup_future_usage")
    if params.text("capture_method"):
        fields["capture_method"] = params.choice("capture_method", CAPTURE_METHODS, "")
    off_session = _is_off_session(params)
    intent = context.get("payment_intent", intent_id, param="intent") | fields
    if intent["status"] not in CONFIRMABLE:
        raise _wrong_state(intent, "confirmed", CONFIRMABLE)
    if intent["_session"]:
        raise _made_by_checkout(intent["_session"])
    if off_session and params.flag("error_on_requires_action"):
        raise invalid("Give one of `off_session` and `error_on_requires_action`.", param="off_session")
    return _confirm(context, params, intent, params.text("payment_method") or intent["payment_method"])


def _confirm(context: Context, params: Params, intent: Json, method_id: str | None) -> Json:
    """Try the card now. A decline leaves the intent behind, and answers 402 with it."""
    if not method_id:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. Update the PaymentIntent "
            "with a payment method, or confirm it with one."
        )
        raise refused(message, code=UNEXPECTED_STATE)
    method = methods.usable(context, method_id, customer=intent["customer"])
    intent["_return_url"] = params.text("return_url")
    alone = _is_off_session(params) or params.flag("error_on_requires_action")
    if attempts.attempt(context, intent, method, off_session=alone) == "requires_payment_method":
        answer = {"payment_intent": rendering.shown(context, intent)}
        raise DeclinedError(intent["last_payment_error"] | answer)
    return context.get("payment_intent", intent["id"])


def retrieve(context: Context, params: Params, intent_id: str) -> Json:
    params.allow("client_secret")
    return context.get("payment_intent", intent_id, param="intent")


def list_all(context: Context, params: Params) -> Json:
    params.allow("customer", "created", *listing.PAGING)
    where = listing.filters(params, "customer") | listing.created(params)
    return listing.page(context, params, "/v1/payment_intents", "payment_intent", where)


def update(context: Context, params: Params, intent_id: str) -> Json:
    params.allow("metadata", "description", "receipt_email")
    metadata = orders.check(params.metadata())
    fields: Json = {name: params.text(name) for name in ("description", "receipt_email") if name in params.values}
    intent = context.get("payment_intent", intent_id, param="intent") | fields
    intent["metadata"] = merged(intent["metadata"], metadata)
    return context.save(intent)


def capture(context: Context, params: Params, intent_id: str) -> Json:
    params.allow(
        "amount_to_capture",
        "metadata",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "final_capture",
    )
    amount = params.integer("amount_to_capture", minimum=1)
    metadata = params.metadata()
    intent = context.get("payment_intent", intent_id, param="intent")
    if intent["status"] != "requires_capture":
        raise _wrong_state(intent, "captured", ("requires_capture",))
    capturable = intent["amount_capturable"]
    if amount is not None and amount > capturable:
        message = f"The amount to capture ({amount}) is greater than what can be captured ({capturable})."
        raise refused(message, code="amount_too_large", param="amount_to_capture")
    intent["metadata"] = merged(intent["metadata"], metadata)
    taken = amount or capturable
    _take(context, intent, taken)
    charge = context.get("charge", intent["latest_charge"])
    context.emit("charge.captured", charge)
    context.emit("payment_intent.succeeded", intent)
    if taken < capturable:
        refunds.give_back(context, charge, capturable - taken, captured=False, reason=None, metadata={})
    charges.have_consequences(context, charge["id"])
    return intent


def _take(context: Context, intent: Json, amount: int) -> None:
    """The money moves: the charge is captured and booked, a session that waited for it is paid."""
    charges.capture(context, context.get("charge", intent["latest_charge"]), amount)
    intent |= {
        "status": "succeeded",
        "amount_received": amount,
        "amount_capturable": 0,
        "_authorised_at": None,
    }
    context.save(intent)
    if intent["_session"]:
        session = context.get("checkout.session", intent["_session"])
        context.save(session | {"payment_status": "paid"})


def cancel(context: Context, params: Params, intent_id: str) -> Json:
    params.allow("cancellation_reason")
    given = params.text("cancellation_reason")
    reason = params.choice("cancellation_reason", CANCELLATION_REASONS, "") if given else None
    intent = context.get("payment_intent", intent_id, param="intent")
    if intent["status"] not in CANCELLABLE:
        raise _wrong_state(intent, "canceled", CANCELLABLE)
    if intent["_session"]:
        session = context.get("checkout.session", intent["_session"])
        if session["status"] == "open":
            raise _made_by_checkout(session["id"])
    void(context, intent, reason=reason)
    return intent


def void(context: Context, intent: Json, *, reason: str | None) -> None:
    """Let go of what was authorised, if anything, and end the intent."""
    held = intent["amount_capturable"]
    intent |= {"status": "canceled", "canceled_at": context.now(), "cancellation_reason": reason}
    intent |= {"amount_capturable": 0, "next_action": None, "_authorised_at": None}
    context.save(intent)
    context.emit("payment_intent.canceled", intent)
    if held:
        charge = context.get("charge", intent["latest_charge"])
        refunds.give_back(context, charge, held, captured=False, reason=None, metadata={})


def void_stale(context: Context) -> None:
    """End the authorisations that nobody captured within seven days, as the banks do."""
    for found in context.store.authorisations_due(context.now() - AUTHORISATION_LASTS):
        context.account = context.store.account_of(found["id"])
        charge = context.get("charge", found["latest_charge"])
        void(context, found, reason="automatic")
        context.emit("charge.expired", context.get("charge", charge["id"]))


def _made_by_checkout(session_id: str) -> Exception:
    message = (
        "You cannot perform this action on PaymentIntents created by Checkout. "
        f"Expire the Checkout Session ({session_id}) instead."
    )
    return refused(message, code=UNEXPECTED_STATE)


def _wrong_state(intent: Json, verb: str, allowed: tuple[str, ...]) -> Exception:
    status = intent["status"]
    starts = {
        "captured": f"This PaymentIntent could not be captured because it has a status of {status}.",
        "canceled": f"You cannot cancel this PaymentIntent because it has a status of {status}.",
        "confirmed": f"You cannot confirm this PaymentIntent because it has a status of {status}.",
    }
    end = f"Only a PaymentIntent with one of the following statuses may be {verb}: {', '.join(allowed)}."
    return refused(f"{starts[verb]} {end}", code=UNEXPECTED_STATE)
