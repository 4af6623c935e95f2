"""Finds a Chromium to test with, or gets one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from vgchub.local.problems import LocalProblemError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ON_MACOS = (
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
)


def chromium() -> str:
    """Path of a Chromium; installed now if there is none. Raises LocalProblemError if there can't be one."""
    found = _found() or _from_apt() or _from_playwright()
    if found is None:
        raise LocalProblemError(
            "The tests need a browser: install Chromium (Debian: sudo apt install chromium), or name one in CHROMIUM."
        )
    return found


def _found() -> str | None:
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    on_path = next((path for path in map(shutil.which, NAMES) if path), None)
    on_macos = next((str(path) for path in ON_MACOS if path.exists()), None)
    return on_path or on_macos or _of_playwright()


def _from_apt() -> str | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    print("Installing Chromium with apt-get; this happens once.", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    packages = ("chromium", "fonts-liberation")
    for argv in (("update", "-qq"), ("install", "-qq", "-y", "--no-install-recommends", *packages)):
        done = subprocess.run(  # noqa: S603
            ["apt-get", *argv],  # noqa: S607
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stderr.strip()[-500:], file=sys.stderr)
    return shutil.which("chromium")


def _from_playwright() -> str | None:
    print("Downloading Playwright's own Chromium; this happens once.", flush=True)
    argv = [sys.executable, "-m", "playwright", "install", "chromium"]
    subprocess.run(argv, capture_output=True, check=False)  # noqa: S603
    return _of_playwright()


def _of_playwright() -> str | None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  only the tests' .venv has it

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None
