"""What publishing the line costs the clock: the first time, after one left, and while nothing moves."""

import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import Any

from django_redis import get_redis_connection

from bench.people import make_waiting
from bench.report import say
from bench.site import BenchSite
from registrations.publisher import LinePublisher
from registrations.services import leave_queue
from registrations.standing import standings
from tests.builders import make_tournament
from vgchub.live import tournament_channel
from vgchub.live_worker import encoded

TRIES = 20
MORE_TOURNAMENTS = 50


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """Milliseconds, with what the database and Redis take; bytes of the text that every socket gets.

    `newcomer_ms` is what the first page of somebody spends on the position who joined after the last move was published.
    """
    waiting: int = options.waiting
    say(f"{waiting} players wait")
    tournament = make_tournament(seats=700)
    make_waiting(tournament, waiting)
    site.settle()
    publisher = LinePublisher(pause=0)
    heard = get_redis_connection("default").pubsub(ignore_subscribe_messages=True)
    heard.subscribe(tournament_channel(tournament.pk))

    def text() -> tuple[int, int]:
        """Bytes of what was published since: as it is, and as browsers get it."""
        data: bytes = _until_heard(heard.get_message)["data"]
        return len(data), len(encoded(data.decode()).compressed)

    figures: dict[str, Any] = {"waiting": waiting, "first_ms": _milliseconds(publisher.publish_moves)}
    figures["first_bytes"], figures["first_bytes_compressed"] = text()
    moved = []
    for entry in tournament.entries.select_related("player__account").order_by("place")[:TRIES]:
        leave_queue(account=entry.player.account, public_id=entry.public_id)
        moved.append((_milliseconds(publisher.publish_moves), text()))
    figures["moved_ms"] = _median(took for took, _bytes in moved)
    figures["moved_bytes"], figures["moved_bytes_compressed"] = moved[-1][1]
    figures["idle_ms"] = _median(_milliseconds(publisher.publish_moves) for _ in range(TRIES))
    taken_over = LinePublisher(pause=0)
    figures["taken_over_ms"] = _milliseconds(taken_over.publish_moves)
    make_waiting(tournament, 1)
    newest = tournament.entries.select_related("tournament", "division").order_by("-place")[0]
    figures["newcomer_ms"] = _median(_milliseconds(lambda: standings(tournament, [newest])) for _ in range(TRIES))
    for _ in range(MORE_TOURNAMENTS):
        make_tournament(seats=10)
    publisher.publish_moves()
    idle = _median(_milliseconds(publisher.publish_moves) for _ in range(TRIES))
    figures[f"idle_of_{MORE_TOURNAMENTS + 1}_ms"] = idle
    return figures


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return round((time.perf_counter() - began) * 1000, 2)


def _median(milliseconds: Iterable[float]) -> float:
    return round(statistics.median(milliseconds), 2)


def _until_heard(ask: Callable[..., Any]) -> Any:
    while (message := ask(timeout=5)) is None:
        pass
    return message
