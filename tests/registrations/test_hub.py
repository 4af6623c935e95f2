"""What a live process does with its sockets: one text for all, greetings from memory, everybody greeted anew after a break."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from django_redis import get_redis_connection
from pytest_django import Settings
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from registrations.hub import RECONNECT_SECONDS, SILENT_SECONDS, Hub, Socket
from registrations.passes import Pass
from registrations.publisher import LineStore, line_key, moved_text
from tests.shared_redis import break_subscriptions, commands_asked
from tests.wire import Wire
from vgchub import live, open_files
from vgchub.live_worker import DEFLATE, MOST_UNREAD, Encoded, LiveWorker, SocketProtocol, encoded, takes_compressed

HEAD = json.dumps({"phase": "OPEN", "divisions": {}})


class Client:
    """One socket and what was written to it."""

    def __init__(self, tournament: int, account: int | None = None, blocks: tuple[str, ...] = ()) -> None:
        self.frames: list[Encoded] = []
        self.socket = Socket(Pass(tournament, account, blocks), self.frames.append)

    def texts(self) -> list[Any]:
        """Frames of the tests are short or a little longer: two or four bytes stand before the text."""
        return [json.loads(frame.plain[4 if frame.plain[1] == 126 else 2 :]) for frame in self.frames]


@asynccontextmanager
async def hub_of(*clients: Client) -> AsyncIterator[Hub]:
    hub = Hub()
    for client in clients:
        await hub.join(client.socket)
    await until(lambda: hub.pubsub is not None and all(room_known(hub, client) for client in clients))
    yield hub
    assert hub.listener is not None
    hub.listener.cancel()
    with suppress(asyncio.CancelledError):
        await hub.listener


def room_known(hub: Hub, client: Client) -> bool:
    return hub.rooms[client.socket.owner.tournament_id].head is not None


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def published() -> None:
    """Tournaments 1 and 2, with one block of one lane."""
    redis = get_redis_connection("default")
    for tournament in (1, 2):
        redis.delete(line_key(tournament))
        redis.hset(line_key(tournament), mapping={"head": HEAD, "7:0:0": "bits"})


def publish(tournament: int, text: str) -> None:
    get_redis_connection("default").publish(LineStore(tournament).channel, text)


def test_a_move_is_encoded_once_and_written_to_every_socket_of_the_tournament() -> None:
    here, too, elsewhere = Client(1), Client(1), Client(2)

    async def play() -> None:
        async with hub_of(here, too, elsewhere):
            publish(1, moved_text(HEAD, {"7:0:0": "moved"}))
            await until(lambda: len(here.frames) > 1 < len(too.frames))

    asyncio.run(play())
    assert here.frames[-1] is too.frames[-1]
    assert here.texts()[-1]["blocks"] == {"7:0:0": "moved"}
    assert len(elsewhere.frames) == 1


def test_who_comes_later_is_greeted_from_memory_with_the_own_blocks() -> None:
    first, later, same = Client(1), Client(1, blocks=("7:0:0", "7:0:9")), Client(1, blocks=("7:0:0", "7:0:9"))

    async def play() -> None:
        async with hub_of(first) as hub:
            publish(1, moved_text(HEAD, {"7:0:0": "moved"}))
            await until(lambda: len(first.frames) > 1)
            with commands_asked() as asked:
                await hub.join(later.socket)
                await hub.join(same.socket)
            assert asked == []

    asyncio.run(play())
    assert later.texts() == [{"kind": "line", "head": json.loads(HEAD), "blocks": {"7:0:0": "moved", "7:0:9": ""}}]
    assert later.frames[0] is same.frames[0]


def test_a_tournament_that_somebody_comes_to_later_is_subscribed_to_as_well() -> None:
    first, later = Client(1), Client(2, blocks=("7:0:0",))

    async def play() -> None:
        async with hub_of(first) as hub:
            await hub.join(later.socket)
            await until(lambda: bool(later.frames))
            publish(2, moved_text(HEAD, {}))
            await until(lambda: len(later.frames) > 1)

    asyncio.run(play())
    assert later.texts()[0]["blocks"] == {"7:0:0": "bits"}
    assert all(
        text == first.texts()[0] for text in first.texts()
    )  # greeted, after a break again; never of the other one


def test_after_a_break_every_socket_is_greeted_with_what_it_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registrations.hub.RECONNECT_SECONDS", 0.01)
    client = Client(1, blocks=("7:0:0",))

    async def play() -> None:
        async with hub_of(client):
            get_redis_connection("default").hset(line_key(1), mapping={"7:0:0": "missed"})
            break_subscriptions()
            await until(lambda: len(client.frames) > 1)

    asyncio.run(play())
    assert client.texts()[-1]["blocks"] == {"7:0:0": "missed"}


def test_after_a_break_who_may_have_missed_something_personal_is_told_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registrations.hub.RECONNECT_SECONDS", 0.01)
    alice, visitor = Client(1, 5), Client(1)

    async def play() -> None:
        async with hub_of(alice, visitor):
            assert [text["kind"] for text in alice.texts()] == ["line"]
            break_subscriptions()
            await until(lambda: len(alice.frames) == 3 and len(visitor.frames) == 2)

    asyncio.run(play())
    assert [text["kind"] for text in alice.texts()] == ["line", "missed", "line"]
    assert [text["kind"] for text in visitor.texts()] == ["line", "line"]


@pytest.fixture
def wire(settings: Settings) -> Iterator[Wire]:
    """Between the hub and Redis; what the test itself does goes another way."""
    with Wire(settings.REDIS_URL) as wire:
        settings.REDIS_URL = wire.url
        yield wire


def test_a_redis_that_vanished_without_a_word_is_noticed_and_what_it_held_meanwhile_is_heard(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("registrations.hub.SILENT_SECONDS", 1)
    monkeypatch.setattr("registrations.hub.RECONNECT_SECONDS", 0.01)
    client, meanwhile = Client(1, blocks=("7:0:0",)), Client(2, blocks=("7:0:0",))

    async def play() -> None:
        async with hub_of(client) as hub:
            wire.cut()
            await hub.join(meanwhile.socket)
            redis = get_redis_connection("default")
            for tournament in (1, 2):
                redis.hset(line_key(tournament), mapping={"7:0:0": "missed"})
                publish(tournament, moved_text(HEAD, {"7:0:0": "missed"}))
            await until(lambda: "the sockets wait" in caplog.text)
            await asyncio.sleep(0.5)  # it is tried again in vain
            assert len(client.frames) == 1
            wire.mend()
            await until(lambda: len(client.frames) > 1 and bool(meanwhile.frames))
            publish(1, moved_text(HEAD, {"7:0:0": "moved"}))
            await until(lambda: client.texts()[-1]["blocks"] == {"7:0:0": "moved"})

    asyncio.run(play())
    assert client.texts()[1]["blocks"] == meanwhile.texts()[0]["blocks"] == {"7:0:0": "missed"}


def test_a_hub_that_only_listens_never_notices(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("registrations.hub.SILENT_SECONDS", None)
    monkeypatch.setattr("registrations.hub.RECONNECT_SECONDS", 0.01)
    client = Client(1)

    async def play() -> None:
        async with hub_of(client):
            wire.cut()
            await asyncio.sleep(1)
            wire.mend()
            publish(1, moved_text(HEAD, {}))
            await asyncio.sleep(1)

    asyncio.run(play())
    assert len(client.frames) == 1
    assert "the sockets wait" not in caplog.text


def test_a_redis_that_has_nothing_to_say_is_not_taken_for_one_that_vanished(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("registrations.hub.SILENT_SECONDS", 2)
    client = Client(1)

    async def play() -> None:
        async with hub_of(client):
            await asyncio.sleep(7)

    asyncio.run(play())
    assert len(client.frames) == 1
    assert not caplog.text


def test_a_redis_that_vanished_is_noticed_within_ten_seconds() -> None:
    assert 2 * SILENT_SECONDS + RECONNECT_SECONDS < 10


@pytest.mark.parametrize("channel", [LineStore(1).channel, live.accounts_channel()], ids=["a tournament's", "personal"])
def test_a_text_that_cannot_be_passed_on_leaves_no_socket_mute(
    channel: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("registrations.hub.RECONNECT_SECONDS", 0.01)
    client = Client(1, blocks=("7:0:0",))

    async def play() -> None:
        async with hub_of(client):
            get_redis_connection("default").publish(channel, "no text of ours")
            await until(lambda: len(client.frames) > 1)
            publish(1, moved_text(HEAD, {"7:0:0": "moved"}))
            await until(lambda: client.texts()[-1]["blocks"] == {"7:0:0": "moved"})

    asyncio.run(play())
    assert client.texts()[0] == client.texts()[1]
    assert "The sockets could not be told something" in caplog.text


def test_when_many_blocks_moved_each_socket_gets_its_own() -> None:
    client = Client(1, blocks=("7:0:0",))

    async def play() -> None:
        async with hub_of(client):
            get_redis_connection("default").hset(line_key(1), mapping={"7:0:0": "drawn"})
            publish(1, moved_text(HEAD, None))
            await until(lambda: len(client.frames) > 1)

    asyncio.run(play())
    assert client.texts()[-1]["blocks"] == {"7:0:0": "drawn"}


def test_personal_news_reach_the_sockets_of_that_account_alone_however_many_are_told() -> None:
    alice, her_phone, bob, visitor = Client(1, 5), Client(2, 5), Client(1, 2500), Client(1)
    messages = [(account, {"kind": "entry.changed", "entry": f"{account:x}"}) for account in range(5, 2501, 5)]

    async def play() -> None:
        async with hub_of(alice, her_phone, bob, visitor) as hub:
            await asyncio.to_thread(tell)
            await until(lambda: all(len(client.frames) > 1 for client in (alice, her_phone, bob)))
            hub.leave(her_phone.socket)
            hub.leave(alice.socket)
            assert 5 not in hub.accounts

    def tell() -> None:
        live._publish(live.accounts_channel(), live.personal_texts(messages))

    asyncio.run(play())
    assert alice.texts()[1:] == her_phone.texts()[1:] == [{"kind": "entry.changed", "entry": "5"}]
    assert bob.texts()[1:] == [{"kind": "entry.changed", "entry": "9c4"}]
    assert len(visitor.frames) == 1


def test_telling_thousands_takes_a_text_for_each_thousand() -> None:
    texts = live.personal_texts([(n, {"kind": "entry.changed"}) for n in range(2500)])
    assert [len(json.loads(text)) for text in texts] == [1000, 1000, 500]
    assert json.loads(texts[2])[0] == [2000, '{"kind":"entry.changed"}']


class Transport:
    """One whose client reads nothing any more."""

    def __init__(self) -> None:
        self.unread = 0
        self.is_cut_off = False

    def is_closing(self) -> bool:
        return self.is_cut_off

    def write(self, frame: bytes) -> None:
        assert not self.is_cut_off
        self.unread += len(frame)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.is_cut_off = True


def make_protocol(transport: Any) -> SocketProtocol:
    protocol = SocketProtocol(Config(app=None), ServerState(), {}, asyncio.new_event_loop())  # type: ignore[arg-type]
    protocol.transport = transport
    return protocol


def test_a_client_that_reads_nothing_any_more_is_cut_off() -> None:
    transport = Transport()
    protocol = make_protocol(transport)
    text = encoded("x" * 1000)
    for _ in range(2 * MOST_UNREAD // len(text.plain)):
        protocol.write(text)
    assert transport.is_cut_off
    assert transport.unread < MOST_UNREAD + 2 * len(text.plain)


@pytest.mark.parametrize(
    ("offered", "can"),
    [
        (None, False),
        ([ClientPerMessageDeflateFactory()], True),
        ([ClientPerMessageDeflateFactory(server_max_window_bits=10)], False),
    ],
    ids=["none", "as browsers do", "with less memory than is needed"],
)
def test_a_text_is_compressed_once_for_all_clients_that_can_take_it(offered: Any, *, can: bool) -> None:
    client = ClientProtocol(parse_uri("ws://127.0.0.1/live/"), extensions=offered)
    request, server = client.connect(), ServerProtocol(extensions=[DEFLATE])
    client.send_request(request)
    server.receive_data(b"".join(client.data_to_send()))
    (asked,) = server.events_received()
    assert isinstance(asked, Request)
    server.send_response(server.accept(asked))
    client.receive_data(b"".join(server.data_to_send()))
    client.events_received()
    assert takes_compressed(server) is can
    text = "a line that moves " * 50
    for _ in range(2):
        client.receive_data(encoded(text).of(compressed=can))
    assert [bytes(frame.data).decode() for frame in client.events_received() if isinstance(frame, Frame)] == [
        text,
        text,
    ]
    assert len(encoded(text).compressed) < len(encoded(text).plain) / 2


def test_a_live_process_that_may_open_few_files_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vgchub.live_worker.raise_limit_of_open_files", lambda: 1024)
    monkeypatch.setattr("uvicorn_worker.UvicornWorker.init_process", lambda _worker: None)
    with caplog.at_level(logging.WARNING):
        LiveWorker.init_process(object.__new__(LiveWorker))
    assert "Only 1024 files" in caplog.text
    monkeypatch.setattr("vgchub.live_worker.raise_limit_of_open_files", lambda: open_files.WANTED)
    caplog.clear()
    LiveWorker.init_process(object.__new__(LiveWorker))
    assert not caplog.text
