"""Sealing and drawing, each killed in the middle and begun again: all is as if nothing had happened."""

import os
import subprocess
import sys

import pytest

from lottery import services
from lottery.drawing import rank
from lottery.models import Draw, DrawFile
from lottery.queries import ranking, sealed_entries
from registrations.models import QueueEntry
from tests.lottery.draws import opened, read, run, seal, sealed
from tests.processes import transactions_at_work, wait_for_the_database_to_notice
from tests.sealing import violations_once_sealed
from vgchub.local.fingerprint import HOUSE

# A process of its own that does the work, and stops for good right after one statement of it.
STOPS_AFTER = """
import sys, time
import django
django.setup()
from django.db import connection
from lottery import services
from lottery.services import running, sealing

work, draw_id = sys.argv[1], int(sys.argv[2])
last = {"seal_draw": sealing.SEAL, "run_draw": running.RANK}[work]

def stop(execute, sql, parameters, many, context):
    result = execute(sql, parameters, many, context)
    if last in sql:
        print("in the middle", flush=True)
        time.sleep(60)
    return result

with connection.execute_wrapper(stop):
    getattr(services, work)(draw_id=draw_id)
"""


def killed_in(work: str, draw: Draw) -> None:
    """Begin the work, kill it in the middle, and wait until the database has noticed."""
    child = subprocess.Popen(
        [sys.executable, "-c", STOPS_AFTER, work, str(draw.pk)],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "vgchub.settings"},
        cwd=HOUSE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "in the middle\n"
        assert transactions_at_work() == 1
    finally:
        child.kill()
        child.wait(10)
    wait_for_the_database_to_notice()


@pytest.mark.django_db(transaction=True)
def test_draw_that_is_killed_in_the_middle_of_the_ranking_comes_to_the_same() -> None:
    draw = sealed(entries=30)
    killed_in("run_draw", draw)
    assert set(draw.entries.values_list("key", "rank")) == {(None, None)}
    assert set(QueueEntry.objects.values_list("place", flat=True)) == {None}
    assert services.due_to_draw() == [draw.pk]
    run(draw)
    never_killed = rank(bytes.fromhex(draw.seed), list(sealed_entries(draw)))
    assert list(ranking(draw)) == never_killed
    line = QueueEntry.objects.in_line().values_list("public_id", flat=True)
    assert list(line) == [public_id for _key, public_id in never_killed]
    assert violations_once_sealed() == []


@pytest.mark.django_db(transaction=True)
def test_sealing_that_is_killed_in_the_middle_seals_the_same_entries() -> None:
    draw = opened(entries=30)
    killed_in("seal_draw", draw)
    assert not draw.entries.exists()
    assert services.due_to_seal() == [draw.pk]
    seal(draw)
    told = [entry["id"] for entry in read(draw, DrawFile.Name.MANIFEST)["entries"]]
    assert told == sorted(QueueEntry.objects.values_list("public_id", flat=True))
    assert violations_once_sealed() == []
