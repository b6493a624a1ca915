"""Third-party WebSocket clients behind one interface: `websockets`, Node's `ws`, Chromium.

They carry text and closes. What is said, and whether it is right, is the business of `peer`.
"""

import asyncio
import contextlib
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

START_SECONDS: Final = 60.0
DIAL_SECONDS: Final = 30.0
LINE_BYTES_MAX: Final = 16 * 1_048_576


class Closed(Exception):  # noqa: N818 -- an end, not an error
    """The connection is over; 1006 when no close frame came."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason}")
        self.code = code
        self.reason = reason


on_every_client: Final = pytest.mark.parametrize(
    "client",
    [
        "websockets",
        pytest.param("ws", marks=pytest.mark.node),
        pytest.param("chromium", marks=pytest.mark.chromium),
    ],
    scope="module",
)


class Socket(Protocol):
    """An open connection."""

    async def send(self, text: str) -> None:
        """Sends one text message."""

    async def receive(self) -> str:
        """The next message; Closed when there is none."""

    async def close(self) -> None:
        """Starts the closing handshake with 1000."""


class Dialer(Protocol):
    """Opens connections."""

    async def dial(self, url: str, protocols: Sequence[str] = ("chat.v1",)) -> Socket:
        """An open connection on which `chat.v1` was agreed; Closed when it is refused."""


class _PythonSocket(NamedTuple):
    connection: ClientConnection

    async def send(self, text: str) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.connection.send(text)

    async def receive(self) -> str:
        try:
            message = await self.connection.recv()
        except websockets.ConnectionClosed as end:
            frame = end.rcvd
            code, reason = (1006, "") if frame is None else (frame.code, frame.reason)
            raise Closed(code, reason) from None
        assert isinstance(message, str)
        return message

    async def close(self) -> None:
        await self.connection.close()


class PythonDialer:
    """The package `websockets`, as applications use it: it offers compression, too."""

    async def dial(self, url: str, protocols: Sequence[str] = ("chat.v1",)) -> Socket:
        """As the protocol says."""
        try:
            connection = await connect(
                url,
                subprotocols=[websockets.Subprotocol(name) for name in protocols],
                open_timeout=DIAL_SECONDS,
                ping_interval=None,
                proxy=None,
            )
        except websockets.InvalidStatus as refused:
            raise Closed(1006, str(refused.response.status_code)) from None
        assert connection.subprotocol == "chat.v1"
        return _PythonSocket(connection)


class _RemoteSocket:
    """A socket in another process."""

    def __init__(self, owner: "ProcessDialer", number: int) -> None:
        self._owner = owner
        self._number = number
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def hear(self, told: dict[str, Any]) -> None:
        self._told.put_nowait(told)

    async def open(self, url: str, protocols: Sequence[str]) -> None:
        self._owner.order(self._number, "open", url=url, protocols=list(protocols))
        async with asyncio.timeout(DIAL_SECONDS):
            told = await self._told.get()
        if told["on"] == "close":
            raise Closed(told["code"], told["reason"])
        assert told == {"socket": self._number, "on": "open", "protocol": "chat.v1"}

    async def send(self, text: str) -> None:
        self._owner.order(self._number, "send", text=text)

    async def receive(self) -> str:
        told = await self._told.get()
        if told["on"] == "close":
            raise Closed(told["code"], told["reason"])
        text: str = told["text"]
        return text

    async def close(self) -> None:
        self._owner.order(self._number, "close")


class ProcessDialer:
    """Sockets in a Node process that speaks the line protocol of tests/js/wire.mjs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._sockets: dict[int, _RemoteSocket] = {}

    async def dial(self, url: str, protocols: Sequence[str] = ("chat.v1",)) -> Socket:
        """As the protocol says."""
        number = next(self._numbers)
        self._sockets[number] = socket = _RemoteSocket(self, number)
        await socket.open(url, protocols)
        return socket

    def order(self, number: int, do: str, **given: object) -> None:
        """Passes one order on."""
        assert self._process.stdin is not None
        line = json.dumps({"socket": number, "do": do, **given}, ensure_ascii=False) + "\n"
        self._process.stdin.write(line.encode())

    async def listen(self) -> None:
        """Hands out what the process tells, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            self._sockets[told["socket"]].hear(told)


@contextlib.asynccontextmanager
async def open_dialer(client: str, js: Path, home: Path, page: str) -> AsyncIterator[Dialer]:
    """A dialer of the kind `client`; Chromium's profile lies in `home`, its sockets in `page`."""
    if client == "websockets":
        yield PythonDialer()
        return
    command = ["node", str(js / f"{client}_dialer.mjs")]
    if client == "chromium":
        command += [_chromium(), str(home / "profile"), page]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            assert json.loads(await process.stdout.readline()) == {"ready": True}
        dialer = ProcessDialer(process)
        listening = asyncio.create_task(dialer.listen())
        yield dialer
        # The end of its input ends the process, and the end of its output ends `listen`.
        process.stdin.close()
        async with asyncio.timeout(START_SECONDS):
            await listening
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _chromium() -> str:
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    path = next(found, None)
    assert path is not None, "the tests need Chromium; `make test-tools` installs it"
    return path
