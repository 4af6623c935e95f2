"""`.local/`: what one installation keeps between starts. One running `bin/run` at a time owns it."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vgchub.local.ports import free_port, is_free
from vgchub.local.problems import LocalProblemError


class LocalFolder:
    """Ports, secrets and stamps, in `state.json`, which only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log"
        self._file = path / "state.json"
        self._values: dict[str, dict[str, str]] = {}

    @contextmanager
    def locked(self, *, fresh: bool = False) -> Iterator[None]:
        """Hold the folder alone, emptied if it is to be `fresh`.

        Raises:
            LocalProblemError: another process holds it, or what it holds can't be read.
        """
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self._taken() from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            if fresh:
                self.throw_away()
            self._load()
            yield

    def owner(self) -> int:
        """The process that holds the folder. Raises LocalProblemError if none does."""
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                return int(lock.read())
        raise LocalProblemError("VGC Hub is not running from this folder: start it with `bin/run`.")

    def throw_away(self) -> None:
        """Forget everything, also what lies elsewhere behind a link."""
        for entry in self.path.iterdir():
            if entry.name == "lock":
                continue
            target = entry.resolve()
            if entry.is_symlink() or entry.is_file():
                entry.unlink()
            if target.is_dir():
                shutil.rmtree(target)
        self._values = {}

    def port(self, name: str) -> int:
        """The port that `name` had last time, if it is still free; else a new one, kept from now on."""
        known = self._values.get("ports", {}).get(name)
        if known is None or not is_free(int(known)):
            known = str(free_port())
            self._keep("ports", name, known)
        return int(known)

    def secret(self, name: str, *, prefix: str = "") -> str:
        """A password or key that was made up at the first start."""
        known = self._values.get("secrets", {}).get(name)
        if known is None:
            known = prefix + secrets.token_hex(24)
            self._keep("secrets", name, known)
        return known

    def is_stamped(self, step: str, state: str) -> bool:
        """Whether `step` was last done for this `state` of what it depends on."""
        return self._values.get("stamps", {}).get(step) == state

    def stamp(self, step: str, state: str) -> None:
        self._keep("stamps", step, state)

    def write_environment(self, environment: dict[str, str]) -> None:
        """Keep the site's environment for a person at a shell: `set -a; . .local/environment`."""
        lines = [f"{name}='{value}'\n" for name, value in sorted(environment.items())]
        _write_private(self.path / "environment", "".join(lines))

    def _open_lock(self) -> IO[str]:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return (self.path / "lock").open("a+")
        except PermissionError as error:
            raise LocalProblemError(
                f"{self.path} belongs to another user, as whom this was started before:"
                f" start it so again, or remove the folder with `sudo rm -r {self.path}`."
            ) from error

    def _load(self) -> None:
        if not self._file.exists():
            return
        try:
            read = json.loads(self._file.read_text())
            self._values = {section: dict(values) for section, values in read.items()}
        except (ValueError, AttributeError, TypeError, OSError) as error:
            raise LocalProblemError(
                f"{self._file} can't be read ({error}): `bin/run --fresh` throws all local data away and starts anew."
            ) from error

    def _keep(self, section: str, name: str, value: str) -> None:
        self._values.setdefault(section, {})[name] = value
        _write_private(self._file, json.dumps(self._values, indent=1))

    def _taken(self) -> LocalProblemError:
        owner = (self.path / "lock").read_text().strip() or "unknown"
        return LocalProblemError(
            f"VGC Hub is running from this folder already (process {owner}): stop it there with Ctrl-C, or use it."
        )


def _write_private(path: Path, text: str) -> None:
    """Replace `path` in one step, so that a crash leaves the old or the new file, readable by its owner alone."""
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)
