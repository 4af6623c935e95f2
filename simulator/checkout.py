"""Checkout sessions: create, retrieve, list, expire. What is sold is in `basket.py`, paying in `paying.py`."""

from urllib.parse import urlsplit

from simulator import basket, customers, intents, listing, orders, setups, shapes
from simulator.context import Context
from simulator.errors import invalid, refused
from simulator.params import Params
from simulator.settings import SESSION_LONGEST, SESSION_SHORTEST
from simulator.store import Json, new_id

CREATE = [
    "mode",
    "success_url",
    "cancel_url",
    "customer",
    "customer_email",
    "customer_creation",
    "client_reference_id",
    "metadata",
    "payment_method_types",
    "payment_method_options",
    "expires_at",
    "locale",
    "ui_mode",
    "billing_address_collection",
    "phone_number_collection",
]
ONLY_IN = {
    "payment": (
        "line_items",
        "payment_intent_data",
        "submit_type",
        "automatic_tax",
        "adaptive_pricing",
        "allow_promotion_codes",
    ),
    "setup": ("currency", "setup_intent_data"),
}


def create(context: Context, params: Params) -> Json:
    mode = _mode(params)
    if params.choice("ui_mode", ("hosted_page", "hosted"), "hosted_page") != "hosted_page":
        raise invalid("`ui_mode` is called `hosted_page` in this API version.", param="ui_mode")
    session = shapes.new(
        shapes.SESSION,
        id=new_id("cs_test_a1", 58),
        mode=mode,
        created=context.now(),
        expires_at=_expires_at(context, params),
        metadata=params.metadata(),
        success_url=_url(params, "success_url", required=True),
        cancel_url=_url(params, "cancel_url", required=False),
        _payment_intent=None,
        _email=None,
    )
    session |= listing.filters(params, "client_reference_id", "locale", "submit_type", "billing_address_collection")
    session |= _customer(context, params)
    if mode == "setup":
        session |= _to_save(context, params, session)
    else:
        session |= _to_pay(context, params)
        basket.refuse_too_little(session["amount_total"], session["currency"])
    session["url"] = f"{context.settings.public_url}/c/pay/{session['id']}"
    return context.add(session)


def _mode(params: Params) -> str:
    mode = params.need_text("mode")
    if mode not in ONLY_IN:
        raise invalid("The simulator speaks `mode=payment` and `mode=setup` only.", param="mode")
    for other in ONLY_IN.keys() - {mode}:
        for name in ONLY_IN[other]:
            if name in params.values:
                raise invalid(f"You can not pass `{name}` in `{mode}` mode.", param=name)
    params.allow(*CREATE, *ONLY_IN[mode])
    return mode


def _to_pay(context: Context, params: Params) -> Json:
    items = basket.line_items(context, params)
    total = sum(item["amount_total"] for item in items)
    return {
        "amount_subtotal": total,
        "amount_total": total,
        "currency": items[0]["currency"],
        "_line_items": items,
        "_payment_intent_data": _intent_data(params),
    }


def _to_save(context: Context, params: Params, session: Json) -> Json:
    """Stripe makes the SetupIntent with the session, and asks for a currency to know which methods to offer."""
    currency = params.text("currency")
    if not currency and not params.values.get("payment_method_types"):
        message = "You must provide `currency` or `payment_method_types` in `setup` mode."
        raise invalid(message, param="currency", code="parameter_missing")
    data = params.child("setup_intent_data")
    data.allow("description", "metadata")
    fields: Json = {"description": data.text("description")}
    fields["metadata"] = orders.check(data.metadata(), param=data.name("metadata"))
    setup = setups.add(context, customer=session["customer"], session=session["id"], fields=fields)
    return {
        "amount_subtotal": None,
        "amount_total": None,
        "currency": currency and currency.lower(),
        "payment_method_collection": "always",
        "payment_status": "no_payment_required",
        "setup_intent": setup["id"],
        "total_details": None,
        "_line_items": [],
    }


def _expires_at(context: Context, params: Params) -> int:
    now = context.now()
    wanted = params.integer("expires_at")
    if wanted is None:
        return now + SESSION_LONGEST
    if wanted < now + SESSION_SHORTEST:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise invalid(message, param="expires_at")
    if wanted > now + SESSION_LONGEST:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise invalid(message, param="expires_at")
    return wanted


def _url(params: Params, key: str, *, required: bool) -> str | None:
    value = params.need_text(key) if required else params.text(key)
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        message = "Not a valid URL. URLs must begin with http or https."
        raise invalid(message, param=key, code="url_invalid")
    return value


def _intent_data(params: Params) -> Json:
    """Fields for the intent that is made when the customer pays."""
    data = params.child("payment_intent_data")
    data.allow("capture_method", "metadata", "setup_future_usage", *intents.TEXTS)
    fields: Json = {name: data.text(name) for name in intents.TEXTS}
    fields["capture_method"] = data.choice("capture_method", intents.CAPTURE_METHODS, "automatic_async")
    fields["setup_future_usage"] = data.text("setup_future_usage")
    return fields | {"metadata": orders.check(data.metadata(), param=data.name("metadata"))}


def _customer(context: Context, params: Params) -> Json:
    customer_id, email = params.text("customer"), params.text("customer_email")
    if customer_id and email:
        message = "You may only specify one of these parameters: customer, customer_email."
        raise invalid(message, code="parameters_exclusive", param="customer")
    if email and "@" not in email:
        raise invalid(f"Invalid email address: {email}", param="customer_email", code="email_invalid")
    details: Json | None
    if customer_id:
        customer = context.get("customer", customer_id, param="customer")
        details = customers.details(email=customer["email"], name=customer["name"])
        return {"customer": customer_id, "customer_details": details}
    creation = params.choice("customer_creation", ("always", "if_required"), "if_required")
    details = customers.details(email=email) if email else None
    return {"customer_creation": creation, "customer_email": email, "customer_details": details}


def retrieve(context: Context, _params: Params, session_id: str) -> Json:
    return context.get("checkout.session", session_id, param="session")


def line_items(context: Context, params: Params, session_id: str) -> Json:
    """All of them in one page: nothing of ours has more than a hundred."""
    params.allow("limit")
    session = context.get("checkout.session", session_id, param="session")
    return shapes.a_list(f"/v1/checkout/sessions/{session_id}/line_items", session["_line_items"])


def list_all(context: Context, params: Params) -> Json:
    params.allow("payment_intent", "setup_intent", "customer", "status", "created", "customer_details", *listing.PAGING)
    where = listing.filters(params, "payment_intent", "setup_intent", "customer", "status") | listing.created(params)
    email = params.child("customer_details").text("email")
    if email:
        where["customer_details.email"] = email
    return listing.page(context, params, "/v1/checkout/sessions", "checkout.session", where)


def expire(context: Context, params: Params, session_id: str) -> Json:
    params.allow()
    session = context.get("checkout.session", session_id, param="session")
    if session["status"] != "open":
        raise refused(
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of `{session['status']}`."
        )
    return end(context, session)


def end(context: Context, session: Json) -> Json:
    """Expire an open session; the intent of an earlier, failed attempt ends with it."""
    session |= {"status": "expired", "url": None}
    context.save(session)
    if session["_payment_intent"]:
        intents.void(context, context.get("payment_intent", session["_payment_intent"]), reason="expired")
    if session["setup_intent"]:
        setups.void(context, context.get("setup_intent", session["setup_intent"]), reason=None)
    context.emit("checkout.session.expired", session)
    return session


def expire_due(context: Context) -> None:
    """Expire what the clock has passed."""
    for session in context.store.sessions_due(context.now()):
        context.account = context.store.account_of(session["id"])
        end(context, session)
