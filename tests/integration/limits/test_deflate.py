"""permessage-deflate: a conversation through it, and one compressed frame for the whole room."""

import json
import zlib

import websockets
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.integration.bad_input.wire import FIN, RSV1, Raw, frame
from tests.integration.conftest import MakeNode
from tests.integration.node.test_conversation import new_room
from tests.integration.running import RunningNode

OFFER: dict[str, str | None] = {
    "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"
}
TEXT = "the same words again and again " * 60


def deflating(make_node: MakeNode) -> RunningNode:
    """A started node that agrees to the extension."""
    node = make_node(deflate="on")
    node.start()
    return node


async def test_conversation_with_websockets_is_compressed(make_node: MakeNode) -> None:
    """Both ways, by a client that others wrote."""
    node = deflating(make_node)
    [token] = node.tokens("ada")
    room = new_room(node, "Deflated", [token])
    protocol = [Subprotocol("chat.v1")]
    async with connect(node.ws_url, subprotocols=protocol, proxy=None) as socket:
        assert [it.name for it in socket.protocol.extensions] == ["permessage-deflate"]
        await socket.send(json.dumps({"t": "hello", "id": 1, "token": token}))
        await socket.send(json.dumps({"t": "sub", "id": 2, "room": room}))
        for number in range(5):
            op = {"t": "send", "id": 3 + number, "room": room, "cid": f"c{number}"}
            await socket.send(json.dumps({**op, "body": {"text": TEXT}}))
        heard: list[str] = []
        while len(heard) < 5:
            lines = [json.loads(line) for line in str(await socket.recv()).split("\n")]
            heard += [line["body"]["text"] for line in lines if line["t"] == "msg"]
    assert heard == [TEXT] * 5
    assert isinstance(socket, websockets.ClientConnection)


def test_room_shares_one_compressed_frame(make_node: MakeNode) -> None:
    """Byte for byte the same for each listener, smaller than its text, whole by itself."""
    node = deflating(make_node)
    tokens = node.tokens("crowd", 5)
    room = new_room(node, "Crowd", tokens)
    listeners = []
    for token in tokens:
        raw = Raw(node.ws_port)
        agreed = raw.upgrade(OFFER).headers["sec-websocket-extensions"]
        assert "server_no_context_takeover" in agreed
        raw.say({"t": "hello", "token": token})
        raw.say({"t": "sub", "room": room})
        listeners.append(raw)
    for raw in listeners:
        seen = b""
        while b'"epoch"' not in seen or b'"role"' not in seen:
            seen += inflated(raw.frame().wire)
    with Raw(node.ws_port) as speaker:
        speaker.hello(tokens[0])
        assert speaker.ask(t="send", room=room, cid="c", body={"text": TEXT})["t"] == "ok"
    wires = {raw.frame().wire for raw in listeners}
    assert len(wires) == 1
    [wire] = wires
    assert wire[0] == FIN | RSV1 | 1
    assert len(wire) < 300
    assert json.loads(inflated(wire))["body"] == {"text": TEXT}
    for raw in listeners:
        raw.__exit__(None, None, None)


def inflated(wire: bytes) -> bytes:
    """The payload of a frame from the server, each compressed by itself."""
    start = {126: 4, 127: 10}.get(wire[1], 2)
    if not wire[0] & RSV1:
        return wire[start:]
    return zlib.decompressobj(-15).decompress(wire[start:] + b"\x00\x00\xff\xff")


def test_bomb_is_1009_and_broken_stream_is_1007(make_node: MakeNode) -> None:
    """A few bytes that would become a gigabyte; and bytes that become nothing."""
    node = deflating(make_node)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeeze.compress(b" " * 20_000_000) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 65_536
    for payload, code in ((bomb[:-4], 1009), (b"\xff" * 40, 1007), (b"\x06\x00", 1007)):
        with Raw(node.ws_port) as raw:
            raw.upgrade(OFFER)
            raw.send(frame(payload, bits=FIN | RSV1))
            assert raw.close()[0] == code
