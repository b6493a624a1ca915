"""A person at a socket: a third-party client (`websockets`) that speaks chat.v1 literally."""

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import websockets
from websockets.asyncio.client import ClientConnection, connect

ANSWER_SECONDS = 15.0


class Talker:
    """One connection. Replies go to who asked; everything else is kept in `events`, in order.

    `frames` is all that came, replies too, so that a test can look at the order of both.
    """

    def __init__(self, url: str, token: str, rooms: Mapping[str, Any] | None = None) -> None:
        self.frames: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.welcome: dict[str, Any] = {}
        self._url = url
        self._token = token
        self._rooms = dict(rooms or {})
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._came = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        """Connects and says `hello`."""
        protocol = websockets.Subprotocol("chat.v1")
        self._socket = await connect(
            self._url, subprotocols=[protocol], compression=None, proxy=None, ping_interval=None
        )
        self._reading = asyncio.create_task(self._read(self._socket))
        hello: dict[str, Any] = {"t": "hello", "token": self._token}
        if self._rooms:
            hello["rooms"] = self._rooms
        await self.say(hello)
        self.welcome = await self.event(lambda event: event["t"] == "welcome")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes with 1000."""
        await self.socket.close()
        assert self._reading is not None
        await self._reading

    @property
    def socket(self) -> ClientConnection:
        """The connection of `websockets`."""
        assert self._socket is not None
        return self._socket

    async def say(self, *ops: Mapping[str, Any]) -> list[int]:
        """Sends ops in one frame, each with the next id; answers the ids."""
        ids = [next(self._ids) for _ in ops]
        for number in ids:
            self._replies[number] = asyncio.get_running_loop().create_future()
        lines = [json.dumps({**op, "id": number}) for op, number in zip(ops, ids, strict=True)]
        await self.socket.send("\n".join(lines))
        return ids

    async def reply(self, number: int) -> dict[str, Any]:
        """The reply to an id."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._replies[number]

    async def ask(self, t: str, **fields: Any) -> dict[str, Any]:
        """One op and its reply."""
        [number] = await self.say({"t": t, **fields})
        return await self.reply(number)

    async def send(self, room: str, text: str, cid: str) -> dict[str, Any]:
        """A text message; `ok`, or the `err`."""
        return await self.ask("send", room=room, cid=cid, body={"text": text})

    async def event(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event, already here or to come, that is wanted."""
        return (await self.collect(1, wanted))[0]

    async def collect(
        self, count: int, wanted: Callable[[dict[str, Any]], bool]
    ) -> list[dict[str, Any]]:
        """The first `count` wanted events, in order, once they are here."""
        async with asyncio.timeout(ANSWER_SECONDS), self._came:
            while len(found := [event for event in self.events if wanted(event)]) < count:
                await self._came.wait()
        return found[:count]

    async def messages(self, room: str, count: int) -> list[dict[str, Any]]:
        """The first `count` messages of a room."""
        return await self.collect(
            count, lambda event: event["t"] == "msg" and event["room"] == room
        )

    async def closed(self) -> tuple[int | None, str | None]:
        """Close code and reason, once the server has closed."""
        async with asyncio.timeout(ANSWER_SECONDS):
            await self.socket.wait_closed()
        return self.socket.close_code, self.socket.close_reason

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                assert isinstance(message, str)
                await self._take([json.loads(line) for line in message.split("\n") if line])
        except websockets.ConnectionClosed:
            return

    async def _take(self, lines: list[dict[str, Any]]) -> None:
        async with self._came:
            for line in lines:
                self.frames.append(line)
                waiting = self._replies.get(line.get("id", 0))
                if waiting is not None and line["t"] in {"ok", "err"}:
                    waiting.set_result(line)
                else:
                    self.events.append(line)
            self._came.notify_all()
