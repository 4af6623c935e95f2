"""Charges, refunds, and the balance transactions that both leave."""

from simulator import listing, shapes
from simulator.context import Context
from simulator.errors import invalid, refused
from simulator.params import Params
from simulator.store import Json, new_id

DAY = 24 * 60 * 60


def retrieve_charge(context: Context, _params: Params, charge_id: str) -> Json:
    return context.get("charge", charge_id)


def list_charges(context: Context, params: Params) -> Json:
    params.allow("payment_intent", "customer", "created", *listing.PAGING)
    where = listing.filters(params, "payment_intent", "customer") | listing.created(params)
    return listing.page(context, params, "/v1/charges", "charge", where)


def balance_transaction(context: Context, _params: Params, transaction_id: str) -> Json:
    return context.get("balance_transaction", transaction_id)


def list_balance_transactions(context: Context, params: Params) -> Json:
    params.allow("source", "type", "currency", "created", *listing.PAGING)
    where = listing.filters(params, "source", "type", "currency") | listing.created(params)
    return listing.page(context, params, "/v1/balance_transactions", "balance_transaction", where)


def book(context: Context, *, source: Json, amount: int, kind: str) -> str:
    """Write the balance transaction of a captured charge or (negative) of a refund; answers its id."""
    fee = round(amount * 0.029) + 30 if kind == "charge" else 0
    fees = [
        {
            "amount": fee,
            "application": None,
            "currency": source["currency"],
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    transaction = shapes.new(
        shapes.BALANCE_TRANSACTION,
        id=new_id("txn_3", 23),
        amount=amount,
        available_on=context.now() + 2 * DAY,
        created=context.now(),
        currency=source["currency"],
        description=source.get("description"),
        fee=fee,
        fee_details=fees if fee else [],
        net=amount - fee,
        reporting_category=kind,
        source=source["id"],
        type=kind,
    )
    context.add(transaction)
    return str(transaction["id"])


def give_back(
    context: Context, charge: Json, amount: int, *, captured: bool, reason: str | None, metadata: Json
) -> Json:
    """Write a refund of money that was taken, or (not captured) of an authorisation that is let go.

    Stripe writes both as refunds: a void or a partial capture leaves `amount_refunded` on the charge, though
    no money moved.
    """
    refund = shapes.new(
        shapes.REFUND,
        id=new_id("re_3", 23),
        amount=amount,
        charge=charge["id"],
        created=context.now(),
        currency=charge["currency"],
        destination_details={"card": _destination(captured=captured), "type": "card"},
        metadata=metadata,
        payment_intent=charge["payment_intent"],
        reason=reason,
    )
    if captured:
        refund["balance_transaction"] = book(context, source=refund, amount=-amount, kind="refund")
    context.add(refund)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    context.save(charge)
    context.emit("charge.refunded", charge)
    context.emit("refund.created", refund)
    if captured:
        context.emit("refund.updated", refund)
        context.emit("charge.refund.updated", refund)
    return refund


def _destination(*, captured: bool) -> Json:
    if not captured:
        return {"type": "reversal"}
    pending: Json = {
        "reference_status": "pending",
        "reference_type": "acquirer_reference_number",
        "type": "refund",
    }
    return pending


def create(context: Context, params: Params) -> Json:
    params.allow("payment_intent", "charge", "amount", "reason", "metadata")
    amount = params.integer("amount", minimum=1)
    reasons = ("duplicate", "fraudulent", "requested_by_customer")
    reason = params.choice("reason", reasons, "") if params.text("reason") else None
    metadata = params.metadata()
    charge = _charge_of(context, params)
    if not charge["captured"] or charge["status"] != "succeeded":
        raise _nothing_to_refund(charge["payment_intent"])
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        raise refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount is not None and amount > left:
        raise refused(
            f"Refund amount ({_money(amount, charge)}) is greater than unrefunded amount on charge "
            f"({_money(left, charge)})",
            param="amount",
        )
    return give_back(context, charge, amount or left, captured=True, reason=reason, metadata=metadata)


def _charge_of(context: Context, params: Params) -> Json:
    intent_id, charge_id = params.text("payment_intent"), params.text("charge")
    if not intent_id and not charge_id:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise invalid(message, code="parameter_missing")
    if charge_id:
        charge = context.get("charge", charge_id, param="charge")
        if intent_id and charge["payment_intent"] != intent_id:
            raise refused(f"Charge {charge_id} does not belong to PaymentIntent {intent_id}.", param="charge")
        return charge
    intent = context.get("payment_intent", str(intent_id), param="payment_intent")
    if not intent["latest_charge"]:
        raise _nothing_to_refund(str(intent_id))
    return context.get("charge", intent["latest_charge"])


def _nothing_to_refund(intent_id: str) -> Exception:
    message = f"This PaymentIntent ({intent_id}) does not have a successful charge to refund."
    return refused(message, param="payment_intent")


def _money(amount: int, charge: Json) -> str:
    return f"{amount / 100:.2f} {charge['currency'].upper()}"


def retrieve(context: Context, _params: Params, refund_id: str) -> Json:
    return context.get("refund", refund_id)


def list_all(context: Context, params: Params) -> Json:
    params.allow("payment_intent", "charge", "created", *listing.PAGING)
    where = listing.filters(params, "payment_intent", "charge") | listing.created(params)
    return listing.page(context, params, "/v1/refunds", "refund", where)
