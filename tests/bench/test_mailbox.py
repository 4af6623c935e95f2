"""The crowd's mailbox reads each mail once, also one that is committed after a later one, and does not die unseen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from django.conf import settings
from post_office.models import Email

from bench import signin
from bench.signin import Mailbox

pytestmark = pytest.mark.django_db(transaction=True)
INSERT = """
INSERT INTO post_office_email (id, from_email, "to", cc, bcc, subject, message, html_message, backend_alias, created,
                               last_updated)
OVERRIDING SYSTEM VALUE VALUES (%s, '', %s, '', '', '', %s, '', '', now(), now())
"""


@asynccontextmanager
async def opened(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Mailbox, "psycopg.AsyncConnection[Any]"]]:
    database = settings.DATABASES["default"]
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setattr(signin, "POLL", 0.01)
    monkeypatch.setattr(signin, "PATIENCE", 20.0)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as sender, Mailbox() as mailbox:
        yield mailbox, sender


async def send(sender: "psycopg.AsyncConnection[Any]", number: int, email: str) -> None:
    await sender.execute(INSERT, [number, email, f"Your code:\n\n    C{number}\n"])


def test_codes_come_in_the_order_of_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def codes() -> list[str]:
        async with opened(monkeypatch) as (mailbox, sender):
            await send(sender, 5, "ada@players.example")
            first = await mailbox.code("ada@players.example")
            await send(sender, 3, "bob@players.example")
            second = await mailbox.code("bob@players.example")
            await send(sender, 6, "cleo@players.example")
            return [first, second, await mailbox.code("cleo@players.example")]

    assert asyncio.run(codes()) == ["C5", "C3", "C6"]
    assert Email.objects.count() == 3


def test_a_mailbox_that_can_not_read_any_more_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ended() -> None:
        async with opened(monkeypatch) as (mailbox, sender):
            waiting = asyncio.create_task(mailbox.code("ada@players.example"))
            reader = mailbox._connection.info.backend_pid
            await sender.execute("SELECT pg_terminate_backend(%s)", [reader])
            await waiting

    with pytest.raises(psycopg.OperationalError):
        asyncio.run(asyncio.wait_for(ended(), 15))
