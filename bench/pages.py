"""What a reload storm costs: everybody asks for the same page, again and again, signed in or not; also while the cache is emptied.

The yardstick is a static file that has not changed, which the same server answers with 304 before Django's own middleware.
"""

import argparse
import threading
import time
import urllib.request
from typing import Any

from bench import people, wrk
from bench.report import say
from bench.site import BenchSite

GZIP = {"Accept-Encoding": "gzip"}
READERS = 500
SETTLES_SECONDS = 12  # an idle connection tells PostgreSQL its counts after ten


def measure(site: BenchSite, options: argparse.Namespace) -> dict[str, Any]:
    """`rate` and latencies of each kind of answer, `ratio` to the yardstick, CPU in microseconds by process; and the stampede.

    Raises LocalProblemError without wrk.
    """
    wrk.refuse_missing()
    say(f"Making a tournament with {options.waiting:,} players in line, and {READERS} readers with sessions")
    tournament = _tournament(options.waiting)
    readers = people.sessions(people.make_people(READERS))
    site.settle()
    if options.without:
        site.site.environment["SHELF_SECONDS"] = "0"
    site.start("web")
    storms = Storms(site, options.seconds, options.connections)
    page = tournament.get_absolute_url()
    cookies = [f"sessionid={key}" for key in readers]
    static = _static_of(site, page)
    figures: dict[str, Any] = {
        "static_304": storms.of(static, {"If-None-Match": _etag(site, static)}),
        "page": storms.of(page, GZIP),
        "page_304": storms.of_304(page),
        "page_signed_in": storms.of(page, GZIP, cookies),
        "home": storms.of("/", GZIP),
        "home_signed_in": storms.of("/", GZIP, cookies),
        "api": storms.of(f"/api/v1/tournaments/{tournament.slug}/", GZIP),
    }
    yardstick = figures["static_304"]["rate"]
    for one in figures.values():
        one["ratio"] = round(one["rate"] / yardstick, 3)
    figures["stampede"] = _stampede(storms, page)
    site.stop_last()
    return {"waiting": options.waiting, "without": options.without, "connections": options.connections, **figures}


class Storms:
    """Storms on one site, of the same size."""

    def __init__(self, site: BenchSite, seconds: int, connections: int) -> None:
        self.site, self.seconds, self.connections = site, seconds, connections

    def of(self, path: str, headers: dict[str, str], cookies: list[str] | None = None) -> dict[str, Any]:
        say(
            f"{self.seconds} s of {path}{' signed in' if cookies else ''}{' with its ETag' * ('If-None-Match' in headers)}"
        )
        self._storm(path, headers, cookies, seconds=1)  # both processes have loaded what they need
        _get(self.site, path)  # what the first storm has left in the queue is behind us
        before = self.site.cpu_seconds()
        figures = self._storm(path, headers, cookies, seconds=self.seconds)
        requests = figures["rate"] * self.seconds + self.connections  # the last ones are under way when it ends
        used = {name: seconds - before[name] for name, seconds in self.site.cpu_seconds().items()}
        cpu = {
            name: round(seconds / requests * 1e6)
            for name, seconds in used.items()
            if name in ("web", "postgres", "valkey")
        }
        return {**figures, "cpu_us": cpu}

    def _storm(self, path: str, headers: dict[str, str], cookies: list[str] | None, *, seconds: int) -> dict[str, Any]:
        return wrk.storm(
            self.site.site.url + path,
            seconds=seconds,
            connections=self.connections,
            headers=headers,
            cookies=cookies or (),
        )

    def of_304(self, path: str) -> dict[str, Any]:
        """With an ETag that holds: the page of a tournament that is open says for an hour the same, unless its line moves."""
        return self.of(path, {**GZIP, "If-None-Match": _etag(self.site, path)})


def _tournament(waiting: int) -> Any:
    from datetime import timedelta  # noqa: PLC0415

    from tests.builders import make_group, make_tournament  # noqa: PLC0415  Django is set up by now

    tournament = make_tournament(seats={"masters": 500, "senior": 200}, lasts=timedelta(days=9), fee_minor=2500)
    make_group(tournament, min_championship_points=100, reserved={"masters": 20})
    people.make_waiting(tournament, waiting)
    return tournament


def _stampede(storms: Storms, page: str) -> dict[str, Any]:
    """Redis is emptied five times in the middle of a storm; `made` is how often all processes together made the page's shared part.

    Once a second is what they do anyway.
    """
    import redis  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415

    before = _times_made()
    done = threading.Event()

    def flush() -> None:
        with redis.Redis.from_url(settings.REDIS_URL) as valkey:
            for _time in range(5):
                if done.wait(storms.seconds / 6):
                    return
                valkey.flushdb()

    flushing = threading.Thread(target=flush)
    flushing.start()
    figures = storms.of(page, GZIP)
    done.set()
    flushing.join()
    return {**figures, "flushed": 5, "seconds": storms.seconds, "made": _times_made() - before}


def _times_made() -> int:
    """How often the groups of tournaments were read: nothing but the shared part of a tournament's page does that here."""
    from django.db import connection  # noqa: PLC0415

    time.sleep(SETTLES_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'tournaments_prioritygroup'"
        )
        return int(cursor.fetchone()[0])


def _static_of(site: BenchSite, page: str) -> str:
    """The address of a style sheet, as the page has it."""
    html = _get(site, page).read().decode()
    return html.split('rel="stylesheet" href="', 1)[1].split('"', 1)[0]


def _etag(site: BenchSite, path: str) -> str:
    return str(_get(site, path).headers["ETag"])


def _get(site: BenchSite, path: str) -> Any:
    return urllib.request.urlopen(site.site.url + path)  # noqa: S310  our own site
