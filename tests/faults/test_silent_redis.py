"""A worker whose Redis vanished without a word takes jobs again, once there is one."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from reports.tasks import seal_history
from tests.wire import Wire
from vgchub.local.child import Child
from vgchub.local.site import Site
from vgchub.local.supervisor import Supervisor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

AGAIN_SECONDS = 11  # as docs/architecture.md has it: a reply is overdue after 6 s, which is looked for every 5 s
BUSY_SECONDS = 20  # what a crowded machine may add
SETTLED_SECONDS = 3


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Between the worker and Redis; the test itself goes another way."""
    with Wire(settings.REDIS_URL) as wire:
        yield wire


@pytest.fixture
def worker(wire: Wire, tmp_path: Path) -> Iterator[Child]:
    supervisor = Supervisor(tmp_path, say=print)
    environment = {"DJANGO_SETTINGS_MODULE": "vgchub.settings", "REDIS_URL": wire.url}
    try:
        supervisor.start(Site(port=0, live_port=0, folder=tmp_path, environment=environment).worker())
        yield supervisor.child("worker")
    finally:
        supervisor.stop()


def takes_a_job_within(worker: Child, seconds: float) -> bool:
    """Jobs are asked for again and again, as beat does, until one of them is done."""
    before, until = jobs_done(worker), time.monotonic() + seconds
    while time.monotonic() < until:
        seal_history.delay()
        time.sleep(0.5)
        if jobs_done(worker) > before:
            return True
    return False


def settle(worker: Child) -> None:
    """Until what the worker had taken already is done."""
    before = -1
    while jobs_done(worker) > before:
        before = jobs_done(worker)
        time.sleep(SETTLED_SECONDS)


def jobs_done(worker: Child) -> int:
    return worker.log.read_text().count("succeeded in")


def test_a_worker_notices_by_itself_and_takes_jobs_again(wire: Wire, worker: Child) -> None:
    assert takes_a_job_within(worker, 60)
    wire.cut()
    settle(worker)
    assert not takes_a_job_within(worker, 3)
    wire.mend()
    assert takes_a_job_within(worker, AGAIN_SECONDS + BUSY_SECONDS)
