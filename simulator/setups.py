"""SetupIntents: a card is checked and kept for later; no money is asked for."""

from simulator import listing, methods, orders, shapes
from simulator.context import Context
from simulator.declines import NOT_SET_UP, Decline
from simulator.errors import refused
from simulator.params import Params, merged
from simulator.store import Json, new_id, public

CANCELLABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
REASONS = ("abandoned", "duplicate", "requested_by_customer")
UNEXPECTED_STATE = "setup_intent_unexpected_state"


def add(context: Context, *, customer: str | None, session: str | None, fields: Json) -> Json:
    setup = shapes.new(
        shapes.SETUP_INTENT,
        id=new_id("seti_1"),
        created=context.now(),
        customer=customer,
        _session=session,
        **fields,
    )
    setup["client_secret"] = f"{setup['id']}_secret_{new_id('', 31)}"
    context.add(setup)
    context.emit("setup_intent.created", setup)
    return setup


def create(context: Context, params: Params) -> Json:
    """One to be confirmed by a page of one's own; the hosted pages come with theirs."""
    params.allow("customer", "description", "metadata", "usage", "payment_method_types")
    fields: Json = {"description": params.text("description"), "metadata": orders.check(params.metadata())}
    fields["usage"] = params.choice("usage", ("off_session", "on_session"), "off_session")
    customer = params.text("customer")
    if customer:
        context.get("customer", customer, param="customer")
    return add(context, customer=customer, session=None, fields=fields)


def retrieve(context: Context, params: Params, setup_id: str) -> Json:
    params.allow("client_secret")
    return context.get("setup_intent", setup_id, param="intent")


def list_all(context: Context, params: Params) -> Json:
    params.allow("customer", "payment_method", "created", *listing.PAGING)
    where = listing.filters(params, "customer", "payment_method") | listing.created(params)
    return listing.page(context, params, "/v1/setup_intents", "setup_intent", where)


def update(context: Context, params: Params, setup_id: str) -> Json:
    params.allow("metadata", "description")
    metadata = orders.check(params.metadata())
    setup = context.get("setup_intent", setup_id, param="intent") | listing.filters(params, "description")
    setup["metadata"] = merged(setup["metadata"], metadata)
    return context.save(setup)


def cancel(context: Context, params: Params, setup_id: str) -> Json:
    params.allow("cancellation_reason")
    given = params.text("cancellation_reason")
    reason = params.choice("cancellation_reason", REASONS, "") if given else None
    setup = context.get("setup_intent", setup_id, param="intent")
    if setup["status"] not in CANCELLABLE:
        message = (
            f"You cannot cancel this SetupIntent because it has a status of {setup['status']}. Only a SetupIntent with "
            f"one of the following statuses may be canceled: {', '.join(CANCELLABLE)}."
        )
        raise refused(message, code=UNEXPECTED_STATE)
    if setup["_session"]:
        message = (
            "You cannot perform this action on SetupIntents created by Checkout. "
            f"Expire the Checkout Session ({setup['_session']}) instead."
        )
        raise refused(message, code=UNEXPECTED_STATE)
    return void(context, setup, reason=reason)


def void(context: Context, setup: Json, *, reason: str | None) -> Json:
    setup |= {"status": "canceled", "cancellation_reason": reason, "next_action": None}
    context.save(setup)
    context.emit("setup_intent.canceled", setup)
    return setup


def attempt(context: Context, setup: Json, method: Json) -> str:
    """Answers the state after it: `requires_action`, `requires_payment_method` (declined) or `succeeded`."""
    card = methods.behaviour_of(method)
    setup |= {"payment_method": method["id"], "last_setup_error": None}
    if card.asks_when_saved:
        return _ask(context, setup)
    return _settle(context, setup, method, orders.wanted(setup) or card.decline)


def finish_authentication(context: Context, setup: Json, *, passed: bool) -> str:
    if setup["status"] != "requires_action":
        return str(setup["status"])
    method = context.get("payment_method", setup["payment_method"])
    decline = orders.wanted(setup) or methods.behaviour_of(method).decline if passed else NOT_SET_UP
    return _settle(context, setup, method, decline)


def _ask(context: Context, setup: Json) -> str:
    page = f"{context.settings.public_url}/c/pay/{setup['_session']}"
    redirect = {"return_url": page, "url": f"{page}/authenticate"}
    setup |= {"status": "requires_action", "next_action": {"type": "redirect_to_url", "redirect_to_url": redirect}}
    context.save(setup)
    context.emit("setup_intent.requires_action", setup)
    return "requires_action"


def _settle(context: Context, setup: Json, method: Json, decline: Decline | None) -> str:
    setup["next_action"] = None
    if decline:
        error = methods.error_of(decline) | {"payment_method": public(method)}
        setup |= {"status": "requires_payment_method", "payment_method": None, "last_setup_error": error}
        context.save(setup)
        context.emit("setup_intent.setup_failed", setup)
        return "requires_payment_method"
    setup["status"] = "succeeded"
    context.save(setup)
    methods.keep_for(context, method, setup["customer"], set_up=setup["usage"] == "off_session")
    context.emit("setup_intent.succeeded", setup)
    return "succeeded"
