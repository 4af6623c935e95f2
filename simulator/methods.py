"""Payment methods: the cards, each kept as one, attached to customers or used once."""

from simulator import cards, listing, shapes
from simulator.cards import EnteredCard
from simulator.context import Context
from simulator.declines import Decline
from simulator.errors import DeclinedError, refused
from simulator.params import Params, merged
from simulator.store import Json, new_id, public

SPENT = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a "
    "connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use "
    "a PaymentMethod multiple times, you must attach it to a Customer first."
)


def add(context: Context, card: EnteredCard, *, email: str | None) -> Json:
    shown = {
        "brand": card.brand,
        "display_brand": card.brand,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "fingerprint": card.fingerprint,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
    }
    method = shapes.new(
        shapes.PAYMENT_METHOD,
        id=new_id("pm_1"),
        billing_details=shapes.new(shapes.BILLING, email=email, name=card.name or None),
        card=shapes.new(shapes.PAYMENT_METHOD_CARD, **shown),
        created=context.now(),
        _number=card.number,
        _set_up=False,
        _spent=False,
    )
    return context.add(method)


def behaviour_of(body: Json) -> cards.TestCard:
    """Of a method, or of a charge by it. Those in an older data file don't tell: they are good."""
    return cards.behaviour_of(body.get("_number", cards.CARDS[0].number))


def named(context: Context, method_id: str) -> Json:
    """The method of this id; Stripe's test tokens (`pm_card_visa`) make one."""
    card = cards.BY_ALIAS.get(method_id)
    if card:
        return add(context, EnteredCard(number=card.number, exp_month=12, exp_year=2040), email=None)
    return context.get("payment_method", method_id, param="payment_method")


def usable(context: Context, method_id: str, *, customer: str | None) -> Json:
    """The method for a payment of this customer, or the reason why it can't be used."""
    method = named(context, method_id)
    owner = method["customer"]
    if owner and customer is None:
        message = (
            f"The PaymentMethod ({method_id}) belongs to the Customer {owner}. Please include the Customer in the "
            "`customer` parameter on the PaymentIntent."
        )
        raise refused(message, param="payment_method")
    if owner and owner != customer:
        message = f"The customer does not have a payment method with the ID {method_id}. It belongs to another one."
        raise refused(message, code="payment_method_customer_mismatch", param="payment_method")
    if method["_spent"] and not owner:
        raise refused(SPENT, param="payment_method")
    return method


def keep_for(context: Context, method: Json, customer: str | None, *, set_up: bool) -> None:
    """Attach to the customer, if there is one; `set_up` lets later charges go without the customer's presence."""
    method |= {"customer": customer, "_set_up": method["_set_up"] or set_up}
    context.save(method)
    if customer:
        context.emit("payment_method.attached", method)


def retrieve(context: Context, _params: Params, method_id: str) -> Json:
    return context.get("payment_method", method_id, param="payment_method")


def retrieve_of_customer(context: Context, params: Params, customer_id: str, method_id: str) -> Json:
    context.get("customer", customer_id, param="customer")
    method = retrieve(context, params, method_id)
    if method["customer"] != customer_id:
        raise refused("This payment method is not attached to the customer.", param="payment_method")
    return method


def list_all(context: Context, params: Params) -> Json:
    params.allow("customer", "type", *listing.PAGING)
    customer_id = params.need_text("customer")
    return _page(context, params, customer_id, url="/v1/payment_methods")


def list_of_customer(context: Context, params: Params, customer_id: str) -> Json:
    params.allow("type", *listing.PAGING)
    return _page(context, params, customer_id, url=f"/v1/customers/{customer_id}/payment_methods")


def _page(context: Context, params: Params, customer_id: str, *, url: str) -> Json:
    context.get("customer", customer_id, param="customer")
    where = listing.filters(params, "type") | {"customer": customer_id}
    return listing.page(context, params, url, "payment_method", where)


def update(context: Context, params: Params, method_id: str) -> Json:
    params.allow("metadata")
    metadata = params.metadata()
    method = retrieve(context, params, method_id)
    method["metadata"] = merged(method["metadata"], metadata)
    context.emit("payment_method.updated", context.save(method))
    return method


def attach(context: Context, params: Params, method_id: str) -> Json:
    params.allow("customer")
    customer_id = params.need_text("customer")
    method = named(context, method_id)
    context.get("customer", customer_id, param="customer")
    if method["customer"] not in {None, customer_id}:
        message = "The payment method you provided has already been attached to a customer."
        raise refused(message, code="payment_method_unexpected_state")
    if method["_spent"] and not method["customer"]:
        raise refused(SPENT)
    decline = behaviour_of(method).decline
    if decline:
        raise DeclinedError(error_of(decline) | {"payment_method": public(method)})
    keep_for(context, method, customer_id, set_up=False)
    return method


def detach(context: Context, params: Params, method_id: str) -> Json:
    params.allow()
    method = retrieve(context, params, method_id)
    if method["customer"] is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise refused(message, code="payment_method_unexpected_state")
    return _let_go(context, method)


def detach_all(context: Context, customer_id: str) -> None:
    """What a deleted customer leaves can't be charged any more."""
    for method in context.store.select("payment_method", {"customer": customer_id}):
        _let_go(context, method)


def _let_go(context: Context, method: Json) -> Json:
    method |= {"customer": None, "_spent": True, "_set_up": False}
    context.save(method)
    context.emit("payment_method.detached", method)
    return method


def error_of(decline: Decline) -> Json:
    """A decline in the words of an intent's last error, and of the API's answer."""
    error: Json = {
        "code": decline.code,
        "doc_url": "https://docs.stripe.com/error-codes#" + decline.code.replace("_", "-"),
        "message": decline.message,
        "type": "card_error",
    }
    if decline.decline_code:
        error["decline_code"] = decline.decline_code
    if decline.advice:
        error["advice_code"] = decline.advice
    return error
