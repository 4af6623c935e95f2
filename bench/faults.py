"""What can go wrong in a rush, by name."""

import json
import os
import signal
from dataclasses import dataclass, field
from urllib.request import Request, urlopen

import redis

from bench.rushing import Strike
from bench.site import BenchSite
from vgchub.local.child import kill_group

STRIPE_AWAY = 25.0  # seconds
KILLED = ("web", "live", "clock", "worker", "beat", "simulator", "valkey")


@dataclass(frozen=True)
class Fault:
    """A strike, or an `environment` with which the site starts."""

    strike: Strike | None = None
    environment: dict[str, str] = field(default_factory=dict)


def named(name: str) -> list[Fault]:
    """One fault; all that strike the site itself, or all of Stripe, one after the other; or none."""
    if name in GROUPS:
        return [fault for fault in FAULTS.values() if fault.strike and fault.strike.when == GROUPS[name]]
    return [FAULTS[name]] if name != "none" else []


def _kill(name: str) -> Fault:
    def do(site: BenchSite) -> None:
        kill_group(site.child(name).pid)

    return Fault(Strike(f"{name} is killed", do))


def _flush(site: BenchSite) -> None:
    with redis.Redis.from_url(site.site.environment["REDIS_URL"]) as client:
        client.flushall()


def _restart_postgres(site: BenchSite) -> None:
    os.kill(site.child("postgres").pid, signal.SIGINT)


def _stripe(name: str, control: str, **asked: object) -> Fault:
    """The simulator is told what to do wrong, and after a while to do right again."""

    def do(site: BenchSite) -> None:
        _control(site, "POST", control, **asked)

    def undo(site: BenchSite) -> None:
        _control(site, "DELETE", "/_control/faults")

    return Fault(Strike(name, do, undo, when="paying", lasts=STRIPE_AWAY))


def _control(site: BenchSite, method: str, address: str, **asked: object) -> None:
    url = site.site.environment["STRIPE_API_BASE"] + address
    body = json.dumps(asked).encode() if asked else None
    with urlopen(Request(url, data=body, method=method), timeout=20) as answer:  # noqa: S310  our own simulator
        answer.read()


GROUPS = {"site": "joining", "stripe": "paying"}
MANY = 1_000_000  # more requests than there will be

FAULTS: dict[str, Fault] = {
    **{f"kill-{name}": _kill(name) for name in KILLED},
    "flush-valkey": Fault(Strike("Valkey is flushed", _flush)),
    "restart-postgres": Fault(Strike("PostgreSQL restarts", _restart_postgres)),
    "slow-stripe": _stripe("Stripe takes 2 s a call", "/_control/delay", ms=2000, path="/v1/*"),
    "broken-stripe": _stripe("Stripe answers 500", "/_control/faults", path="/v1/*", status=500, times=MANY),
    # The client hangs up after 8 s; what it asked for is done all the same.
    "silent-stripe": _stripe("Stripe does it and says nothing", "/_control/delay", ms=9000, path="/v1/*"),
    "small-pool": Fault(environment={"WEB_POOL": "2"}),
}
