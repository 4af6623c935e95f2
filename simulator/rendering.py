"""From the stored object to the answer: computed fields, and `expand[]`."""

from typing import TYPE_CHECKING, Any

from simulator import errors, shapes
from simulator.store import Json, public

if TYPE_CHECKING:
    from simulator.context import Context

# Fields that Stripe leaves out until they are asked for.
ON_REQUEST: dict[tuple[str, str], Any] = {
    ("customer", "sources"): lambda body: shapes.a_list(f"/v1/customers/{body['id']}/sources"),
    ("customer", "subscriptions"): lambda body: shapes.a_list(f"/v1/customers/{body['id']}/subscriptions"),
    ("customer", "tax_ids"): lambda body: shapes.a_list(f"/v1/customers/{body['id']}/tax_ids"),
    ("checkout.session", "line_items"): lambda body: shapes.a_list(
        f"/v1/checkout/sessions/{body['id']}/line_items", [public(item) for item in body["_line_items"]]
    ),
    ("item", "discounts"): lambda _body: [],
    ("item", "taxes"): lambda _body: [],
}
BREAKDOWN: Json = {"discounts": [], "taxes": []}
# Relations that not every object of the kind has: to expand them where they are missing is no mistake.
MAYBE_ABSENT = {("refund", "failure_balance_transaction")}


def shown(context: "Context", body: Json) -> Json:
    """The object without private fields and with what is computed; an id stands for every related object."""
    answer = public(body)
    kind = body.get("object")
    if kind == "balance_transaction":
        answer["status"] = "available" if body["available_on"] <= context.now() else "pending"
    if kind == "charge":
        url = f"/v1/charges/{body['id']}/refunds"
        refunds = context.store.select("refund", {"charge": body["id"]})
        answer["refunds"] = shapes.a_list(url, [public(refund) for refund in refunds])
    return answer


def render(context: "Context", body: Json, expand: list[str]) -> Json:
    if body.get("object") == "list":
        answer = body | {"data": [shown(context, item) for item in body["data"]]}
    else:
        answer = shown(context, body)
    for path in expand:
        _expand(context, answer, body, path.split("."), path)
    return answer


def _expand(context: "Context", answer: Json, stored: Json, steps: list[str], path: str) -> None:
    step, rest = steps[0], steps[1:]
    if step not in answer and (answer.get("object"), step) in MAYBE_ABSENT:
        return
    value = answer.get(step)
    if value is None and step not in answer:
        value = _on_request(answer, stored, step, path)
    elif isinstance(value, str):
        value = _related(context, value, path)
    answer[step] = value
    if not rest:
        return
    for child in value if isinstance(value, list) else [value]:
        if isinstance(child, dict):
            _expand(context, child, context.store.find(child.get("id", "")) or child, rest, path)


def _on_request(answer: Json, stored: Json, step: str, path: str) -> Any:
    maker = ON_REQUEST.get((str(answer.get("object")), step))
    if maker is not None:
        return maker(stored)
    if step == "breakdown":
        return dict(BREAKDOWN)
    raise _not_expandable(path)


def _related(context: "Context", object_id: str, path: str) -> Json:
    found = context.store.find(object_id)
    if found is None:
        raise _not_expandable(path)
    return shown(context, found)


def _not_expandable(path: str) -> errors.ApiError:
    return errors.invalid(f"This property cannot be expanded ({path}).", param="expand")
