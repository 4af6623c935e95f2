"""Refunds: at once, after a while, or failing later, as the card behaves."""

from simulator import balance, disputes, listing, methods, radar, shapes
from simulator.context import Context
from simulator.errors import invalid, refused
from simulator.params import Params, merged
from simulator.settings import REFUND_TAKES
from simulator.store import Json, new_id

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
METADATA = "simulate_refund"
BEHAVIOURS = ("succeeded", "pending", "failed")


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
        refund["balance_transaction"] = balance.book_refund(context, refund)
        refund |= _ending(context, charge, metadata)
    context.add(refund)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    context.save(charge)
    _tell_of_new(context, refund, charge, captured=captured)
    return refund


def _tell_of_new(context: Context, refund: Json, charge: Json, *, captured: bool) -> None:
    context.emit("charge.refunded", charge)
    context.emit("refund.created", refund)
    if captured and refund["status"] == "succeeded":
        _tell(context, refund)
    if captured and charge["refunded"]:
        disputes.end_inquiries(context, charge)
        radar.settle_warnings(context, charge)


def _destination(*, captured: bool) -> Json:
    if not captured:
        return {"type": "reversal"}
    pending: Json = {
        "reference_status": "pending",
        "reference_type": "acquirer_reference_number",
        "type": "refund",
    }
    return pending


def _ending(context: Context, charge: Json, metadata: dict[str, str]) -> Json:
    """How this refund goes on. One that fails looks like a success first, as at Stripe."""
    behaviour = metadata.get(METADATA) or methods.behaviour_of(charge).refund
    if behaviour == "pending":
        waiting = {"status": "pending", "pending_reason": "processing"}
        return waiting | {"_due_at": context.now() + REFUND_TAKES, "_ends": "succeeded"}
    if behaviour == "failed":
        return {"_due_at": context.now() + REFUND_TAKES, "_ends": "failed"}
    return {}


def _tell(context: Context, refund: Json) -> None:
    context.emit("refund.updated", refund)
    context.emit("charge.refund.updated", refund)


def end(context: Context, refund: Json, status: str = "", reason: str = "expired_or_canceled_card") -> None:
    """A refund that took its time succeeds, or comes back: then the money is the seller's again."""
    refund |= {"status": status or refund["_ends"], "_due_at": None}
    refund.pop("pending_reason", None)
    if refund["status"] == "failed":
        refund |= {"failure_reason": reason}
        refund["failure_balance_transaction"] = balance.book_refund_failure(context, refund)
        charge = context.get("charge", refund["charge"])
        charge |= {"amount_refunded": charge["amount_refunded"] - refund["amount"], "refunded": False}
        context.save(charge)
    context.save(refund)
    if refund["status"] == "failed":
        context.emit("refund.failed", refund)
    _tell(context, refund)


def create(context: Context, params: Params) -> Json:
    params.allow("payment_intent", "charge", "amount", "reason", "metadata")
    amount = params.integer("amount", minimum=1)
    reason = params.choice("reason", REASONS, "") if params.text("reason") else None
    metadata = params.metadata()
    if metadata.get(METADATA, "succeeded") not in BEHAVIOURS:
        raise invalid(f"A refund is one of {', '.join(BEHAVIOURS)}.", param=f"metadata[{METADATA}]")
    charge = _charge_of(context, params)
    if not charge["captured"] or charge["status"] != "succeeded":
        raise _nothing_to_refund(charge["payment_intent"])
    if disputes.forbid_refund(context, charge):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise refused(message, code="charge_disputed")
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


def update(context: Context, params: Params, refund_id: str) -> Json:
    params.allow("metadata")
    metadata = params.metadata()
    refund = context.get("refund", refund_id)
    refund["metadata"] = merged(refund["metadata"], metadata)
    context.emit("refund.updated", context.save(refund))
    return refund


def list_all(context: Context, params: Params) -> Json:
    params.allow("payment_intent", "charge", "created", *listing.PAGING)
    where = listing.filters(params, "payment_intent", "charge") | listing.created(params)
    return listing.page(context, params, "/v1/refunds", "refund", where)
