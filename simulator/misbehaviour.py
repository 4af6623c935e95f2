"""Misbehaving at random, the same way each time for the same seed and the same sequence of requests.

What happens to the n-th request, and to the n-th delivery, is drawn from the seed and n alone: what happened to others
doesn't shift it, and a restart goes on where it was.
"""

from collections.abc import Callable
from random import Random
from typing import Literal

from simulator.faults import Fault
from simulator.store import Json, Store

Fate = Literal["", "lost", "twice", "late", "shuffled"]

REQUESTS: dict[str, Callable[[str], Fault]] = {
    "error_before": lambda path: Fault(path=path, status=500),
    "error_after": lambda path: Fault(path=path, status=500, when="after"),
    "rate_limit": lambda path: Fault(path=path, status=429),
    "cut_before": lambda path: Fault(path=path, silence="close"),
    "cut_after": lambda path: Fault(path=path, silence="close", when="after"),
    "hang_before": lambda path: Fault(path=path, silence="hang"),
    "hang_after": lambda path: Fault(path=path, silence="hang", when="after"),
    "slow": lambda path: Fault(path=path, delay_ms=1),
}
DELIVERIES: tuple[Fate, ...] = ("lost", "twice", "late", "shuffled")
# A hanging request keeps the client for as long as its patience lasts: only those get it who ask.
USUAL = tuple(kind for kind in REQUESTS if not kind.startswith("hang")) + DELIVERIES
SHARE = 0.1
SLOWEST = 2000  # ms


def start(store: Store, given: Json) -> None:
    """`seed`, maybe `share` (of requests and of deliveries), `kinds`, `slow_ms` (the longest); share 0 ends it."""
    unknown = given.keys() - {"seed", "share", "kinds", "slow_ms"}
    plan: Json = {"share": SHARE, "kinds": list(USUAL), "slow_ms": SLOWEST} | given
    wrong = [kind for kind in plan["kinds"] if kind not in REQUESTS and kind not in DELIVERIES]
    if unknown or wrong or not 0 <= plan["share"] <= 1:
        raise ValueError(f"share is 0 to 1, kinds are of {[*REQUESTS, *DELIVERIES]}; unknown: {[*unknown, *wrong]}")
    plan["seed"] = int(given["seed"])
    store.set_setting("misbehave", plan | {"requests": 0, "deliveries": 0} if plan["share"] else {})


def stop(store: Store) -> None:
    store.set_setting("misbehave", {})


def fault_of_next(store: Store, path: str) -> Fault | None:
    """What goes wrong with this request, if anything."""
    kind, luck, plan = _draw(store, "requests", tuple(REQUESTS))
    if not kind:
        return None
    fault = REQUESTS[kind](path)
    fault.message = "The simulator misbehaves, as it was told to."
    if kind == "slow":
        fault.delay_ms = luck.randint(1, max(1, plan["slow_ms"]))
    return fault


def fate_of_next(store: Store) -> tuple[Fate, float]:
    """What becomes of this delivery, and how many seconds late it is."""
    kind, luck, _ = _draw(store, "deliveries", DELIVERIES)
    if kind == "late":
        return "late", luck.uniform(1, 5)
    if kind == "shuffled":
        return "shuffled", luck.uniform(0.05, 0.5)  # the next ones overtake it
    return kind, 0.0  # type: ignore[return-value]


def _draw(store: Store, what: str, known: tuple[str, ...]) -> tuple[str, Random, Json]:
    plan: Json = store.setting("misbehave", {})
    luck = Random(f"{plan.get('seed')} {what} {plan.get(what)}")  # noqa: S311 (nobody's secret)
    if not plan:
        return "", luck, plan
    plan[what] += 1
    store.set_setting("misbehave", plan)
    kinds = [kind for kind in known if kind in plan["kinds"]]
    if not kinds or luck.random() >= plan["share"]:
        return "", luck, plan
    return luck.choice(kinds), luck, plan
