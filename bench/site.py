"""What is measured: embedded servers, and those of the site's own processes that a benchmark starts, as production has them."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.report import say
from vgchub.local.child import Child, Spec
from vgchub.local.embedded import Embedded, embedded_servers
from vgchub.local.fingerprint import HOUSE
from vgchub.local.ports import free_port
from vgchub.local.site import Site, simulator
from vgchub.local.supervisor import Supervisor
from vgchub.open_files import raise_limit_of_open_files

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class BenchSite:
    """Running servers and an empty, migrated database, which this process's own Django sees; `start` adds the processes."""

    servers: Embedded
    site: Site
    folder: Path
    _static: bool = field(default=False, init=False)
    _cpu: dict[tuple[str, int], float] = field(
        default_factory=dict, init=False
    )  # seconds by name and pid, as last seen

    @property
    def supervisor(self) -> Supervisor:
        return self.servers.supervisor

    @property
    def port(self) -> int:
        return self.site.port

    def start(self, *names: str) -> None:
        """Start some of web, live, clock, worker, beat, in one group, and wait until they answer."""
        if "web" in names and not self._static:
            self.manage("collectstatic", "--noinput", "--verbosity=0")
            self._static = True
        self.start_specs(*(getattr(self.site, name)() for name in names))

    def start_specs(self, *specs: Spec) -> None:
        self.supervisor.start(*specs)

    def start_stripe(self) -> None:
        """The simulator, before the processes that ask it."""
        port = int(self.site.environment["STRIPE_API_BASE"].rsplit(":", 1)[1])
        self.start_specs(simulator(port=port, folder=self.folder))

    def stop_last(self) -> None:
        """Stop the group that was started last."""
        self.supervisor.stop_last()

    def child(self, name: str) -> Child:
        """One of the running processes, postgres and valkey among them."""
        return self.supervisor.child(name)

    def manage(self, *argv: str) -> None:
        """Run `manage.py ...` in a process of its own."""
        command, environment = self.site.step(*argv)
        subprocess.run(command, env={**os.environ, **environment}, cwd=HOUSE, check=True, stdout=sys.stderr)  # noqa: S603

    def resident_megabytes(self, name: str) -> float:
        """What a process and all that it started hold in memory; pages that they share count for each. Linux only."""
        pids = _tree(self.child(name).pid, _children())
        return sum(_resident_pages(pid) for pid in pids) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def cpu_seconds(self) -> dict[str, float]:
        """By process, the CPU that it and all that it ever started have used so far, in seconds; Linux only, else empty.

        Those that ended, and that this name had before, count with what they had used when this was last asked.
        """
        if not Path("/proc/self/stat").exists():
            return {}
        children = _children()
        for child in (child for group in self.supervisor.groups for child in group):
            key = child.spec.name, child.pid
            seconds = sum(_ticks(pid) for pid in _tree(child.pid, children)) / TICKS
            self._cpu[key] = max(self._cpu.get(key, 0.0), seconds)  # less once it has ended
        used: dict[str, float] = {}
        for (name, _pid), seconds in self._cpu.items():
            used[name] = used.get(name, 0.0) + seconds
        return used

    @contextmanager
    def cpu_counted(self, used: dict[str, float]) -> Iterator[None]:
        """Add to `used` the CPU seconds that each process uses meanwhile."""
        before = self.cpu_seconds()
        yield
        for name, seconds in self.cpu_seconds().items():
            used[name] = used.get(name, 0.0) + seconds - before.get(name, 0.0)

    def environment_of(self, process: str) -> dict[str, str]:
        """The environment of one of the site's processes."""
        return {**os.environ, **self.site.environment, "PROCESS": process}

    def settle(self) -> None:
        """Plan by true figures, and have what was prepared behind us: not in the measurement's own writes."""
        from django.db import connection  # noqa: PLC0415  Django is set up by now

        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")

    def violations(self) -> list[str]:
        """Every exception to what must be true, once the history is sealed (as beat has it done every 10 s)."""
        from django.db import connection  # noqa: PLC0415

        from reports.invariants import violations  # noqa: PLC0415
        from reports.services import seal_history  # noqa: PLC0415

        connection.close()  # PostgreSQL may have been restarted meanwhile
        say("Asking whether everything is as it must be")
        for _block in range(2):  # the first only notes how far it could see
            seal_history()
        return violations()


@contextmanager
def bench_site() -> Iterator[BenchSite]:
    """PostgreSQL and Valkey as bin/run starts them, durable, with the site's tables; Django is set up in this process too."""
    raise_limit_of_open_files()
    with tempfile.TemporaryDirectory(prefix="vgchub-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL may run as another user
        with embedded_servers(folder, say=say) as servers:
            servers.postgres.make_database("vgchub")
            site = Site(port=free_port(), live_port=free_port(), folder=folder, environment={})
            site.environment.update(_production(servers, site))
            os.environ.update({**site.environment, "PROCESS": "command"})
            say("Making the tables")
            BenchSite(servers, site, folder).manage("migrate", "--verbosity=0")
            import django  # noqa: PLC0415  it needs the servers' addresses

            django.setup()
            yield BenchSite(servers, site, folder)


def _production(servers: Embedded, site: Site) -> dict[str, str]:
    """What settings.py reads, as production has it, but for TLS and the world outside, of which there is none here."""
    return {
        "DJANGO_SETTINGS_MODULE": "vgchub.settings",
        "DATABASE_URL": servers.postgres.url("vgchub"),
        "REDIS_URL": servers.valkey.url(0),
        "SECRET_KEY": secrets.token_hex(32),
        "DEBUG": "0",
        "LOCAL_MODE": "0",
        "SITE_URL": site.url,
        "LIVE_URL": f"ws://127.0.0.1:{site.live_port}",
        "TRUSTED_PROXIES": "1",  # so that players come from an address each
        "STATIC_ROOT": str(site.folder / "static"),
        "EMAIL_URL": "dummymail://",
        "DRAW_ENTROPY": "COMMIT_REVEAL",
        "STRIPE_SECRET_KEY": "sk_test_" + secrets.token_hex(24),
        "STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}",
        "STRIPE_WEBHOOK_SECRET": "whsec_" + secrets.token_hex(24),
        "LOG_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
    }


def _children() -> dict[int, list[int]]:
    """All processes of the machine by the one that started them."""
    found: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            found.setdefault(int(fields[1]), []).append(int(folder.name))
    return found


def _tree(pid: int, children: dict[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _tree(child, children)


def _ticks(pid: int) -> int:
    """Clock ticks of the process, and of its children that have ended."""
    return sum(map(int, _stat(pid)[11:15]))


def _stat(pid: int) -> Sequence[str]:
    """The fields of /proc/PID/stat after the name; none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ()


def _resident_pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
