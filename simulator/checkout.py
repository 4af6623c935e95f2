"""Checkout sessions: create, retrieve, list, expire."""

from urllib.parse import urlsplit

from simulator import intents, listing, shapes
from simulator.context import Context
from simulator.errors import ApiError, invalid, refused
from simulator.params import Params
from simulator.paying import customer_details
from simulator.settings import SESSION_LONGEST, SESSION_SHORTEST
from simulator.store import Json, new_id

CREATE = [
    "mode",
    "line_items",
    "success_url",
    "cancel_url",
    "customer",
    "customer_email",
    "customer_creation",
    "client_reference_id",
    "metadata",
    "payment_intent_data",
    "payment_method_types",
    "payment_method_options",
    "expires_at",
    "locale",
    "submit_type",
    "ui_mode",
    "billing_address_collection",
    "phone_number_collection",
    "automatic_tax",
    "adaptive_pricing",
    "allow_promotion_codes",
]
INTENT_TEXTS = (
    "description",
    "receipt_email",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
)
SMALLEST = {"usd": 50, "eur": 50, "gbp": 30, "chf": 50, "jpy": 50}


def create(context: Context, params: Params) -> Json:
    params.allow(*CREATE)
    if params.need_text("mode") != "payment":
        raise invalid("The simulator speaks `mode=payment` only.", param="mode")
    if params.choice("ui_mode", ("hosted_page", "hosted"), "hosted_page") != "hosted_page":
        raise invalid("`ui_mode` is called `hosted_page` in this API version.", param="ui_mode")
    items = _line_items(context, params)
    total = sum(item["amount_total"] for item in items)
    session = shapes.new(
        shapes.SESSION,
        id=new_id("cs_test_a1", 58),
        amount_subtotal=total,
        amount_total=total,
        created=context.now(),
        currency=items[0]["currency"],
        expires_at=_expires_at(context, params),
        metadata=params.metadata(),
        success_url=_url(params, "success_url", required=True),
        cancel_url=_url(params, "cancel_url", required=False),
        _line_items=items,
        _payment_intent=None,
        _payment_intent_data=_intent_data(params),
        _email=None,
    )
    session |= listing.filters(params, "client_reference_id", "locale", "submit_type", "billing_address_collection")
    session |= _customer(context, params)
    _refuse_too_little(total, session["currency"])
    session["url"] = f"{context.settings.public_url}/c/pay/{session['id']}"
    return context.add(session)


def _line_items(context: Context, params: Params) -> list[Json]:
    lines = params.children("line_items")
    if not lines:
        message = "You must provide at least one line item in `payment` mode."
        raise invalid(message, param="line_items", code="parameter_missing")
    items = [_line_item(context, line) for line in lines]
    if len({item["currency"] for item in items}) > 1:
        raise invalid("All line items must have the same currency.", param="line_items")
    return items


def _line_item(context: Context, line: Params) -> Json:
    line.allow("price", "price_data", "quantity", "metadata")
    if line.text("price"):
        raise ApiError(404, f"No such price: '{line.text('price')}'", code="resource_missing", param=line.name("price"))
    data = line.child("price_data")
    data.allow("currency", "unit_amount", "product", "product_data", "tax_behavior")
    product = data.child("product_data")
    product.allow("name", "description", "images", "metadata", "tax_code")
    name, amount = product.need_text("name"), data.need_integer("unit_amount")
    currency, quantity = data.need_text("currency").lower(), line.integer("quantity", minimum=1) or 1
    price = shapes.new(
        shapes.PRICE,
        id=new_id("price_1"),
        created=context.now(),
        currency=currency,
        product=new_id("prod_", 14),
        unit_amount=amount,
        unit_amount_decimal=str(amount),
    )
    return shapes.new(
        shapes.LINE_ITEM,
        id=new_id("li_1"),
        amount_subtotal=amount * quantity,
        amount_total=amount * quantity,
        currency=currency,
        description=name,
        price=price,
        quantity=quantity,
        _about=product.text("description"),
    )


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
    data.allow("capture_method", "metadata", "setup_future_usage", *INTENT_TEXTS)
    fields: Json = {name: data.text(name) for name in INTENT_TEXTS}
    methods = ("automatic", "automatic_async", "manual")
    fields["capture_method"] = data.choice("capture_method", methods, "automatic_async")
    fields["setup_future_usage"] = data.text("setup_future_usage")
    return fields | {"metadata": data.metadata()}


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
        details = customer_details(email=customer["email"], name=customer["name"])
        return {"customer": customer_id, "customer_details": details}
    creation = params.choice("customer_creation", ("always", "if_required"), "if_required")
    details = customer_details(email=email) if email else None
    return {"customer_creation": creation, "customer_email": email, "customer_details": details}


def _refuse_too_little(total: int, currency: str) -> None:
    least = SMALLEST.get(currency, 1)
    if total < least:
        message = f"The Checkout Session's total amount due must add up to at least {least / 100:.2f} {currency}."
        raise refused(message, code="amount_too_small")


def retrieve(context: Context, _params: Params, session_id: str) -> Json:
    return context.get("checkout.session", session_id, param="session")


def line_items(context: Context, params: Params, session_id: str) -> Json:
    """All of them in one page: nothing of ours has more than a hundred."""
    params.allow("limit")
    session = context.get("checkout.session", session_id, param="session")
    return shapes.a_list(f"/v1/checkout/sessions/{session_id}/line_items", session["_line_items"])


def list_all(context: Context, params: Params) -> Json:
    params.allow("payment_intent", "customer", "status", "created", "customer_details", *listing.PAGING)
    where = listing.filters(params, "payment_intent", "customer", "status") | listing.created(params)
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
    context.emit("checkout.session.expired", session)
    return session


def expire_due(context: Context) -> None:
    """Expire what the clock has passed."""
    for session in context.store.sessions_due(context.now()):
        context.account = context.store.account_of(session["id"])
        end(context, session)
