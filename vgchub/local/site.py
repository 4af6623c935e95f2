"""The site's own processes: how each is started under the supervisor and when it counts as up."""

import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vgchub.local.child import Spec
from vgchub.local.fingerprint import HOUSE
from vgchub.local.ports import answers

SERVED = HOUSE / "vgchub" / "local" / "served.py"
QUEUES = "default,payments,mail,draws"


@dataclass(frozen=True)
class Site:
    """One site with its data and addresses.

    `environment` is what settings.py reads; `folder` takes what the processes keep for themselves.
    """

    port: int
    live_port: int
    folder: Path
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def processes(self) -> tuple[Spec, ...]:
        return (self.web(), self.live(), self.clock(), self.worker(), self.beat())

    def web(self) -> Spec:
        """Pages, on threads. Loaded before forking, so that a worker that died is back at once.

        It takes in as many connections as may come at once: one that is left to the kernel for a minute is reset.
        """
        argv = ("gunicorn", "vgchub.wsgi", "--worker-class=vgchub.page_worker.PageWorker", "--workers=2", "--preload")
        return self._served("web", *argv, "--threads=8", "--worker-connections=8000", port=self.port)

    def live(self) -> Spec:
        """Sockets. Loaded before it listens: until then those that come back are refused and try again, and fill no backlog."""
        argv = ("gunicorn", "vgchub.asgi:application", "--worker-class=vgchub.live_worker.LiveWorker", "--workers=1")
        return self._served("live", *argv, "--preload", "--backlog=4096", port=self.live_port)

    def clock(self) -> Spec:
        return self._python("clock", "manage.py", "clock")

    def worker(self) -> Spec:
        argv = ("-m", "celery", "--app=vgchub", "worker", "--concurrency=2", f"--queues={QUEUES}", "--loglevel=INFO")
        return self._python("worker", *argv)

    def beat(self) -> Spec:
        schedule = self.folder / "beat-schedule"
        return self._python("beat", "-m", "celery", "--app=vgchub", "beat", f"--schedule={schedule}", "--pidfile=")

    def step(self, *argv: str) -> tuple[list[str], dict[str, str]]:
        """The argv and environment of `manage.py ...`."""
        return [sys.executable, "manage.py", *argv], {**self.environment, "PROCESS": "command"}

    def _served(self, name: str, *argv: str, port: int) -> Spec:
        # A kept socket outlives the process, and what was accepted is answered before it ends: a restart loses no request.
        options = ("--bind=fd://{socket}", f"--config={SERVED}", "--graceful-timeout=30", "--no-control-socket")
        return self._python(name, "-m", *argv, *options, port=port)

    def _python(self, name: str, *argv: str, port: int | None = None) -> Spec:
        return Spec(
            name=name,
            argv=(sys.executable, *argv),
            ready=_at_once,
            environment={**self.environment, "PROCESS": name, "PYTHONUNBUFFERED": "1"},
            folder=HOUSE,
            stop_signal=signal.SIGTERM,
            port=port,
        )


def simulator(*, port: int, folder: Path) -> Spec:
    """The server that speaks Stripe's API here."""
    return Spec(
        name="simulator",
        argv=(sys.executable, "-m", "simulator", "--port", str(port), "--data", str(folder / "simulator.sqlite3")),
        ready=partial(answers, port),
        environment={"PYTHONUNBUFFERED": "1"},
        folder=HOUSE,
    )


def _at_once() -> bool:
    return True
