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

WARM_UP = 1_000

# The columns of a queue entry, and no index, constraint or trigger beside the primary key.
TABLE = "CREATE TABLE bench_row (LIKE registrations_queueentry INCLUDING IDENTITY, PRIMARY KEY (id))"


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """`rate` of so many requests, with its percentiles."""
    return as_fast_as_it_goes(site, options.requests).figures()


def as_fast_as_it_goes(site: BenchSite, count: int) -> load.Load:
    """So many INSERTs through the bare site, once it is warm."""
    with bare_site(site):
        say(f"{count} requests to the bare view")
        client = load.Client(site.port)

        async def both() -> load.Load:
            await load.as_fast_as_it_goes(client, _requests(WARM_UP), good=200)
            return await load.as_fast_as_it_goes(client, _requests(count), good=200)

        return load.run(both())


@contextmanager
def bare_site(site: BenchSite) -> Iterator[None]:
    """In place of the web process, on its port, with its flags."""
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
    web = site.site.web()
    argv = tuple("bench.bare_site" if part == "vgchub.wsgi" else part for part in web.argv)
    site.start_specs(replace(web, name="bare", argv=argv))
    try:
        yield
    finally:
        site.stop_last()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE bench_row")


def _requests(count: int) -> Iterator[bytes]:
    for number in range(1, count + 1):
        yield load.request("POST", "/join/", b'{"players":[%d]}' % number, content_type="application/json")
