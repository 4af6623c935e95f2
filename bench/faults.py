"""What can go wrong in a rush, by name."""

import dataclasses
import json
import os
import signal
from functools import partial
from urllib.request import Request, urlopen

import redis

from bench.rushing import Strike
from bench.site import BenchSite
from vgchub.local.child import kill_group

LASTS = 25.0  # seconds, of what is undone
KILLED = ("web", "live", "clock", "worker", "beat", "simulator", "valkey", "postgres")


def named(name: str) -> list[Strike]:
    """One fault; all that strike the site itself, or all of Stripe, one after the other; or none."""
    if name in GROUPS:
        return [strike for strike in FAULTS.values() if strike.when == GROUPS[name]]
    return [FAULTS[name]] if name != "none" else []


def _kill(name: str) -> Strike:
    def do(site: BenchSite) -> None:
        kill_group(site.child(name).pid)

    return Strike(f"{name} is killed", do, without_stripe=name == "simulator")


def _flush(site: BenchSite) -> None:
    with redis.Redis.from_url(site.site.environment["REDIS_URL"]) as client:
        client.flushall()


def _restart_postgres(site: BenchSite) -> None:
    os.kill(site.child("postgres").pid, signal.SIGINT)


def _web_with(site: BenchSite, **environment: str) -> None:
    """Put such a web process in the place of the one that runs."""
    web = site.site.web()
    site.supervisor.replace("web", dataclasses.replace(web, environment={**web.environment, **environment}))


def _stripe(name: str, control: str, **asked: object) -> Strike:
    """The simulator is told what to do wrong, and after a while to do right again."""

    def do(site: BenchSite) -> None:
        _control(site, "POST", control, **asked)

    def undo(site: BenchSite) -> None:
        _control(site, "DELETE", "/_control/faults")

    return Strike(name, do, undo, when="paying", lasts=LASTS, without_stripe=True)


def _control(site: BenchSite, method: str, address: str, **asked: object) -> None:
    url = site.site.environment["STRIPE_API_BASE"] + address
    body = json.dumps(asked).encode() if asked else None
    with urlopen(Request(url, data=body, method=method), timeout=20) as answer:  # noqa: S310  our own simulator
        answer.read()


GROUPS = {"site": "joining", "stripe": "paying"}
MANY = 1_000_000  # more requests than there will be

FAULTS: dict[str, Strike] = {
    **{f"kill-{name}": _kill(name) for name in KILLED},
    "flush-valkey": Strike("Valkey is flushed", _flush),
    "restart-postgres": Strike("PostgreSQL restarts", _restart_postgres),
    "slow-stripe": _stripe("Stripe takes 2 s a call", "/_control/delay", ms=2000, path="/v1/*"),
    "broken-stripe": _stripe("Stripe answers 500", "/_control/faults", path="/v1/*", status=500, times=MANY),
    # The client hangs up after 6 s while somebody waits, else after 8; what it asked for is done all the same.
    "silent-stripe": _stripe("Stripe does it and says nothing", "/_control/delay", ms=9000, path="/v1/*"),
    "small-pool": Strike(
        "web has 2 connections for 8 threads", partial(_web_with, WEB_POOL="2"), _web_with, lasts=LASTS
    ),
}
