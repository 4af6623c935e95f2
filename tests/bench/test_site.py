"""What a process used counts on when another one has taken its place."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bench.site import BenchSite

BUSY = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"


def busy() -> subprocess.Popen[str]:
    """A process that has used 0.3 s of CPU and waits."""
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_cpu_of_a_process_that_was_replaced_is_kept() -> None:
    group: list[Any] = []
    site = BenchSite(SimpleNamespace(supervisor=SimpleNamespace(groups=[group])), Any, Any)  # type: ignore[arg-type]
    used: dict[str, float] = {}
    for _process in range(2):
        with busy() as process:
            group[:] = [SimpleNamespace(spec=SimpleNamespace(name="web"), pid=process.pid)]
            assert site.cpu_seconds()["web"] >= used.get("web", 0.0) + 0.25
            used = site.cpu_seconds()
            process.kill()
        assert site.cpu_seconds() == used
