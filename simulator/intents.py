"""PaymentIntents: what the API can do with them. Paying them is in `paying.py`."""

from simulator import listing, refunds, shapes
from simulator.context import Context
from simulator.customers import merged
from simulator.errors import refused
from simulator.params import Params
from simulator.settings import AUTHORISATION_LASTS
from simulator.store import Json, new_id

CANCELLABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
    "processing",
)
CANCELLATION_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
UNEXPECTED_STATE = "payment_intent_unexpected_state"


def add(context: Context, *, session: Json) -> Json:
    """The intent of a session, made when a customer first presses Pay."""
    data: Json = session["_payment_intent_data"]
    intent = shapes.new(
        shapes.INTENT,
        id=new_id("pi_3", 23),
        amount=session["amount_total"],
        created=context.now(),
        currency=session["currency"],
        customer=session["customer"],
        _session=session["id"],
        _authorised_at=None,
        **data,
    )
    intent["client_secret"] = f"{intent['id']}_secret_{new_id('', 25)}"
    context.add(intent)
    context.emit("payment_intent.created", intent)
    return intent


def retrieve(context: Context, params: Params, intent_id: str) -> Json:
    params.allow("client_secret")
    return context.get("payment_intent", intent_id, param="intent")


def list_all(context: Context, params: Params) -> Json:
    params.allow("customer", "created", *listing.PAGING)
    where = listing.filters(params, "customer") | listing.created(params)
    return listing.page(context, params, "/v1/payment_intents", "payment_intent", where)


def update(context: Context, params: Params, intent_id: str) -> Json:
    params.allow("metadata", "description", "receipt_email")
    metadata = params.metadata()
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
    return intent


def _take(context: Context, intent: Json, amount: int) -> None:
    """The money moves: the charge is captured and booked, a session that waited for it is paid."""
    charge = context.get("charge", intent["latest_charge"])
    charge |= {"captured": True, "amount_captured": amount}
    charge["balance_transaction"] = refunds.book(context, source=charge, amount=amount, kind="charge")
    context.save(charge)
    intent |= {
        "status": "succeeded",
        "amount_received": amount,
        "amount_capturable": 0,
        "_authorised_at": None,
    }
    context.save(intent)
    session = context.get("checkout.session", intent["_session"])
    context.save(session | {"payment_status": "paid"})


def cancel(context: Context, params: Params, intent_id: str) -> Json:
    params.allow("cancellation_reason")
    given = params.text("cancellation_reason")
    reason = params.choice("cancellation_reason", CANCELLATION_REASONS, "") if given else None
    intent = context.get("payment_intent", intent_id, param="intent")
    if intent["status"] not in CANCELLABLE:
        raise _wrong_state(intent, "canceled", CANCELLABLE)
    session = context.get("checkout.session", intent["_session"])
    if session["status"] == "open":
        message = (
            "You cannot perform this action on PaymentIntents created by Checkout. "
            f"Expire the Checkout Session ({session['id']}) instead."
        )
        raise refused(message, code=UNEXPECTED_STATE)
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


def _wrong_state(intent: Json, verb: str, allowed: tuple[str, ...]) -> Exception:
    status = intent["status"]
    if verb == "captured":
        start = f"This PaymentIntent could not be captured because it has a status of {status}."
    else:
        start = f"You cannot cancel this PaymentIntent because it has a status of {status}."
    end = f"Only a PaymentIntent with one of the following statuses may be {verb}: {', '.join(allowed)}."
    return refused(f"{start} {end}", code=UNEXPECTED_STATE)
