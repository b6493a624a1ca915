"""The client over a real socket: how connections begin, end, and are made anew."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from chatrooms.client import (
    ChatClient,
    ChatError,
    ConnectionLost,
    Event,
    EventStream,
    Message,
    Offline,
    Online,
    Signal,
)
from tests.fakes.server import FakeServer, Line, Peer

Make = Callable[..., ChatClient]


async def take(stream: EventStream, count: int) -> list[Event]:
    """The next events of a stream."""
    return [await anext(stream) for _ in range(count)]


def texts(events: list[Event]) -> list[str]:
    """The texts of messages."""
    return [event.text for event in events if isinstance(event, Message)]


async def test_connection_states_are_told(server: FakeServer, chat: Make) -> None:
    """The stream of everything says when the client is offline and when it is back."""
    async with chat() as client:
        stream = client.events()
        await server.close_all(4110, '{"retry_after_ms":1}')
        offline, online = await take(stream, 2)
        assert offline == Offline("the server is restarting", 1)
        assert online == Online("u1")
        assert client.online
        await stream.aclose()
        assert [event async for event in stream] == []


async def test_final_close_code_ends_everything(server: FakeServer, chat: Make) -> None:
    """4003: streams raise, sends fail, nothing is tried again."""
    client = chat()
    await client.connect()
    room = await client.subscribe("lobby")
    await server.close_all(4003, "revoked")
    with pytest.raises(ChatError) as raised:
        await anext(room)
    assert raised.value.code == "unauthorized"
    for call in (client.send("lobby", "x"), client.who("lobby"), client.connect()):
        with pytest.raises(ChatError):
            await call
    assert len(server.hellos) == 1
    await client.close()


async def test_refused_hello_is_raised_by_connect(server: FakeServer, chat: Make) -> None:
    """`err unauthorized` then 4001."""

    def refuse(peer: Peer, line: Line) -> list[Line] | None:
        if line["t"] == "hello":
            asyncio.get_running_loop().call_soon(
                lambda: tasks.append(asyncio.ensure_future(peer.socket.close(4001)))
            )
            return [{"t": "err", "id": 1, "code": "unauthorized", "msg": "no", "retry": False}]
        return None

    tasks: list[Any] = []
    server.intercept = refuse
    client = chat()
    with pytest.raises(ChatError, match="no"):
        await client.connect()
    await client.close()


async def test_expired_token_asks_the_source_for_another(server: FakeServer, chat: Make) -> None:
    """4101: a new token, then the same rooms."""
    tokens = iter(("old", "new"))

    async def source() -> str:
        return next(tokens)

    async with chat(token=None, token_source=source) as client:
        room = await client.subscribe("lobby")
        await server.close_all(4101)
        await server.wait_for(lambda: len(server.hellos) == 2)
        await server.wait_for(lambda: bool(server.peers and server.peers[-1].rooms))
        await server.post("lobby", "after")
        assert texts(await take(room, 1)) == ["after"]
        assert [hello["token"] for hello in server.hellos] == ["old", "new"]


async def test_expiring_token_is_renewed_in_place(server: FakeServer, chat: Make) -> None:
    """`auth_expiring` is answered by `auth` with a new token, on the same connection."""

    async def source() -> str:
        return "renewed"

    async with chat(token_source=source) as client:
        await server.peers[0].say({"t": "auth_expiring", "in_ms": 60_000})
        await server.wait_for(lambda: server.heard[-1]["t"] == "auth")
        assert server.heard[-1]["token"] == "renewed"
        assert len(server.hellos) == 1
        assert client.online


async def test_moved_client_follows_the_notice(server: FakeServer, chat: Make) -> None:
    """4200: to the url of the notice, at once."""
    async with chat() as client:
        elsewhere = server.url + "?other"
        await server.peers[0].say({"t": "notice", "code": "moved", "url": elsewhere})
        await server.close_all(4200)
        await server.wait_for(lambda: len(server.hellos) == 2)
        assert client._driver._url == elsewhere


async def test_fragmented_message_is_joined(server: FakeServer, chat: Make) -> None:
    """Picows delivers fragments; an event may come in three of them."""
    async with chat() as client:
        room = await client.subscribe("lobby")
        event = b'{"t":"signal","room":"lobby","from":"u2","body":{"k":"\xc3\xa9"}}'
        parts = [event[:20], event[20:-4], event[-4:]]
        await server.peers[0].socket.send((part for part in parts), text=True)
        assert await anext(room) == Signal("lobby", "u2", {"k": "é"})


async def test_invalid_utf8_closes_with_1007_and_is_survived(
    server: FakeServer, chat: Make
) -> None:
    """Nobody judges UTF-8 below us: it is refused here, and the client comes back."""
    async with chat() as client:
        stream = client.events()
        peer = server.peers[0]
        await peer.socket.send(b'{"t":"signal","room":"\xff"}', text=True)
        offline, online = await take(stream, 2)
        assert isinstance(offline, Offline)
        assert "not JSON" in offline.reason
        assert isinstance(online, Online)


async def test_closing_ends_streams_and_waiting_sends(server: FakeServer, chat: Make) -> None:
    """Readers end quietly, sends raise `ConnectionLost`, nothing works afterwards."""
    client = chat()
    async with client:
        room = await client.subscribe("lobby")
        server.silent = True
        send = asyncio.create_task(client.send("lobby", "x"))
        await server.wait_for(lambda: server.heard[-1]["t"] == "send")
        client.mark_read("lobby", 1)
    assert [event async for event in room] == []
    with pytest.raises(ConnectionLost):
        await send
    with pytest.raises(ConnectionLost):
        await client.subscribe("lobby")
    assert server.heard[-1]["t"] == "read"
    await server.wait_for(lambda: not server.peers)


async def test_nobody_there_is_said_at_once(unused_port: int) -> None:
    """The first attempt raises, without trying again."""
    client = ChatClient(f"ws://127.0.0.1:{unused_port}/ws", token="t")
    with pytest.raises(ConnectionLost):
        await client.connect()
    await client.close()


async def test_patient_client_waits_for_the_server(
    unused_port: int, server: FakeServer, chat: Make
) -> None:
    """`connect(patient=True)` goes on until somebody is there."""
    client = chat()
    client._driver._url = f"ws://127.0.0.1:{unused_port}/ws"
    waiting = asyncio.create_task(client.connect(patient=True))
    stream = client.events()
    assert isinstance(await anext(stream), Offline)
    client._driver._url = server.url
    await waiting
    assert client.online
    await client.close()


@pytest.mark.parametrize(
    ("status", "error"), [(404, ChatError), (403, ChatError), (503, ConnectionLost)]
)
async def test_refused_upgrade_is_told_apart_from_an_outage(
    status: int, error: type[Exception]
) -> None:
    """4xx is final for the first attempt, 5xx is an outage."""

    def refuse(_socket: ServerConnection, _request: Request) -> Response:
        return Response(status, "no", Headers({"Content-Length": "0"}), b"")

    async def never(_socket: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as other:
        port = next(iter(other.sockets)).getsockname()[1]
        client = ChatClient(f"ws://127.0.0.1:{port}/ws", token="t")
        with pytest.raises(error):
            await client.connect()
        await client.close()


async def test_server_that_speaks_something_else_is_refused() -> None:
    """The upgrade must name chat.v1 (RFC 6455 section 4.1)."""

    async def never(socket: ServerConnection) -> None:
        await socket.wait_closed()

    subprotocols = [Subprotocol("other")]

    def choose(_socket: ServerConnection, _offers: object) -> Subprotocol | None:
        return None

    async with serve(
        never, "127.0.0.1", 0, subprotocols=subprotocols, select_subprotocol=choose
    ) as other:
        port = next(iter(other.sockets)).getsockname()[1]
        client = ChatClient(f"ws://127.0.0.1:{port}/ws", token="t")
        with pytest.raises(ConnectionLost, match=r"chat\.v1"):
            await client.connect()
        await client.close()


async def test_source_that_cannot_be_reached_is_an_outage(chat: Make) -> None:
    """No token because the REST side is down: the same as no server."""

    async def source() -> str:
        raise ConnectionRefusedError("down")

    client = chat(token=None, token_source=source)
    with pytest.raises(ConnectionLost, match="no token"):
        await client.connect()
    await client.close()


async def test_source_that_fails_oddly_stops_the_client(chat: Make) -> None:
    """A bug in the token source is an error for everybody who waits, not a hang."""

    async def source() -> str:
        raise KeyError("oops")

    client = chat(token=None, token_source=source)
    stream = client.events()
    with pytest.raises(ChatError, match="KeyError: 'oops'"):
        await client.connect()
    with pytest.raises(ChatError, match="oops"):
        await anext(stream)
    await client.close()


async def test_full_socket_is_not_written_to(chat: Make) -> None:
    """While the kernel takes nothing, messages wait in the session, not in a buffer below it."""
    async with chat() as client:
        link = client._driver._link
        assert link is not None
        link.pause_writing()
        send = asyncio.create_task(client.send("lobby", "x"))
        await asyncio.sleep(0)
        assert client.unsent == 1
        assert not client._driver.session._calls
        link.resume_writing()
        assert (await send).seq == 1


async def test_silent_server_is_left_and_found_again(server: FakeServer, chat: Make) -> None:
    """No ping for 1.5 x ping_ms: dropped by the timer, then resumed."""
    server.ping_ms = 10
    async with chat() as client:
        stream = client.events()
        offline, online = await take(stream, 2)
        assert isinstance(offline, Offline)
        assert offline.reason == "nothing was heard from the server"
        assert isinstance(online, Online)


@pytest.fixture
def unused_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
