"""Servers of one's own in place of the embedded ones: a wrong address gets a sentence, not a traceback."""

import os

import pytest

from vgchub.local.outside import refuse_silent
from vgchub.local.ports import free_port
from vgchub.local.problems import LocalProblemError


@pytest.mark.parametrize(("name", "scheme"), [("DATABASE_URL", "postgres"), ("REDIS_URL", "redis")])
def test_a_server_that_does_not_answer_is_named_with_what_to_do(name: str, scheme: str) -> None:
    with pytest.raises(LocalProblemError) as problem:
        refuse_silent({name: f"{scheme}://127.0.0.1:{free_port()}/0"})
    assert str(problem.value).startswith(f"{name} names a server that does not answer")
    assert f"unset {name}" in str(problem.value)
    assert "\n" not in str(problem.value)


def test_servers_that_answer_are_taken(django_db_setup: None) -> None:
    refuse_silent({name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")})


def test_without_any_there_is_nothing_to_ask() -> None:
    refuse_silent({})
