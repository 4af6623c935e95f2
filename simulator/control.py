"""`/_control/`: JSON for tests and a curious developer. Everything is answered with the state after it."""

import json
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import banks, clockwork, misbehaviour
from simulator.faults import Fault
from simulator.store import Json
from simulator.work import Workshop

Handler = Callable[[Workshop, Json], None]


def routes(workshop: Workshop) -> list[Route]:
    handlers: list[tuple[str, str, Handler]] = [
        ("POST", "/_control/webhooks", set_webhooks),
        ("POST", "/_control/delay", set_delay),
        ("POST", "/_control/faults", add_fault),
        ("DELETE", "/_control/faults", clear_faults),
        ("POST", "/_control/declines", banks.add_decline),
        ("DELETE", "/_control/declines", banks.clear_declines),
        ("POST", "/_control/disputes", banks.dispute),
        ("POST", "/_control/fraud_warnings", banks.warn),
        ("POST", "/_control/radar", set_radar),
        ("POST", "/_control/refunds", banks.end_refund),
        ("POST", "/_control/rates", set_rate),
        ("DELETE", "/_control/rates", clear_rates),
        ("POST", "/_control/misbehave", misbehave),
        ("DELETE", "/_control/misbehave", behave),
        ("POST", "/_control/clock", advance_clock),
        ("POST", "/_control/reset", reset),
    ]
    state = Route("/_control/state", _state_view(workshop), methods=["GET"])
    return [
        state,
        *(Route(path, _view(workshop, handler), methods=[verb]) for verb, path, handler in handlers),
    ]


def _view(workshop: Workshop, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def view(request: Request) -> Response:
        try:
            given = json.loads(await request.body() or b"{}")
            handler(workshop, given)
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            return JSONResponse({"error": f"{type(problem).__name__}: {problem}"}, 400)
        workshop.courier.ring()
        return JSONResponse(state(workshop))

    return view


def _state_view(workshop: Workshop) -> Callable[[Request], Awaitable[Response]]:
    async def view(request: Request) -> Response:
        shown = state(workshop)
        kind = request.query_params.get("kind")
        if kind:
            shown[kind] = workshop.store.select(kind, {})
        return JSONResponse(shown)

    return view


def state(workshop: Workshop) -> Json:
    """Counts and settings; `?kind=payment_intent` adds all objects of a kind, private fields too."""
    store = workshop.store
    deliveries = store.database.execute("SELECT * FROM delivery ORDER BY id DESC LIMIT 100").fetchall()
    waiting = store.database.execute("SELECT count(*) FROM delivery WHERE due_at IS NOT NULL").fetchone()[0]
    return {
        "now": store.now(),
        "advanced": store.setting("advanced", 0),
        "webhooks": store.setting("webhooks", {}) | {"waiting": waiting},
        "delay_ms": round(workshop.faults.delay * 1000),
        "faults": workshop.faults.as_json(),
        "rates": workshop.rates.limits,
        "misbehave": store.setting("misbehave", {}),
        "radar": store.setting("radar", {}),
        "declines": store.setting("declines", []),
        "objects": store.kinds(),
        "deliveries": [dict(row) for row in deliveries],
    }


def set_webhooks(workshop: Workshop, given: Json) -> None:
    """`held` keeps all deliveries back; false sends at once what waits.

    `reversed` sends the newest first, `copies` sends each so many times, `delay_ms` lets so much time pass before the first
    attempt, `lose` is a pattern of types of events (`charge.*`) that are never sent; an empty one loses none.
    """
    unknown = given.keys() - {"held", "reversed", "copies", "delay_ms", "lose"}
    if unknown:
        raise ValueError(f"unknown: {sorted(unknown)}")
    given |= {"delay_ms": int(given["delay_ms"])} if "delay_ms" in given else {}
    given |= {"lose": str(given["lose"])} if "lose" in given else {}
    workshop.store.set_setting("webhooks", workshop.store.setting("webhooks", {}) | given)
    if given.get("held") is False:
        workshop.store.database.execute("UPDATE delivery SET due_at = ? WHERE due_at IS NOT NULL", (time.time(),))


def set_delay(workshop: Workshop, given: Json) -> None:
    """`ms` before each answer of the API, for addresses that fit `path` (a pattern, default all)."""
    workshop.faults.delay = int(given["ms"]) / 1000
    workshop.faults.delay_path = str(given.get("path", "*"))


def add_fault(workshop: Workshop, given: Json) -> None:
    """The fields of Fault: `path`, one of `status`, `silence` and `delay_ms`, maybe `times`, `method`, `when`, ..."""
    workshop.faults.waiting.append(Fault(**given).check())


def clear_faults(workshop: Workshop, _given: Json) -> None:
    workshop.faults.clear()


def set_radar(workshop: Workshop, given: Json) -> None:
    """`scores`: whether charges have a risk score beside their level, as with Radar for Fraud Teams."""
    workshop.store.set_setting("radar", {"scores": bool(given["scores"])})


def set_rate(workshop: Workshop, given: Json) -> None:
    """`per_second` requests of an account, or of those to addresses that fit `path`; above it they get 429."""
    workshop.rates.set(str(given.get("path", "*")), int(given["per_second"]))


def clear_rates(workshop: Workshop, _given: Json) -> None:
    workshop.rates.clear()


def misbehave(workshop: Workshop, given: Json) -> None:
    """`seed`, maybe `share`, `kinds`, `slow_ms`: fail at random from now on; counting begins anew."""
    misbehaviour.start(workshop.store, given)


def behave(workshop: Workshop, _given: Json) -> None:
    misbehaviour.stop(workshop.store)


def misbehave_from_the_start(workshop: Workshop) -> None:
    """As the command line says; a seed that the data file was begun with goes on where it was."""
    settings, running = workshop.settings, workshop.store.setting("misbehave", {})
    if settings.misbehave is not None and running.get("seed") != settings.misbehave:
        misbehaviour.start(workshop.store, {"seed": settings.misbehave, "share": settings.misbehave_share})


def advance_clock(workshop: Workshop, given: Json) -> None:
    """`advance` the clock by seconds: sessions expire, authorisations lapse. Webhooks keep real time."""
    advanced = workshop.store.setting("advanced", 0) + int(given["advance"])
    workshop.store.set_setting("advanced", advanced)
    clockwork.turn(workshop.context())


def reset(workshop: Workshop, _given: Json) -> None:
    """Forget every object, key, delivery and setting."""
    with workshop.store.transaction():
        workshop.store.empty()
    workshop.store.set_setting("born", workshop.store.now())
    workshop.keys.in_flight.clear()
    workshop.faults.clear()
    workshop.rates.clear()
    misbehave_from_the_start(workshop)
