"""`.local/` keeps ports and secrets, belongs to one start at a time, and says in a sentence what is wrong with it."""

import os
import socket
import stat
from pathlib import Path

import pytest

from vgchub.local.folder import LocalFolder
from vgchub.local.problems import LocalProblemError


def test_ports_and_secrets_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    def values() -> tuple[int, int, str]:
        folder = LocalFolder(tmp_path)
        with folder.locked():
            return folder.port("live"), folder.port("postgres"), folder.secret("key", prefix="sk_test_")

    first = values()
    assert values() == first
    assert first[0] != first[1]
    assert first[2].startswith("sk_test_")


def test_port_that_somebody_took_meanwhile_is_replaced(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    with folder.locked(), socket.socket() as somebody:
        port = folder.port("live")
        somebody.bind(("127.0.0.1", port))
        somebody.listen()
        other = folder.port("live")
        assert other != port
    assert folder.port("live") == other


def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    with folder.locked():
        folder.secret("key")
        folder.write_environment({"SECRET_KEY": "x"})
    for name in ("state.json", "environment"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_second_start_is_told_who_runs_here(tmp_path: Path) -> None:
    with (
        LocalFolder(tmp_path).locked(),
        pytest.raises(LocalProblemError, match=r"running from this folder already \(process \d+\)"),
        LocalFolder(tmp_path).locked(),
    ):
        pytest.fail("two at once")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ports": 3}', "\0\0\0"])
def test_damaged_state_is_a_sentence_and_fresh_heals_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    folder = LocalFolder(tmp_path)
    with pytest.raises(LocalProblemError, match="bin/run --fresh"), folder.locked():
        pytest.fail("read what can't be read")
    with folder.locked(fresh=True):
        assert folder.secret("key")


def test_throwing_away_follows_links_and_keeps_the_lock(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "base").mkdir(parents=True)
    folder = LocalFolder(tmp_path / "local")
    with folder.locked():
        (folder.path / "postgres").symlink_to(elsewhere)
        folder.stamp("migrate", "1")
        folder.throw_away()
        assert [entry.name for entry in folder.path.iterdir()] == ["lock"]
        assert not folder.is_stamped("migrate", "1")
    assert not elsewhere.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_of_somebody_else_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LocalProblemError, match="belongs to another user"), LocalFolder(tmp_path / "local").locked():
        pytest.fail("wrote what is not ours")
