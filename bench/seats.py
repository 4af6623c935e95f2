"""How many seats a second can be offered, and confirmed: by the services from several processes, and by clock and web."""

import json
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

from bench import load
from bench.report import say
from bench.site import BenchSite

PACE = 1_000_000  # offers a minute, so that the pace is not what is measured
PATIENCE = 300.0
CSRF = "b" * 32


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """Seats a second: `by_services` batch after batch, or click after click, in each process; `by_clock`, `by_web` on the site.

    `postgres_ms` is the database's CPU for one seat, offered by one process, and confirmed by the services.
    """
    seats: int = options.seats
    figures: dict[str, Any] = {"seats": seats, "processes": options.processes}
    offering, confirming = dict[str, float](), dict[str, float]()
    tournament = _line(site, seats)
    with site.cpu_counted(offering):
        of_1 = _offered(tournament, 1)
    of_more = _offered(tournament := _line(site, seats), options.processes)
    figures["offers_by_services"] = {"of_1": of_1, f"of_{options.processes}": of_more}
    with site.cpu_counted(confirming):
        figures["confirmations_by_services"] = _confirmed(tournament, options.processes)
    figures["postgres_ms"] = {
        name: load.milliseconds_each(cpu, seats).get("postgres", 0.0)
        for name, cpu in (("offered", offering), ("confirmed", confirming))
    }
    tournament = _line(site, seats)
    site.start("web", "clock")
    figures["offers_by_clock"] = _offered_by_clock(tournament, seats)
    figures["confirmations_by_web"] = _confirmed_by_web(site, tournament)
    return figures


def _line(site: BenchSite, seats: int) -> int:
    """The id of a free tournament with so many seats, half as many more players in line, and no pace."""
    from bench.people import make_waiting  # noqa: PLC0415  Django is set up by now, here and in the others
    from tests.builders import make_tournament  # noqa: PLC0415

    say(f"{seats * 3 // 2} players wait for {seats} seats")
    tournament = make_tournament(seats=seats, offers_per_minute=PACE, offer_batch=50)
    make_waiting(tournament, seats * 3 // 2)
    site.settle()
    return tournament.pk


def _offered(tournament: int, processes: int) -> float:
    return _by_hands("offer", [[tournament]] * processes)


def _confirmed(tournament: int, processes: int) -> float:
    from registrations.models import QueueEntry  # noqa: PLC0415

    offered = list(
        QueueEntry.objects.filter(tournament=tournament, state="OFFERED").values_list("public_id", flat=True)
    )
    return _by_hands("confirm", [offered[n::processes] for n in range(processes)])


def _by_hands(act: str, work: Sequence[Sequence[object]]) -> float:
    """Done a second, by one process for each list of work; they begin together."""
    argv = [sys.executable, "-m", "bench.seats", act]
    hands = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
        for _ in work
    ]
    for hand, given in zip(hands, work, strict=True):
        _tell(hand, given)
        _hear(hand)  # it is ready
    began = time.perf_counter()
    for hand in hands:
        _tell(hand, "begin")
    done = sum(_hear(hand) for hand in hands)
    rate = done / (time.perf_counter() - began)
    for hand in hands:
        hand.communicate()
    say(f"{act}: {rate:.0f} a second by {len(work)}")
    return round(rate, 1)


def _tell(hand: subprocess.Popen[str], what: object) -> None:
    assert hand.stdin is not None  # noqa: S101  a pipe was asked for
    print(json.dumps(what), file=hand.stdin, flush=True)


def _hear(hand: subprocess.Popen[str]) -> int:
    assert hand.stdout is not None  # noqa: S101
    said: int = json.loads(hand.stdout.readline())
    return said


def _offered_by_clock(tournament: int, seats: int) -> float:
    """From the first offer that is seen to the last."""
    from registrations.models import QueueEntry  # noqa: PLC0415

    offered = QueueEntry.objects.filter(tournament=tournament, state="OFFERED")
    _wait_for(offered.exists)
    began, first = time.perf_counter(), offered.count()
    _wait_for(lambda: offered.count() == seats)
    rate = (seats - first) / (time.perf_counter() - began)
    say(f"The clock offers {rate:.0f} seats a second")
    return round(rate, 1)


def _wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.05)


def _confirmed_by_web(site: BenchSite, tournament: int) -> dict[str, Any]:
    from bench.people import Person, sessions  # noqa: PLC0415
    from registrations.models import QueueEntry  # noqa: PLC0415

    entries = QueueEntry.objects.filter(tournament=tournament, state="OFFERED").select_related("player__account")
    people = [Person(e.player.account_id, e.player_id, e.player.account.email, "10.0.0.1") for e in entries]
    clicks = [
        load.request(
            "POST",
            f"/e/{entry.public_id}/take-up/",
            cookie=f"sessionid={session}; csrftoken={CSRF}",
            x_csrftoken=CSRF,
            origin=site.site.url,
            content_type="application/x-www-form-urlencoded",
        )
        for entry, session in zip(entries, sessions(people), strict=True)
    ]
    return load.run(load.as_fast_as_it_goes(load.Client(site.port), clicks, good=302)).figures()


def main() -> None:
    """One of several processes: reads its work, says that it is ready, waits for the word, says how many it did."""
    import django  # noqa: PLC0415

    django.setup()
    from django.db import connection  # noqa: PLC0415

    connection.ensure_connection()
    act = {"offer": _offer, "confirm": _confirm}[sys.argv[1]]
    work = json.loads(sys.stdin.readline())
    print(json.dumps(0), flush=True)
    sys.stdin.readline()
    print(json.dumps(act(work)), flush=True)


def _offer(work: list[int]) -> int:
    """Batch after batch until no seat is free; how many offers this process made."""
    from registrations.services import offer_seats  # noqa: PLC0415
    from tournaments.models import Seat  # noqa: PLC0415

    (tournament,) = work
    offers = 0
    while True:
        made = offer_seats(tournament_id=tournament)
        offers += made
        if not made and not Seat.objects.free().filter(division__tournament=tournament).exists():
            return offers


def _confirm(work: list[str]) -> int:
    from registrations.models import QueueEntry  # noqa: PLC0415
    from registrations.services import take_up_offer  # noqa: PLC0415

    entries = QueueEntry.objects.select_related("player__account").in_bulk(work, field_name="public_id")
    for public_id, entry in entries.items():
        take_up_offer(account=entry.player.account, public_id=public_id)
    return len(work)


if __name__ == "__main__":
    main()
