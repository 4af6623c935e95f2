"""Declines that somebody asked for: by the metadata of an intent, or by the control endpoint for the next charges."""

from simulator.context import Context
from simulator.declines import BY_CODE, Decline
from simulator.errors import invalid
from simulator.store import Json

METADATA = "simulate_decline"
NARROWING = ("customer", "payment_method", "last4")


def wanted(body: Json) -> Decline | None:
    """What the object's own metadata asks for."""
    code = body["metadata"].get(METADATA)
    return BY_CODE[code] if code else None


def check(metadata: dict[str, str], *, param: str = "metadata") -> dict[str, str]:
    """Refuse a code that Stripe doesn't have, before anything is done."""
    code = metadata.get(METADATA)
    if code and code not in BY_CODE:
        raise invalid(f"The simulator knows no decline code '{code}'.", param=f"{param}[{METADATA}]")
    return metadata


def give(context: Context, given: Json) -> None:
    """Decline the next `times` charges with `code`; `customer`, `payment_method` or `last4` name whose."""
    unknown = given.keys() - {"code", "times", *NARROWING}
    if unknown or given["code"] not in BY_CODE or int(given.get("times", 1)) < 1:
        raise ValueError(f"code is a decline code, times at least 1; unknown: {sorted(unknown)}")
    waiting = context.store.setting("declines", [])
    context.store.set_setting("declines", [*waiting, {"times": 1} | given])


def take(context: Context, intent: Json, method: Json) -> Decline | None:
    """The decline for this charge, if one is ordered; the first that fits is used up by one."""
    own = wanted(intent)
    if own:
        return own
    facts = {"customer": intent["customer"], "payment_method": method["id"], "last4": method["card"]["last4"]}
    waiting = context.store.setting("declines", [])
    for order in waiting:
        if all(order.get(name, value) == value for name, value in facts.items()):
            order["times"] -= 1
            context.store.set_setting("declines", [left for left in waiting if left["times"] > 0])
            return BY_CODE[order["code"]]
    return None
