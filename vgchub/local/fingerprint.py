"""Short names for the state of files, so that a step whose input didn't change can be left out."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent.parent


def of_migrations() -> str:
    """All migrations: ours, and those of others by their pinned versions."""
    return _of((_REQUIREMENTS, _SETTINGS, *HOUSE.glob("*/migrations/*.py"), *HOUSE.glob("vgchub/*_migrations/*.py")))


def of_static_files() -> str:
    """Everything that collectstatic collects."""
    return _of((_REQUIREMENTS, _SETTINGS, *(path for path in HOUSE.glob("static/**/*") if path.is_file())))


_REQUIREMENTS = HOUSE / "requirements.txt"
_SETTINGS = HOUSE / "vgchub" / "settings.py"


def _of(files: Iterable[Path]) -> str:
    digest = sha256()
    for file in sorted(files):
        digest.update(file.relative_to(HOUSE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
