"""How many requests a second a view without middleware serves that does nothing but one INSERT: the yardstick for joins."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import connection

from bench import load
from bench.report import say
from bench.site import BenchSite
from vgchub.local.ports import free_port

WARM_UP = 1_000

# The columns of a queue entry, and no index, constraint or trigger beside the primary key.
TABLE = "CREATE TABLE bench_row (LIKE registrations_queueentry INCLUDING IDENTITY, PRIMARY KEY (id))"


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """`rate` of so many requests, with its percentiles, and CPU milliseconds per request by process."""
    with bare_site(site) as port:
        say(f"{options.requests} requests to the bare view")
        client, cpu = load.Client(port), dict[str, float]()
        load.run(load.as_fast_as_it_goes(client, requests(WARM_UP), good=200))
        client.close()
        with site.cpu_counted(cpu):
            done = load.run(load.as_fast_as_it_goes(load.Client(port), requests(options.requests), good=200))
    cpu["generator"] = done.cpu_seconds
    return {**done.figures(), "cpu_ms": load.milliseconds_each(cpu, done.sent)}


@contextmanager
def bare_site(site: BenchSite) -> Iterator[int]:
    """The bare site under the web process's own flags; yields its port."""
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
    port = free_port()
    web = replace(site.site, port=port).web()
    argv = tuple("bench.bare_site" if part == "vgchub.wsgi" else part for part in web.argv)
    site.start_specs(replace(web, name="bare", argv=argv))
    try:
        yield port
    finally:
        site.stop_last()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE bench_row")


def requests(count: int) -> list[bytes]:
    """So many, each of another player."""
    return [
        load.request("POST", "/join/", b'{"players":[%d]}' % number, content_type="application/json")
        for number in range(1, count + 1)
    ]
