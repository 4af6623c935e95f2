"""How long a draw takes from sealing to the published bundle, and how long its check."""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection

from bench.joins import Joins
from lottery import services
from lottery.models import Draw, DrawFile
from lottery.queries import file_of, parts_of
from lottery.services import running
from tests.builders import Mode, make_group, make_tournament
from tournaments.models import Tournament
from vgchub.local.fingerprint import HOUSE

SEATS = {"masters": 500, "senior": 200}
AT_ONCE = 50_000

# As if they had joined one by one; every tenth has points enough for the group.
ENTER = """
WITH account AS (
    INSERT INTO accounts_user (password, email, is_active, is_staff, is_superuser, joined_at, email_verified_at)
    SELECT '', 'bench-' || i || '@players.example', true, false, false, now(), now()
    FROM generate_series(%(first)s::int, %(last)s::int) i RETURNING id
), player AS (
    INSERT INTO accounts_player (account_id, display_name, player_id, player_id_state, birth_date, country,
                                 championship_points, seasons_played, created_at)
    SELECT id, 'Player ' || id, (1000000000000 + id)::text, 'CLAIMED', '2000-01-01', 'DE',
           CASE WHEN id %% 10 = 0 THEN 200 ELSE 0 END, 0, now()
    FROM account RETURNING id, championship_points
)
INSERT INTO registrations_queueentry (public_id, priority, number, state, joined_at, grant_reason, waiver_reason,
                                      address_hash, device_hash, division_id, group_id, player_id, tournament_id)
SELECT substr(md5(random()::text || id) || md5(random()::text), 1, 24), 0, nextval('registrations_arrival_number'), 'WAITING',
       now(), '', '', '', '', CASE WHEN id %% 5 = 0 THEN %(senior)s ELSE %(masters)s END,
       CASE WHEN championship_points > 0 THEN %(group)s::bigint END, id, %(tournament)s
FROM player
"""


def measure(entries: int, *, joins: bool) -> dict[str, Any]:
    """Seconds for each step, and the most memory that this process had, in MB."""
    say(f"{entries} players enter")
    draw = _draw_of(entries)
    figures: dict[str, Any] = {"entries": entries}
    with Joins() if joins else _nobody() as others:
        before = others and others.p95_ms(seconds=10)
        with _timed(figures, "total_s"):
            with _timed(figures, "seal_s"):
                services.seal_draw(draw_id=draw.pk)
            with _timed(figures, "draw_s"), _rank_timed(figures):
                services.run_draw(draw_id=draw.pk)
            with _timed(figures, "bundle_s"):
                services.write_bundle(draw_id=draw.pk)
        if others:
            figures |= {"other_joins_p95_ms_before": before, "other_joins_p95_ms_meanwhile": others.p95_ms()}
    figures["verify_s"] = _verify(draw)
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return figures


def say(text: str) -> None:
    print(text, file=sys.stderr)


def _draw_of(entries: int) -> Draw:
    tournament = make_tournament(
        mode=Mode.LOTTERY, seats=SEATS, opens_in=-timedelta(days=3), entropy=Tournament.Entropy.COMMIT_REVEAL
    )
    group = make_group(tournament, tickets=4, reserved={"masters": 50}, min_championship_points=100)
    ids = {division.code: division.pk for division in tournament.divisions.all()} | {
        "group": group.pk,
        "tournament": tournament.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for first in range(1, entries + 1, AT_ONCE):
            cursor.execute(ENTER, {**ids, "first": first, "last": min(entries, first + AT_ONCE - 1)})
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    draw = services.open_draw(tournament_id=tournament.pk)
    if draw is None:
        raise RuntimeError("no draw was opened")
    return draw


@contextmanager
def _timed(figures: dict[str, Any], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    figures[name] = round(time.perf_counter() - began, 2)
    say(f"{name}: {figures[name]}")


@contextmanager
def _rank_timed(figures: dict[str, Any]) -> Iterator[None]:
    """`rank_s` is the part of the draw that computes keys and ranks, without the places in the line."""
    rank: Callable[..., None] = running._rank  # noqa: SLF001  a step of the service, measured from outside

    def timed(*arguments: Any) -> None:
        with _timed(figures, "rank_s"):
            rank(*arguments)

    running._rank = timed  # noqa: SLF001
    try:
        yield
    finally:
        running._rank = rank  # noqa: SLF001


@contextmanager
def _nobody() -> Iterator[None]:
    yield None


def _verify(draw: Draw) -> float:
    """Seconds that the command takes which players download."""
    draw.refresh_from_db()
    file = file_of(draw, DrawFile.Name.BUNDLE)
    if file is None:
        raise RuntimeError("the bundle was not published")
    with tempfile.TemporaryDirectory(prefix="vgchub-bench-") as folder:
        bundle = Path(folder) / "bundle.json.gz"
        with bundle.open("wb") as target:
            target.writelines(parts_of(file))
        began = time.perf_counter()
        argv = [sys.executable, str(HOUSE / "static" / "verify_draw.py"), str(bundle), "--sha256", draw.manifest_sha256]
        subprocess.run(argv, check=True, stdout=sys.stderr)  # noqa: S603
        return round(time.perf_counter() - began, 2)
