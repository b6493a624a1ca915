"""chatrooms.asgi:app under a server of one page: its lifespan starts, serves, drains and fails."""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from chatrooms.asgi import Application
from tests.integration.running import free_port


@pytest.fixture(autouse=True)
def ws_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Settings by environment, as granian's workers have them; the process as it was, after."""
    root, interval = logging.getLogger(), sys.getswitchinterval()
    handlers, level = list(root.handlers), root.level
    port = free_port()
    monkeypatch.setenv("CHATROOMS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CHATROOMS_WS_PORT", str(port))
    yield port
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.setswitchinterval(interval)
    structlog.reset_defaults()


class Lifespan:
    """The server's half of the ASGI lifespan protocol."""

    def __init__(self, application: Application) -> None:
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.ensure_future(
            application({"type": "lifespan"}, self._in.get, self._out.put)
        )

    async def say(self, kind: str) -> dict[str, Any]:
        """Sends one event and waits for what the application says to it."""
        await self._in.put({"type": f"lifespan.{kind}"})
        async with asyncio.timeout(30):
            answer: dict[str, Any] = await self._out.get()
        return answer

    async def end(self) -> None:
        """Waits until the application has returned."""
        await self._task


@contextlib.asynccontextmanager
async def served(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose lifespan runs."""
    lifespan = Lifespan(application)
    assert (await lifespan.say("startup"))["type"] == "lifespan.startup.complete"
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        yield client
    assert (await lifespan.say("shutdown"))["type"] == "lifespan.shutdown.complete"
    await lifespan.end()


async def test_lifespan_opens_and_closes_the_sockets(ws_port: int) -> None:
    """Ready while it lasts, the port free again after it."""
    async with served(Application()) as client:
        assert (await client.get("/readyz")).status_code == 200
        with contextlib.closing(socket.create_connection(("127.0.0.1", ws_port))):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ws_port))


async def test_drain_command_ends_readiness(tmp_path: Path) -> None:
    """The supervisor stops the process; until then it says that it is leaving."""
    async with served(Application()) as client:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "data" / "admin.sock")
        writer.write(b'{"op":"drain"}\n')
        assert b"draining" in await reader.readline()
        writer.close()
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200


async def test_taken_port_fails_the_lifespan_with_a_sentence(ws_port: int) -> None:
    """The server prints it and ends."""
    with socket.create_server(("127.0.0.1", ws_port)):
        lifespan = Lifespan(Application())
        answer = await lifespan.say("startup")
    await lifespan.end()
    assert answer == {
        "type": "lifespan.startup.failed",
        "message": f"another process listens on 127.0.0.1:{ws_port}",
    }


async def test_wrong_setting_fails_the_lifespan_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with `chatrooms serve`."""
    monkeypatch.setenv("CHATROOMS_PING_MS", "1")
    lifespan = Lifespan(Application())
    answer = await lifespan.say("startup")
    await lifespan.end()
    assert answer["message"].startswith("ping_ms (environment CHATROOMS_PING_MS)")


async def test_request_without_a_lifespan_is_refused() -> None:
    """A server that skips the lifespan has no node."""
    transport = httpx.ASGITransport(Application())
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        with pytest.raises(RuntimeError, match="needs a server that runs the ASGI lifespan"):
            await client.get("/healthz")
