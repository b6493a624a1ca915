"""Bytes of chat.v1: JSON objects, one a line, up to 128 of them and 64 KiB a message. Pure."""

from collections import deque
from typing import Any

import orjson

from chatrooms.client.errors import ProtocolViolation

LINES_MAX = 128
MESSAGE_BYTES_MAX = 65_536


def decode(message: bytes) -> list[dict[str, Any]]:
    """Return the objects of a server message in order; blank lines are skipped.

    Raises `ProtocolViolation` with close code 1007 for what is not UTF-8 JSON objects.
    """
    objects = []
    for line in message.split(b"\n"):
        if not line.strip():
            continue
        try:
            parsed = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ProtocolViolation("the server sent a line that is not JSON", 1007) from error
        if not isinstance(parsed, dict):
            raise ProtocolViolation("the server sent a line that is not an object", 1007)
        objects.append(parsed)
    return objects


def encode(fields: dict[str, Any]) -> bytes:
    """Return one command as a line without the line feed."""
    return orjson.dumps(fields)


def pack(lines: deque[bytes]) -> bytes | None:
    """Take as many whole lines from the front as one client message may hold."""
    taken: list[bytes] = []
    room_bytes = MESSAGE_BYTES_MAX
    while lines and len(taken) < LINES_MAX and len(lines[0]) + bool(taken) <= room_bytes:
        line = lines.popleft()
        room_bytes -= len(line) + bool(taken)
        taken.append(line)
    return b"\n".join(taken) if taken else None
