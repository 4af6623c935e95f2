"""Holds every answer against Stripe's published example objects and against the `stripe` package's annotations.

`fixtures.json` has one example of each object; the package's classes say for every field whether it may be null, and which
values it can have. An answer has to agree with both: no unknown field, none missing, each of its type.
"""

import json
import typing
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ForwardRef, Literal, get_args, get_origin

import stripe
from stripe import ErrorObject, ListObject, StripeObject

EXAMPLES: dict[str, Any] = json.loads((Path(__file__).parent / "fixtures.json").read_text())["resources"]

# Fields that Stripe shows only when asked for, or in some states; examples lack them.
SOMETIMES = {
    "checkout.session": {"line_items"},
    "customer": {"sources", "subscriptions", "tax_ids"},
    "dispute": {"network_reason_code"},
    "event": {"account"},
    "radar.early_fraud_warning": {"payment_intent"},
    "refund": {"failure_balance_transaction", "failure_reason", "pending_reason"},
    "webhook_endpoint": {"secret"},
}
CLASSES: dict[str, type[StripeObject]] = {
    "account": stripe.Account,
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "customer": stripe.Customer,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "item": stripe.LineItem,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "price": stripe.Price,
    "radar.early_fraud_warning": stripe.radar.EarlyFraudWarning,
    "refund": stripe.Refund,
    "setup_intent": stripe.SetupIntent,
    "webhook_endpoint": stripe.WebhookEndpoint,
}


def problems(answer: Any) -> list[str]:
    """What is wrong with an answer's JSON; empty when nothing is."""
    if "error" in answer:
        error = answer["error"]
        return [
            *_of_class(error, ErrorObject, "error"),
            *(found for part in _objects(error) for found in _of_example(part)),
        ]
    if answer.get("deleted"):
        return [] if set(answer) == {"id", "object", "deleted"} else ["deleted object with more fields"]
    if answer["object"] == "list":
        shell = [f"list lacks {name}" for name in ("data", "has_more", "url") if name not in answer]
        return shell + [problem for item in answer["data"] for problem in problems(item)]
    found = list(_of_class(answer, CLASSES[answer["object"]], answer["object"]))
    found += [problem for part in _objects(answer) for problem in _of_example(part)]
    if answer["object"] == "event":
        found += problems(answer["data"]["object"])
    return found


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every Stripe object within, the outermost too."""
    if isinstance(value, dict):
        if "id" in value and value.get("object") in EXAMPLES:
            yield value
        for child in value.values():
            yield from _objects(child)
    elif isinstance(value, list):
        for child in value:
            yield from _objects(child)


# Against the example


def _of_example(answer: dict[str, Any]) -> Iterator[str]:
    kind = answer["object"]
    example = EXAMPLES[kind]
    for name in answer.keys() - example.keys() - SOMETIMES.get(kind, set()):
        yield f"{kind}.{name}: not in the example"
    yield from _like(answer, example, kind)


def _like(answer: dict[str, Any], example: dict[str, Any], path: str) -> Iterator[str]:
    """Same fields and JSON types. Nulls are the annotations' business, and so are fields that the example leaves open."""
    for name in example.keys() - answer.keys():
        yield f"{path}.{name}: missing, the example has it"
    for name in example.keys() & answer.keys():
        mine, theirs = answer[name], example[name]
        if mine is None or theirs is None or _expanded(mine, theirs) or name in {"object", "metadata"}:
            continue
        if _json_type(mine) != _json_type(theirs):
            yield f"{path}.{name}: {_json_type(mine)}, the example has {_json_type(theirs)}"
        elif isinstance(mine, dict) and "object" not in mine:
            yield from _like(mine, theirs, f"{path}.{name}")


def _expanded(mine: Any, theirs: Any) -> bool:
    return isinstance(mine, dict) and "object" in mine and isinstance(theirs, str)


def _json_type(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


# Against the annotations


def _of_class(answer: dict[str, Any], known: type[StripeObject], path: str) -> Iterator[str]:
    fields = {
        name: kind for part in reversed(known.__mro__) for name, kind in vars(part).get("__annotations__", {}).items()
    }
    fields = {name: kind for name, kind in fields.items() if name.islower() and get_origin(kind) is not typing.ClassVar}
    for name in answer.keys() - fields.keys() - {"object"}:
        yield f"{path}.{name}: unknown to {known.__qualname__}"
    for name, kind in fields.items():
        if name in answer:
            yield from _of_type(answer[name], kind, f"{path}.{name}")
        elif not _may_be_null(kind) and not name.startswith("_"):
            yield f"{path}.{name}: missing, {known.__qualname__} requires it"


def _may_be_null(kind: Any) -> bool:
    return kind is type(None) or any(_may_be_null(option) for option in _options(kind) if option is not kind)


def _options(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is typing.Union else (kind,)


def _of_type(value: Any, kind: Any, path: str) -> Iterator[str]:
    options = _options(kind)
    if any(get_origin(option) is Literal for option in options):
        options = tuple(option for option in options if option is not str)  # a listed value, not just any text
    tries = [list(_of_one(value, option, path)) for option in options]
    if all(tries):
        # the closest try says best what is wrong
        yield from min(tries, key=len) if isinstance(value, dict) else [f"{path}: {value!r} is not {kind}"]


def _of_one(value: Any, kind: Any, path: str) -> Iterator[str]:  # noqa: C901, PLR0912 (one branch for each kind of type)
    if kind is Any:
        return
    if isinstance(kind, ForwardRef):
        kind = _class_of(value, kind.__forward_arg__)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        if value not in arguments:
            yield f"{path}: {value!r} is not one of {arguments}"
    elif origin is list:
        yield from _of_list(value, arguments[0], path)
    elif origin is ListObject:
        yield from _of_list(value["data"], arguments[0], f"{path}.data")
    elif origin is not None and issubclass(origin, StripeObject):  # metadata and the like
        for name, child in value.items():
            yield from _of_type(child, arguments[0], f"{path}.{name}")
    elif kind is Decimal:
        Decimal(value)
    elif isinstance(kind, type) and issubclass(kind, StripeObject):
        if isinstance(value, dict):
            yield from _of_class(value, kind, path)
        else:
            yield f"{path}: {value!r} is not an object"
    elif type(value) is not kind and not (kind is float and type(value) is int):
        yield f"{path}: {value!r} is not {kind}"


def _class_of(value: Any, name: str) -> Any:
    """The class that a relation names; some go by another name there than in the package."""
    found = getattr(stripe, name, None)
    return found or CLASSES.get(value.get("object", "") if isinstance(value, dict) else "", StripeObject)


def _of_list(value: Any, kind: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: {value!r} is not a list"
        return
    for number, item in enumerate(value):
        yield from _of_type(item, kind, f"{path}[{number}]")


class CheckedClient(stripe.RequestsClient):
    """Stripe's own HTTP client, which also looks at every answer that comes through it."""

    def request(self, *arguments: Any, **named: Any) -> tuple[bytes, int, Any]:  # type: ignore[override]
        content, status, headers = super().request(*arguments, **named)
        answer = json.loads(content)
        found = problems(answer) + _around(answer, status, headers)
        assert not found, "\n".join(found)
        return content, status, headers


def _around(answer: Any, status: int, headers: Any) -> list[str]:
    found = [] if headers.get("request-id", "").startswith("req_") else ["no Request-Id"]
    if (status >= 400) != ("error" in answer):
        found.append(f"{status} does not fit the body")
    return found
