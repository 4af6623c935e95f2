"""Pages of a list: `limit`, `starting_after`, `ending_before`, and the `created` filter."""

from typing import TYPE_CHECKING

from simulator.errors import missing
from simulator.params import Params
from simulator.shapes import a_list
from simulator.store import Json

if TYPE_CHECKING:
    from simulator.context import Context

PAGING = ("limit", "starting_after", "ending_before")
OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def created(params: Params) -> Json:
    """`created=123` or `created[gte]=123` as conditions for the store."""
    value = params.values.get("created")
    if isinstance(value, str):
        return {"created": params.integer("created")}
    child = params.child("created")
    child.allow(*OPERATORS)
    return {f"created {OPERATORS[name]}": child.integer(name) for name in child.values}


def filters(params: Params, *names: str) -> Json:
    """Those of the names that were given, as equality conditions."""
    return {name: value for name in names if (value := params.text(name)) is not None}


def page(context: "Context", params: Params, url: str, kind: str, where: Json) -> Json:
    """One page of the stored objects of a kind, newest first; rendering comes later."""
    limit = limit_of(params)
    after, before = _place(context, params, "starting_after"), _place(context, params, "ending_before")
    where |= {"account": context.account}
    if before is not None:
        found = context.store.select(kind, where | {"sequence >": before}, limit=limit + 1, oldest_first=True)
        return a_list(url, found[:limit][::-1], has_more=len(found) > limit)
    if after is not None:
        where |= {"sequence <": after}
    found = context.store.select(kind, where, limit=limit + 1)
    return a_list(url, found[:limit], has_more=len(found) > limit)


def limit_of(params: Params) -> int:
    return min(params.integer("limit", minimum=1) or 10, 100)


def _place(context: "Context", params: Params, name: str) -> int | None:
    """Where the object stands that the page begins or ends at."""
    object_id = params.text(name)
    if object_id is None:
        return None
    place = context.store.place(object_id)
    if place is None:
        raise missing("object", object_id, param=name)
    return place
