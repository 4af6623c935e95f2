"""Whom PostgreSQL runs as: it refuses root, so root hands it to somebody else, with files that this one can reach."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from vgchub.local.problems import LocalProblemError

ELSEWHERE = Path("/var/lib/vgchub")


@dataclass(frozen=True)
class Account:
    """A system account; `user` and `group` are None for the one that we are already."""

    user: int | None
    group: int | None

    def can_use(self, folder: Path) -> bool:
        """Whether this account can enter the existing `folder`."""
        if self.user is None:
            return os.access(folder, os.X_OK)
        probe = ("/bin/sh", "-c", 'cd "$0" 2>/dev/null', str(folder))
        done = subprocess.run(probe, user=self.user, group=self.group, extra_groups=[], cwd="/", check=False)  # noqa: S603
        return done.returncode == 0

    def take(self, folder: Path) -> None:
        """Make the new or own `folder` this account's, closed to all others."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.user is not None and self.group is not None:
            os.chown(folder, self.user, self.group)
        folder.chmod(0o700)


def server_account(data: Path) -> Account:
    """The account for the servers that keep files in `data`, which may not exist yet."""
    if os.geteuid() != 0:
        _refuse_files_of_others(data)
        return Account(None, None)
    known = _owner_below_root(data) or int(os.environ.get("SUDO_UID", "0")) or _nobody()
    return Account(known, pwd.getpwuid(known).pw_gid)


def reachable(folder: Path, account: Account) -> Path:
    """`folder` itself if `account` can enter it, else a place of the same purpose that it can (root only)."""
    folder.mkdir(parents=True, exist_ok=True)
    if account.user is None or account.can_use(folder):
        return folder
    name = sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    elsewhere = ELSEWHERE / name
    elsewhere.mkdir(parents=True, exist_ok=True)
    for part in (elsewhere, ELSEWHERE):
        part.chmod(0o711)
    return elsewhere


def _owner_below_root(folder: Path) -> int | None:
    return (folder.stat().st_uid or None) if folder.exists() else None


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise LocalProblemError(
            "PostgreSQL refuses to run as root and there is no user 'nobody': run this as an ordinary user."
        ) from None


def _refuse_files_of_others(folder: Path) -> None:
    if folder.exists() and folder.stat().st_uid != os.geteuid():
        owner = folder.stat().st_uid
        raise LocalProblemError(
            f"{folder} belongs to another user (id {owner}), because this was started as root or as that user before:"
            f" start it so again, or remove the folder with `sudo rm -r {folder}`."
        )
