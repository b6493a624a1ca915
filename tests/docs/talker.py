"""A WebSocket client whose every line, both ways, is held against the AsyncAPI document."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

import websockets

from tests.docs.protocol import Judge, Line

_SILENT = frozenset({"typing", "signal", "pong"})
_WAIT_SECONDS = 60.0


class Talker:
    """One connection, read all the time. `heard` keeps the lines that nobody has waited for."""

    def __init__(self, url: str, judge: Judge) -> None:
        self._url = url
        self._judge = judge
        self._asked: dict[int, str] = {}
        self._last_id = 0
        self._news = asyncio.Condition()
        self._closed_with: int | None = None
        self._broken: Exception | None = None
        self.heard: list[Line] = []

    async def __aenter__(self) -> Self:
        """Connects."""
        protocol = websockets.Subprotocol("chat.v1")
        self._socket = await websockets.connect(
            self._url, subprotocols=[protocol], ping_interval=None
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leaves; a line that the judge refused fails the test here at the latest."""
        await self._socket.close()
        await self._reader
        if self._broken is not None:
            raise self._broken

    async def say(self, op: str, **fields: Any) -> int:
        """Sends an op that the document knows; its id."""
        line: Line = {"t": op, **fields}
        if op not in _SILENT:
            self._last_id += 1
            line["id"] = self._last_id
            self._asked[self._last_id] = op
        self._judge.judge(f"command.{op}", line)
        await self._socket.send(json.dumps(line))
        return self._last_id

    async def say_wrong(self, text: str) -> None:
        """Sends something that the document does not know."""
        await self._socket.send(text)

    async def ask(self, op: str, **fields: Any) -> Line:
        """Sends an op and waits for its reply; a welcome bears no id."""
        id_ = await self.say(op, **fields)
        return await self.hear(lambda line: line.get("id") == id_ or line["t"] == "welcome")

    async def hear(self, wanted: Callable[[Line], bool]) -> Line:
        """The first line that is `wanted`, among those heard or to come."""
        async with asyncio.timeout(_WAIT_SECONDS), self._news:
            while True:
                for place, line in enumerate(self.heard):
                    if wanted(line):
                        return self.heard.pop(place)
                if self._broken is not None:
                    raise self._broken
                assert self._closed_with is None, f"closed with {self._closed_with}"
                await self._news.wait()

    async def hear_event(self, kind: str, **fields: Any) -> Line:
        """The first event of a kind with these fields."""
        return await self.hear(
            lambda line: (
                line["t"] == kind and all(line.get(name) == value for name, value in fields.items())
            )
        )

    async def hear_end(self) -> int:
        """Waits until the server closes; its close code."""
        async with asyncio.timeout(_WAIT_SECONDS), self._news:
            await self._news.wait_for(lambda: self._closed_with is not None)
        assert self._closed_with is not None
        return self._closed_with

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                assert isinstance(frame, str)
                for text in frame.split("\n"):
                    await self._take(json.loads(text))
        except websockets.ConnectionClosedError:
            pass
        except (AssertionError, ValueError) as wrong:
            self._broken = wrong
        received = self._socket.protocol.close_rcvd
        async with self._news:
            self._closed_with = received.code if received is not None else 1006
            self._news.notify_all()

    async def _take(self, line: Line) -> None:
        self._judge.judge(self._name(line), line)
        if line["t"] == "ping":
            await self.say("pong")
        async with self._news:
            self.heard.append(line)
            self._news.notify_all()

    def _name(self, line: Line) -> str:
        match line["t"]:
            case "ok":
                return f"reply.ok.{self._asked.pop(line['id'])}"
            case "err" | "welcome" as kind:
                self._asked.pop(line.get("id", -1), None)
                return f"reply.{kind}"
            case kind:
                return f"event.{kind}"
