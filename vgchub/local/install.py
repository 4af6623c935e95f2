"""Makes .venv and installs a requirements file into it, once per state of that file. Run as a script, by any Python 3.11.

Standard library only, and nothing of the project: this is what runs before there is anything.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import IO

HOUSE = Path(__file__).resolve().parent.parent.parent
VENV = HOUSE / ".venv"
PYTHON = VENV / "bin" / "python"


def main(requirements: Path) -> None:
    state = sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = VENV / f".installed-{requirements.name}"
    if _is_installed(stamp, state):
        return
    with _alone():
        if _is_installed(stamp, state):  # by whoever we waited for
            return
        uv = _uv()
        if not _works(PYTHON):
            _make_venv(uv)
        _install(uv, requirements)
        stamp.write_text(state)


def _is_installed(stamp: Path, state: str) -> bool:
    return stamp.exists() and stamp.read_text() == state and PYTHON.exists()


def _alone() -> IO[str]:
    """A lock on the installation, held until it is closed."""
    folder = HOUSE / ".cache"
    folder.mkdir(exist_ok=True)
    lock = (folder / "install.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _uv() -> str | None:
    found = shutil.which("uv")
    return found if found and _run(found, "--version").returncode == 0 else None


def _works(python: Path) -> bool:
    try:
        return _run(str(python), "-c", "").returncode == 0
    except OSError:
        return False


def _make_venv(uv: str | None) -> None:
    if VENV.is_symlink():
        VENV.unlink()
    shutil.rmtree(VENV, ignore_errors=True)
    if uv:
        done = _run(uv, "venv", "--quiet", "--python", sys.executable, str(VENV))
    else:
        done = _run(sys.executable, "-m", "venv", str(VENV))
    if done.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        _fail(done, otherwise="Python could not make .venv")


def _install(uv: str | None, requirements: Path) -> None:
    count = sum(1 for line in requirements.read_text().splitlines() if "==" in line.split("#")[0])
    with_what = "uv" if uv else "pip, which takes about a minute"
    print(f"Installing up to {count} packages into .venv with {with_what}; this happens once.", flush=True)
    if uv:
        done = _run(
            uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(PYTHON), "-r", str(requirements)
        )
    else:
        done = _run(
            *(str(PYTHON), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"),
            *("-r", str(requirements)),
        )
    if done.returncode:
        _fail(done, otherwise=f"The packages of {requirements.name} could not be installed")


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=HOUSE)  # noqa: S603


def _fail(done: subprocess.CompletedProcess[str], *, otherwise: str) -> None:
    """End with the one sentence that fits what the failed command said."""
    said = done.stdout + done.stderr
    if "No space left" in said or shutil.disk_usage(HOUSE).free < 100_000_000:
        sys.exit(f"The disk of {HOUSE} is full: free 1 GB and start again.")
    if "ensurepip" in said or "No module named venv" in said:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(
            f"Python's venv module is missing: `sudo apt install python{version}-venv` (or install uv), then start again."
        )
    last = " ".join(said.strip().splitlines()[-3:]) or f"exit code {done.returncode}"
    sys.exit(
        f"{otherwise}: {last}\nIf the network was away, start again; if it stays so, remove .venv and start again."
    )


if __name__ == "__main__":
    os.chdir(HOUSE)
    main(HOUSE / sys.argv[1])
