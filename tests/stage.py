"""The real site with all its processes, and a real browser, for the tests that ask for them.

Both belong to a run of tests that use them, not to the whole session: the site works on the worker's own database, and other
tests must not have a clock ticking in theirs; a browser's event loop is in the way of every other test.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from django.db import connections
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, sync_playwright

from vgchub.local.child import Child
from vgchub.local.chromium import chromium
from vgchub.local.fingerprint import HOUSE, of_static_files
from vgchub.local.site import Site, simulator
from vgchub.local.supervisor import Supervisor

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
T = TypeVar("T")
SIZES = {"phone": ViewportSize(width=390, height=844), "desktop": ViewportSize(width=1280, height=900)}


class Stripe:
    """The simulator, where settings.STRIPE_API_BASE says; started once per worker, forgetful between tests."""

    def __init__(self, folder: Path) -> None:
        self.url = os.environ["STRIPE_API_BASE"]
        self._supervisor = Supervisor(folder / "log", say=print)
        self._supervisor.start(simulator(port=urlsplit(self.url).port or 0, folder=folder))

    def stop(self) -> None:
        self._supervisor.stop()

    def control(self, what: str, **given: Any) -> dict[str, Any]:
        """Tell its control endpoint: `control("webhooks", held=True)`. Returns its state."""
        answer = requests.post(f"{self.url}/_control/{what}", json=given, timeout=10)
        answer.raise_for_status()
        state: dict[str, Any] = answer.json()
        return state

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """All its objects of a kind, such as "payment_intent", the newest first."""
        answer = requests.get(f"{self.url}/_control/state", params={"kind": kind}, timeout=10)
        found: list[dict[str, Any]] = answer.json()[kind]
        return found


class LiveSite:
    """web, live, clock, worker and beat, on this worker's database and Redis; its Stripe is the simulator.

    `url` is where a browser goes, `live_url` where sockets answer.
    """

    def __init__(self, folder: Path) -> None:
        self.url = os.environ["SITE_URL"]
        self.live_url = os.environ["LIVE_URL"]
        self._supervisor = Supervisor(folder / "log", say=print)
        try:
            self._supervisor.start(*_site(folder).processes())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._supervisor.stop()

    def process(self, name: str) -> Child:
        """One of web, live, clock, worker, beat; to look at its log, or to end it."""
        return self._supervisor.child(name)

    def tend(self) -> None:
        """Start again what died, as bin/run does all the time. Call it while waiting for that."""
        self._supervisor.tend()

    def call(self, function: Callable[..., T], **arguments: Any) -> T:
        """Call a service from beside the browser, whose event loop would be in its way."""

        def alone() -> T:
            try:
                return function(**arguments)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(alone).result()


@dataclass
class Console:
    """What the browser complained about; the test fails unless it is empty or was allowed."""

    messages: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        """Expect messages that `pattern` is found in, such as "409" for a refusal that the test provokes."""
        self.allowed.append(pattern)

    def listen(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.messages.append(f"{page.url}: {error}"))

    def unexpected(self) -> list[str]:
        return [text for text in self.messages if not any(re.search(one, text) for one in self.allowed)]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.messages.append(f"{message.location.get('url')}: {message.text}")


class Stage:
    """Starts the site and the browser when the first test asks, ends them when the next test does not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._site: LiveSite | None = None
        self._browser: Browser | None = None
        self._ends = ExitStack()

    def site(self) -> LiveSite:
        if self._site is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._site = LiveSite(self.folder)
            self._ends.callback(self._site.stop)
        return self._site

    def browser(self) -> Browser:
        if self._browser is None:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the browser's event loop runs in this thread
            self._ends.callback(os.environ.pop, "DJANGO_ALLOW_ASYNC_UNSAFE")
            path = chromium()
            playwright = self._ends.enter_context(sync_playwright())
            self._browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
            self._ends.callback(self._browser.close)
        return self._browser

    def clear(self) -> None:
        self._ends.close()
        self._site = self._browser = None


def _site(folder: Path) -> Site:
    """Everything else it inherits from this process's own environment."""
    ports = [urlsplit(os.environ[name]).port or 0 for name in ("SITE_URL", "LIVE_URL")]
    environment = {"DJANGO_SETTINGS_MODULE": "vgchub.settings", "STATIC_ROOT": str(_static_files())}
    return Site(port=ports[0], live_port=ports[1], folder=folder, environment=environment)


def _static_files() -> Path:
    """The collected files for the code as it stands; collected once and kept in .cache/."""
    root = HOUSE / ".cache" / f"static-{of_static_files()}"
    if not root.exists():
        partial = root.with_suffix(f".{os.getpid()}")
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "vgchub.settings", "STATIC_ROOT": str(partial)}
        argv = [str(HOUSE / ".venv" / "bin" / "python"), "manage.py", "collectstatic", "--noinput", "--verbosity=0"]
        subprocess.run(argv, cwd=HOUSE, env=environment, check=True, capture_output=True)
        try:
            partial.rename(root)
        except OSError:
            if not root.exists():
                raise
            shutil.rmtree(partial)  # another worker was faster
    return root
