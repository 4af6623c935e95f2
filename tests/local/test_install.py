"""Making .venv: what is in the way is one sentence."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vgchub.local.fingerprint import HOUSE

SH = shutil.which("sh") or "/bin/sh"


def house_with(tmp_path: Path, **programs: str) -> Path:
    """A copy of what makes .venv, with a `bin` of these programs (shell scripts) as the only PATH."""
    local = tmp_path / "vgchub" / "local"
    local.mkdir(parents=True)
    for name in ("venv.sh", "install.py"):
        shutil.copy(HOUSE / "vgchub" / "local" / name, local)
    (tmp_path / "requirements.txt").write_text("django==5.2.19\n")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in programs.items():
        program = folder / name
        program.write_text(f"#!{SH}\n{script}\n")
        program.chmod(0o755)
    return tmp_path


def make_venv(house: Path) -> subprocess.CompletedProcess[str]:
    argv = [SH, "vgchub/local/venv.sh", "requirements.txt"]
    environment = {"PATH": str(house / "bin")}
    return subprocess.run(argv, cwd=house, env=environment, capture_output=True, text=True, check=False)


PYTHON = f'exec {sys.executable} "$@"'
MAKES_VENV = f'venv) exec {sys.executable} -m venv --without-pip "$5";;'


def test_old_python_is_a_sentence(tmp_path: Path) -> None:
    done = make_venv(house_with(tmp_path, python3="exit 1"))
    assert done.returncode == 1
    assert done.stderr.startswith("VGC Hub needs Python 3.11 or newer: install it")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("ensurepip is not available", "Python's venv module is missing: `sudo apt install python"),
        ("No module named venv", "Python's venv module is missing: `sudo apt install python"),
        ("No space left on device", "is full: free 1 GB and start again."),
        ("something else", "Python could not make .venv: something else"),
    ],
)
def test_venv_that_can_not_be_made_is_a_sentence(tmp_path: Path, said: str, sentence: str) -> None:
    uv = f'case "$1" in venv) echo "{said}"; exit 1;; esac'
    done = make_venv(house_with(tmp_path, python3=PYTHON, uv=uv))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_packages_that_can_not_be_had_are_a_sentence(tmp_path: Path) -> None:
    uv = f'case "$1" in {MAKES_VENV} pip) echo "no such host"; exit 1;; esac'
    done = make_venv(house_with(tmp_path, python3=PYTHON, uv=uv))
    assert done.returncode == 1
    assert "The packages of requirements.txt could not be installed: no such host" in done.stderr


def test_nothing_is_done_when_nothing_changed(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    house = house_with(tmp_path, python3=PYTHON, uv=f'echo "$1" >> {calls}; case "$1" in {MAKES_VENV} esac')
    assert [make_venv(house).returncode for _ in range(2)] == [0, 0]
    assert calls.read_text().split() == ["--version", "venv", "pip"]

    (house / "requirements.txt").write_text("django==5.2.20\n")
    assert make_venv(house).returncode == 0
    assert calls.read_text().split()[3:] == ["--version", "pip"]


@pytest.mark.parametrize("command", ["run", "test", "check"])
def test_commands_are_programs_that_find_their_way_from_anywhere(command: str) -> None:
    path = HOUSE / "bin" / command
    assert os.access(path, os.X_OK)
    assert 'cd "$(dirname "$0")/.."' in path.read_text()
