"""One connection that speaks chat.v1 and holds the server to its rules as frames arrive.

The rules are protocol.md's: one reply an id, ids answered once, and per room positions that rise
by one unless `gap` or `epoch` says otherwise. A breach is kept in `breaches`; the fixture that
made the peer looks there when the test is over.
"""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from uuid import uuid4

from tests.integration.conversation.dialers import Closed, Socket

Event = dict[str, Any]

ANSWER_SECONDS: Final = 30.0
DURABLE: Final = frozenset(
    {"msg", "member", "room", "mention", "invite", "room_added", "room_removed", "pref"}
)


class _Asked(NamedTuple):
    op: Event
    reply: asyncio.Future[Event]


class Peer:
    """`events` are the durable ones by room; `frames` is everything in the order it came."""

    def __init__(self, name: str, socket: Socket) -> None:
        self.name = name
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.frames: list[Event] = []
        self.welcome: Event = {}
        self.end: Closed | None = None
        self.breaches: list[str] = []
        self._socket = socket
        self._asked: dict[int, _Asked] = {}
        self._ids = 0
        self._last: dict[str, int] = {}
        self._came = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def hello(self, token: str | None = None, rooms: Event | None = None) -> Event:
        """Says `hello`; the `welcome`, or the `err` after which the server closes."""
        fields: Event = {"token": token, "rooms": rooms}
        return await self.attempt("hello", **{k: v for k, v in fields.items() if v is not None})

    async def submit(self, t: str, **fields: object) -> asyncio.Future[Event]:
        """Sends one op; its reply is to come."""
        self._ids += 1
        op = {"t": t, "id": self._ids, **fields}
        reply: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._asked[self._ids] = _Asked(op, reply)
        if self.end is not None:
            reply.set_exception(self.end)
        # As browsers write JSON: characters stand for themselves.
        await self._socket.send(json.dumps(op, ensure_ascii=False))
        return reply

    async def attempt(self, t: str, **fields: object) -> Event:
        """One op and its reply, `ok` or `err`."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await (await self.submit(t, **fields))

    async def ask(self, t: str, **fields: object) -> Event:
        """One op and its `ok`."""
        reply = await self.attempt(t, **fields)
        assert reply["t"] == "ok", reply
        return reply

    async def refused(self, t: str, **fields: object) -> str:
        """One op, and the code of its `err`."""
        reply = await self.attempt(t, **fields)
        assert reply["t"] == "err", reply
        code: str = reply["code"]
        return code

    async def say(self, room: str, text: str, cid: str | None = None) -> Event:
        """One text message and its `ok`."""
        return await self.ask("send", room=room, cid=cid or uuid4().hex, body={"text": text})

    async def until(self, reached: Callable[[], bool], wanted: str) -> None:
        """Waits until frames have made `reached` true."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while not reached():
                    assert self.end is None, f"{self.name}: {self.end} before {wanted}"
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            last = [str(frame)[:300] for frame in self.frames[-3:]]
            raise AssertionError(f"{self.name} waits for {wanted}; the last: {last}") from None

    async def reach(self, room: str, seq: int) -> list[Event]:
        """The durable events of `room`, once the one at `seq` has come."""
        await self.until(
            lambda: bool(self.events[room]) and self.events[room][-1]["seq"] >= seq,
            f"{room} at {seq}",
        )
        return self.events[room]

    async def heard(self, t: str) -> Event:
        """The first frame of type `t`, here or to come."""
        await self.until(lambda: any(frame["t"] == t for frame in self.frames), t)
        return next(frame for frame in self.frames if frame["t"] == t)

    async def closed(self) -> int:
        """The code the server closed with."""
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._reading
        assert self.end is not None
        return self.end.code

    async def leave(self) -> None:
        """Closes the connection and waits for its end."""
        with contextlib.suppress(Closed):
            await self._socket.close()
        await self.closed()

    def position(self, room: str) -> list[object]:
        """Where this peer is in `room`, as `since` and `hello.rooms` take it."""
        return [self.welcome["me"][0], self._last[room]]

    def unanswered(self) -> int:
        """How many ops have no reply."""
        return sum(not asked.reply.done() for asked in self._asked.values())

    async def _read(self) -> None:
        try:
            while True:
                text = await self._socket.receive()
                for line in filter(None, text.split("\n")):
                    await self._take(json.loads(line))
                self._came.set()
        except Closed as end:
            self.end = end
            for asked in self._asked.values():
                if not asked.reply.done():
                    asked.reply.set_exception(end)
                    # Retrieved here, or asyncio reports those that no test waits for.
                    asked.reply.exception()
            self._came.set()

    async def _take(self, frame: Event) -> None:
        self.frames.append(frame)
        t = frame["t"]
        if t in {"ok", "err", "welcome"}:
            self._settle(frame)
        elif t in DURABLE:
            self._step(frame)
        elif t == "gap":
            self._jump(frame)
        elif t == "epoch":
            self._last[frame["room"]] = frame["seq"]
        elif t == "ping":
            await self._socket.send('{"t":"pong"}')

    def _settle(self, frame: Event) -> None:
        if frame["t"] == "welcome":
            self.welcome = frame
            asked = next(each for each in self._asked.values() if each.op["t"] == "hello")
            self._begin(asked.op.get("rooms", {}))
        elif "id" not in frame:
            return
        else:
            asked = self._asked[frame["id"]]
        if asked.reply.done():
            self.breaches.append(f"{self.name}: a second reply {frame}")
            return
        if frame["t"] == "ok" and asked.op["t"] == "sub":
            since = asked.op.get("since")
            self._last[asked.op["room"]] = frame["seq"] if since is None else since[1]
        asked.reply.set_result(frame)

    def _begin(self, rooms: Event) -> None:
        for room, (_epoch, seq) in rooms.items():
            self._last[room] = seq
        self._last.setdefault("me", self.welcome["me"][1])

    def _step(self, event: Event) -> None:
        room, seq = event["room"], event["seq"]
        if self._last.get(room) != seq - 1:
            self.breaches.append(f"{self.name}: after {self._last.get(room)} came {event}")
        self._last[room] = seq
        self.events[room].append(event)

    def _jump(self, gap: Event) -> None:
        if self._last.get(gap["room"]) != gap["from"] - 1:
            self.breaches.append(f"{self.name}: after {self._last.get(gap['room'])} came {gap}")
        self._last[gap["room"]] = gap["to"]
