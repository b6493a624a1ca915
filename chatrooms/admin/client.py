"""The asking side of the admin socket, for the command line."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

from chatrooms.admin.operations import Item
from chatrooms.admin.wire import LINE_BYTES_MAX, decode, encode, short_path
from chatrooms.domain.errors import Code, Refusal


class NotRunning(Exception):  # noqa: N818 -- a finding, not a fault
    """No node answers at this data directory."""


def reachable(path: Path) -> None:
    """NotRunning unless something listens at `path`."""
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            with short_path(path) as name:
                trial.connect(name)
        except OSError:
            raise NotRunning from None


async def request(path: Path, op: str, arguments: Mapping[str, Any]) -> AsyncGenerator[Item]:
    """The items a running node answers with; NotRunning, or the Refusal it gives."""
    try:
        with short_path(path) as name:
            reader, writer = await asyncio.open_unix_connection(name, limit=LINE_BYTES_MAX)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise NotRunning from None
    try:
        writer.write(encode({**arguments, "op": op}))
        await writer.drain()
        while line := await reader.readline():
            answer = decode(line)
            if "item" in answer:
                yield answer["item"]
            elif "refused" in answer:
                told = answer["refused"]
                raise Refusal(Code(told["code"]), told["message"])
            else:
                return
        raise Refusal(Code.UNAVAILABLE, "the node stopped before it had answered")
    finally:
        writer.close()
