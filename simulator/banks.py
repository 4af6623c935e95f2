"""What the control endpoint makes banks do: decline, dispute, decide, warn, end a refund."""

from simulator import disputes, orders, radar, refunds
from simulator.context import Context
from simulator.store import Json
from simulator.work import Workshop


def add_decline(workshop: Workshop, given: Json) -> None:
    """`code`, maybe `times`, and `customer`, `payment_method` or `last4` to say whose next charges."""
    orders.give(workshop.context(), given)


def clear_declines(workshop: Workshop, _given: Json) -> None:
    workshop.store.set_setting("declines", [])


def dispute(workshop: Workshop, given: Json) -> None:
    """`charge` or `payment_intent`, maybe `reason`, `amount`, `inquiry`: a new one. `dispute` and `status`: it goes on."""
    _allow(given, "charge", "payment_intent", "reason", "amount", "inquiry", "dispute", "status")
    context = workshop.context()
    with workshop.store.transaction():
        if "dispute" in given:
            disputes.move(context, _found(context, given["dispute"], "dispute"), given["status"])
            return
        inquiry = bool(given.get("inquiry"))
        reason = str(given.get("reason", "general" if inquiry else "fraudulent"))
        disputes.begin(context, _charge(context, given), reason=reason, inquiry=inquiry, amount=given.get("amount"))


def warn(workshop: Workshop, given: Json) -> None:
    """`charge` or `payment_intent`, maybe `fraud_type`."""
    _allow(given, "charge", "payment_intent", "fraud_type")
    fraud_type = given.get("fraud_type", "made_with_stolen_card")
    if fraud_type not in radar.FRAUD_TYPES:
        raise ValueError(f"fraud_type is one of {radar.FRAUD_TYPES}")
    context = workshop.context()
    with workshop.store.transaction():
        radar.warn(context, _charge(context, given), fraud_type)


def end_refund(workshop: Workshop, given: Json) -> None:
    """`refund` and `status` (succeeded or failed), maybe `failure_reason`. One that succeeded can still fail."""
    _allow(given, "refund", "status", "failure_reason")
    context = workshop.context()
    with workshop.store.transaction():
        refund = _found(context, given["refund"], "refund")
        allowed = {"pending": ("succeeded", "failed"), "succeeded": ("failed",)}.get(refund["status"], ())
        if given["status"] not in allowed or refund["balance_transaction"] is None:
            raise ValueError(f"a refund that is {refund['status']} can't become {given['status']}")
        refunds.end(context, refund, given["status"], given.get("failure_reason", "expired_or_canceled_card"))


def _allow(given: Json, *names: str) -> None:
    unknown = given.keys() - set(names)
    if unknown:
        raise ValueError(f"unknown: {sorted(unknown)}")


def _found(context: Context, object_id: str, kind: str) -> Json:
    """The object, of whichever account it is; what happens to it is that account's too."""
    found = context.store.find(object_id, kind=kind)
    if found is None:
        raise ValueError(f"no such {kind}: {object_id}")
    context.account = context.store.account_of(object_id)
    return found


def _charge(context: Context, given: Json) -> Json:
    if "charge" in given:
        return _found(context, given["charge"], "charge")
    intent = _found(context, given["payment_intent"], "payment_intent")
    return _found(context, str(intent["latest_charge"]), "charge")
