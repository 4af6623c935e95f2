"""Pages of a list: `limit`, `starting_after`, `ending_before`, and the `created` filter."""

from simulator.errors import missing
from simulator.params import Params
from simulator.shapes import a_list
from simulator.store import Json

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


def page(params: Params, url: str, found: list[Json]) -> Json:
    """One page of `found`, which is newest first. Objects are the stored ones: rendering comes later."""
    limit = min(params.integer("limit", minimum=1) or 10, 100)
    after, before = params.text("starting_after"), params.text("ending_before")
    if after:
        rest = found[_place(found, after, "starting_after") + 1 :]
        return a_list(url, rest[:limit], has_more=len(rest) > limit)
    if before:
        rest = found[: _place(found, before, "ending_before")]
        return a_list(url, rest[-limit:], has_more=len(rest) > limit)
    return a_list(url, found[:limit], has_more=len(found) > limit)


def _place(found: list[Json], object_id: str, param: str) -> int:
    for place, body in enumerate(found):
        if body["id"] == object_id:
            return place
    raise missing("object", object_id, param=param)
