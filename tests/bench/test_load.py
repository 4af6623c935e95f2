"""The generator of load sends when it is due, keeps connections open, and counts what went wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bench import load

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\n\r\nok"
HELLO = load.request("GET", "/")


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[load.Client]:
    """A client of a server that treats each connection as `serve` says."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        client = load.Client(server.sockets[0].getsockname()[1])
        yield client
        client.close()


def answering(*answers: bytes) -> Serve:
    """Each connection is given these answers, then it is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        await writer.drain()
        writer.close()

    return serve


async def asked(serve: Serve, times: int = 1) -> tuple[list[load.Answer], int]:
    async with serving(serve) as client:
        return [await client.ask(HELLO) for _ in range(times)], client.opened


@pytest.mark.parametrize(
    "sent",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
    ids=["with a length", "chunked"],
)
def test_an_answer_is_read_to_its_end(sent: bytes) -> None:
    (answer,), _opened = load.run(asked(answering(sent)))
    assert answer.status == 200
    assert b"ok" in answer.body
    assert answer.header("set-cookie") == ["a=1"]


def test_a_connection_is_used_again() -> None:
    answers, opened = load.run(asked(answering(*[OK] * 3), times=3))
    assert [answer.status for answer in answers] == [200] * 3
    assert opened == 1


def test_a_connection_that_the_server_closed_meanwhile_is_no_error() -> None:
    answers, opened = load.run(asked(answering(OK), times=3))
    assert [answer.status for answer in answers] == [200] * 3
    assert opened == 3


def test_a_connection_that_breaks_is_an_answer_without_status() -> None:
    (answer,), _opened = load.run(asked(answering()))
    assert answer.status == 0
    assert answer.body


def test_other_answers_than_the_one_that_is_meant_are_errors() -> None:
    async def fast() -> load.Load:
        async with serving(answering(*[OK] * 20)) as client:
            return await load.as_fast_as_it_goes(client, [HELLO] * 10, good=302, at_once=2)

    figures = load.run(fast()).figures()
    assert figures["errors"] == 10
    assert figures["error_kinds"] == {"200": 10}
    assert "p95_ms" not in figures


def test_at_a_rate_nobody_waits_for_the_answer_of_another() -> None:
    """A server that answers only once all have asked: whoever waited for an answer would wait for ever."""

    async def all_at_once() -> load.Load:
        asking = asyncio.Barrier(5)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await asking.wait()
            writer.write(OK)
            await writer.drain()
            writer.close()

        async with serving(serve) as client:
            return await load.at_rate(client, [HELLO] * 5, good=200, rate=1000)

    done = load.run(all_at_once())
    assert (done.good, done.sent) == (5, 5)


def test_what_is_done_at_a_rate_may_not_fail_in_silence() -> None:
    async def act(item: int, _due: float) -> None:
        if item == 1:
            raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        load.run(load.paced(act, [1, 2, 3], rate=1000))


def test_percentiles_of_a_hundred_times() -> None:
    assert load.percentiles([float(ms) for ms in range(101)]) == {
        "p50_ms": 50,
        "p95_ms": 95,
        "p99_ms": 99,
        "max_ms": 100,
    }
    assert load.percentiles([7.0]) == {"p50_ms": 7, "p95_ms": 7, "p99_ms": 7, "max_ms": 7}
    assert load.percentiles([]) == {}
