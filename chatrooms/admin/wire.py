"""JSON lines on the admin socket: one request, then items, then `end` or `refused`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from chatrooms.domain.errors import Code, Refusal

LINE_BYTES_MAX: Final = 65_536
"""Longest line either side accepts."""


def encode(message: object) -> bytes:
    """One line."""
    return orjson.dumps(message) + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The object of one line; Refusal `bad_request` for anything else."""
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        raise Refusal(Code.BAD_REQUEST, "a line must be one JSON object")
    return message


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name of `path` that fits a socket address (108 bytes), however deep its folder lies."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
