"""The admin socket of a running node: mode 0600, and only its own user or root is heard."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import structlog

from chatrooms.admin.operations import Item, Operations
from chatrooms.admin.wire import LINE_BYTES_MAX, decode, encode, short_path
from chatrooms.domain.errors import Code, Refusal

_log = structlog.get_logger(__name__)
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: struct ucred, unix(7)


class AdminServer:
    """Serves Operations until `close`; the data directory's lock makes the old socket ours."""

    def __init__(self, path: Path, operations: Operations) -> None:
        self._path = path
        self._operations = operations
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens, in place of what a killed node left behind."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            with short_path(self._path) as name:
                listener.bind(name)
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=LINE_BYTES_MAX
        )

    async def close(self) -> None:
        """Removes the socket and ends the talks."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            _log.info("an admin connection broke off")
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not _trusted(writer):
            writer.write(encode(_refused(Refusal(Code.FORBIDDEN, "another user's node"))))
            await writer.drain()
            return
        while line := await reader.readline():
            try:
                request = decode(line)
                op = str(request.get("op"))
                _log.info("admin operation", op=op)
                await _stream(self._operations.perform(op, request), writer)
                last: dict[str, object] = {"end": True}
            except Refusal as why:
                last = _refused(why)
            except ConnectionError:
                raise
            except Exception:  # noqa: BLE001 -- the operator gets an answer, the log the reason
                _log.exception("admin operation failed")
                last = _refused(Refusal(Code.INTERNAL, "the node failed; see its log"))
            writer.write(encode(last))
            await writer.drain()


async def _stream(items: AsyncGenerator[Item], writer: asyncio.StreamWriter) -> None:
    async with contextlib.aclosing(items):
        async for item in items:
            writer.write(encode({"item": item}))
            await writer.drain()


def _refused(why: Refusal) -> dict[str, object]:
    return {"refused": {"code": why.code.value, "message": str(why)}}


def _trusted(writer: asyncio.StreamWriter) -> bool:
    peer: socket.socket = writer.get_extra_info("socket")
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    return uid in {0, os.geteuid()}
