"""A small WebSocket server that speaks just enough chat.v1 to test the SDK's transport.

It keeps logs in memory, answers hello, sub, unsub, send, hist, read, who and typing, and does on
demand what a real node does rarely: refuse, close with a code, leave out events, say `gap`. It
judges nothing (no accounts, no membership, no limits): the real rules are tested against the
real node in tests/integration.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Line = dict[str, Any]
EPOCH = "e1"
RESUME_EVENTS_MAX = 300


class Peer:
    """One client as the server sees it."""

    def __init__(self, socket: ServerConnection) -> None:
        """Nothing is subscribed at first."""
        self.socket = socket
        self.rooms: set[str] = set()
        self.heard: list[Line] = []
        self.wants: dict[str, list[str]] = {}

    async def say(self, *lines: Line) -> None:
        """Send lines as one message."""
        with suppress(ConnectionClosed):
            await self.socket.send(b"\n".join(map(orjson.dumps, lines)), text=True)


class FakeServer:
    """Logs per room, connected peers, and switches for misbehaviour."""

    def __init__(self) -> None:
        """Behave, until a test says otherwise."""
        self.url = ""
        self.epoch = EPOCH
        self.logs: dict[str, list[Line]] = defaultdict(list)
        self.cids: dict[tuple[str, str], Line] = {}
        self.peers: list[Peer] = []
        self.hellos: list[Line] = []
        self.heard: list[Line] = []
        self.intercept: Callable[[Peer, Line], list[Line] | None] = lambda _peer, _line: None
        self.first_kept: dict[str, int] = {}
        self.silent = False
        self.ping_ms = 25_000
        self.changed = asyncio.Event()

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something heard makes `condition` true."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    def append(self, room: str, sender: str, text: str, cid: str = "c") -> Line:
        """Put a message at the end of a room's log without telling anybody."""
        log = self.logs[room]
        event = {
            "t": "msg",
            "room": room,
            "seq": len(log) + 1,
            "n": len(log) + 1,
            "from": sender,
            "cid": cid,
            "ts": 1_700_000_000_000 + len(log),
            "body": {"text": text},
        }
        log.append(event)
        return event

    async def post(self, room: str, text: str, sender: str = "other") -> None:
        """Append a message and deliver it."""
        await self.deliver(self.append(room, sender, text))

    async def deliver(self, event: Line) -> None:
        """Send an event to all who are subscribed to its room."""
        for peer in self.peers:
            if event["room"] in peer.rooms:
                await peer.say(event)

    async def close_all(self, code: int, reason: str = "") -> None:
        """Close every connection with a code."""
        for peer in list(self.peers):
            await peer.socket.close(code, reason)

    async def abort_all(self) -> None:
        """End every connection without a close frame."""
        for peer in list(self.peers):
            peer.socket.transport.abort()

    async def serve_peer(self, socket: ServerConnection) -> None:
        """Answer one client until it goes."""
        peer = Peer(socket)
        self.peers.append(peer)
        with suppress(ConnectionClosed):
            async for message in socket:
                data = message if isinstance(message, bytes) else message.encode()
                for raw in data.split(b"\n"):
                    await self._handle(peer, orjson.loads(raw))
        self.peers.remove(peer)
        self.changed.set()

    async def _handle(self, peer: Peer, line: Line) -> None:
        peer.heard.append(line)
        self.heard.append(line)
        if line["t"] == "hello":
            self.hellos.append(line)
        answers = self.intercept(peer, line)
        if answers is None:
            handler = getattr(self, f"_on_{line['t']}", None)
            answers = handler(peer, line) if handler and not self.silent else []
        if answers:
            await peer.say(*answers)
        self.changed.set()
        await asyncio.sleep(0)

    def _head(self, room: str) -> int:
        return len(self.logs[room])

    def _state(self, room: str) -> Line:
        head = self._head(room)
        return {"epoch": self.epoch, "seq": head, "n": head, "read": 0, "role": "member"}

    def _missed(self, room: str, since: list[Any]) -> tuple[bool, list[Line]]:
        head = self._head(room)
        if since[0] != self.epoch or since[1] > head:
            return False, [{"t": "epoch", "room": room, "epoch": self.epoch, "seq": head}]
        if head - since[1] > RESUME_EVENTS_MAX:
            return False, [{"t": "gap", "room": room, "from": since[1] + 1, "to": head}]
        return True, self.logs[room][since[1] :]

    def _on_hello(self, peer: Peer, line: Line) -> list[Line]:
        resume, missed = {}, []
        for room, since in (line.get("rooms") or {}).items():
            peer.rooms.add(room)
            recovered, events = self._missed(room, since)
            status = "ok" if recovered else events[0]["t"]
            state = self._state(room)
            resume[room] = [status, *(state[key] for key in ("epoch", "seq", "n", "read", "role"))]
            missed += events
        peer.rooms.add("me")
        welcome = {
            "t": "welcome",
            "session": "s1",
            "user": "u1",
            "server_time": 0,
            "ping_ms": self.ping_ms,
            "limits": {"frame_in": 65_536, "body": 16_384},
            "me": [self.epoch, self._head("me")],
            "resume": resume,
        }
        return [welcome, *missed]

    def _on_auth(self, _peer: Peer, line: Line) -> list[Line]:
        return [{"t": "ok", "id": line["id"], "expires_at": 1}]

    def _on_sub(self, peer: Peer, line: Line) -> list[Line]:
        room, since = line["room"], line.get("since")
        peer.rooms.add(room)
        peer.wants[room] = line.get("want", [])
        answer = {"t": "ok", "id": line["id"], "online": 1, **self._state(room)}
        if since is None:
            return [answer]
        recovered, events = self._missed(room, since)
        return [answer | {"recovered": recovered}, *events]

    def _on_unsub(self, peer: Peer, line: Line) -> list[Line]:
        peer.rooms.discard(line["room"])
        return [{"t": "ok", "id": line["id"]}]

    def _on_send(self, peer: Peer, line: Line) -> list[Line]:
        room, key = line["room"], (line["room"], line["cid"])
        known = self.cids.get(key)
        event = known or self.append(room, "u1", line["body"].get("text", ""), line["cid"])
        self.cids[key] = event
        answer = {"t": "ok", "id": line["id"]} | {name: event[name] for name in ("seq", "n", "ts")}
        if known:
            return [answer | {"dup": True}]
        return [answer, event] if room in peer.rooms else [answer]

    def _on_hist(self, _peer: Peer, line: Line) -> list[Line]:
        room, limit = line["room"], line.get("limit", 50)
        first = self.first_kept.get(room, 1)
        log = [event for event in self.logs[room] if event["seq"] >= first]
        if "after" in line:
            log = [event for event in log if event["seq"] > line["after"]]
            events, more = log[:limit], len(log) > limit
        else:
            end = line.get("before", self._head(room) + 1)
            log = [event for event in log if event["seq"] < end]
            events, more = log[-limit:], len(log) > limit
        answer = {"t": "ok", "id": line["id"], "epoch": self.epoch, "events": events}
        return [answer | {"first": first, "last": self._head(room), "more": more}]

    def _on_read(self, _peer: Peer, line: Line) -> list[Line]:
        return [{"t": "ok", "id": line["id"], "unread": 0}]

    def _on_who(self, _peer: Peer, line: Line) -> list[Line]:
        row = {"user": "u1", "username": "ann", "display_name": "Ann", "role": "member"}
        return [{"t": "ok", "id": line["id"], "count": 1, "members": [row]}]


@asynccontextmanager
async def fake_server() -> AsyncIterator[FakeServer]:
    """Run a fake server on a free port of the loopback."""
    fake = FakeServer()
    subprotocols = [Subprotocol("chat.v1")]
    async with serve(
        fake.serve_peer, "127.0.0.1", 0, subprotocols=subprotocols, ping_interval=None
    ) as server:
        port = next(itertools.chain(server.sockets)).getsockname()[1]
        fake.url = f"ws://127.0.0.1:{port}/ws"
        yield fake
