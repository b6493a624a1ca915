"""A raw socket that says exactly the bytes it is given: heads, masks and frames made by hand."""

import base64
import hashlib
import json
import os
import socket
import struct
from types import TracebackType
from typing import Any, NamedTuple, Self

ANSWER_SECONDS = 15.0
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RSV1 = 0x80, 0x40
MARKER = "q7Zmarker"
"""Stands in bad input wherever there is room for it; no answer may hold it."""
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Protocol": "chat.v1",
}


class Answer(NamedTuple):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Frame(NamedTuple):
    """A frame from the server; `wire` is all of it, header included."""

    opcode: int
    payload: bytes
    wire: bytes


class EndedError(ConnectionError):
    """The stream has ended, or was reset, where more was expected."""


def masked(payload: bytes, mask: bytes) -> bytes:
    """RFC 6455 section 5.3."""
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    whole = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return whole.to_bytes(len(payload), "big")


def header(first: int, length: int, mask_bit: int = 0x80) -> bytes:
    """The first byte, then the length in its shortest form."""
    if length < 126:
        return bytes([first, mask_bit | length])
    if length < 1 << 16:
        return struct.pack("!BBH", first, mask_bit | 126, length)
    return struct.pack("!BBQ", first, mask_bit | 127, length)


def frame(payload: bytes | str = b"", opcode: int = TEXT, bits: int = FIN) -> bytes:
    """A masked frame; `bits` are FIN and the reserved ones."""
    data = payload.encode() if isinstance(payload, str) else payload
    mask = os.urandom(4)
    return header(bits | opcode, len(data)) + mask + masked(data, mask)


def close_body(code: int, reason: bytes = b"") -> bytes:
    """The payload of a close frame."""
    return struct.pack("!H", code) + reason


def head(
    changes: dict[str, str | None] | None = None, start: str = "GET /ws HTTP/1.1", extra: str = ""
) -> bytes:
    """A good handshake with some fields changed or (None) left out, and raw lines added."""
    fields = {**UPGRADE, **(changes or {})}
    lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value is not None]
    return f"{start}\r\n{''.join(lines)}{extra}\r\n".encode("latin-1")


class Raw:
    """One blocking TCP connection."""

    def __init__(self, port: int, receive_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(ANSWER_SECONDS)
        self._socket.connect(("127.0.0.1", port))
        self._read = b""
        self._id = 0

    def __enter__(self) -> Self:
        """Is open already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the stream."""
        self._socket.close()

    def reset(self) -> None:
        """Ends with RST instead of FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def half_close(self) -> None:
        """No more bytes from here; the other direction stays open."""
        self._socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> bool:
        """Sends bytes; `False` if the server does not take any more."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def answer(self) -> Answer:
        """The HTTP answer, whole."""
        top = self._until(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = top.removesuffix("\r\n\r\n").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        status = int(status_line.split(" ")[1])
        body = b"" if status == 101 else self._exactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body)

    def upgrade(self, changes: dict[str, str | None] | None = None) -> Answer:
        """A handshake that must be accepted."""
        self.send(head(changes))
        answer = self.answer()
        assert answer.status == 101, answer
        digest = hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324 -- RFC 6455
        assert answer.headers["sec-websocket-accept"] == base64.b64encode(digest).decode()
        return answer

    def hello(self, token: str, **fields: Any) -> dict[str, Any]:
        """A handshake and a `hello` that must be welcomed."""
        self.upgrade()
        self.say({"t": "hello", "token": token, **fields})
        welcome = self.line()
        assert welcome["t"] == "welcome", welcome
        return welcome

    def say(self, *ops: dict[str, Any]) -> int:
        """Ops in one frame with growing ids; the last id."""
        lines = []
        for op in ops:
            self._id += 1
            lines.append(json.dumps({**op, "id": self._id}))
        self.send(frame("\n".join(lines)))
        return self._id

    def ask(self, **op: Any) -> dict[str, Any]:
        """An op and its reply; what comes between is passed over."""
        number = self.say(op)
        return self.reply(number)

    def reply(self, number: int) -> dict[str, Any]:
        """The reply with that id."""
        while True:
            line = self.line()
            if line.get("id") == number:
                return line

    def line(self) -> dict[str, Any]:
        """The next JSON line that is no `ping`."""
        lines = [line for line in self.lines() if line["t"] != "ping"]
        while not lines:
            lines = [line for line in self.lines() if line["t"] != "ping"]
        for rest in reversed(lines[1:]):
            again = json.dumps(rest).encode()
            self._read = header(FIN | TEXT, len(again), 0) + again + self._read
        line: dict[str, Any] = lines[0]
        return line

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the next text frame."""
        got = self.frame()
        assert got.opcode == TEXT, got
        return [json.loads(line) for line in got.payload.split(b"\n")]

    def frame(self) -> Frame:
        """The next frame: unmasked, and in the shortest form."""
        start = self._exactly(2)
        assert start[1] & 0x80 == 0, "servers do not mask"
        length = start[1] & 0x7F
        if length > 125:
            extended = self._exactly(2 if length == 126 else 8)
            start += extended
            length = int.from_bytes(extended, "big")
        payload = self._exactly(length)
        return Frame(start[0] & 0x0F, payload, start + payload)

    def close(self) -> tuple[int | None, str]:
        """Code and reason of the close frame that comes; frames before it are passed over."""
        while True:
            got = self.frame()
            if got.opcode != CLOSE:
                continue
            if not got.payload:
                return None, ""
            return int.from_bytes(got.payload[:2], "big"), got.payload[2:].decode()

    def ended(self) -> None:
        """Returns when the server has ended the stream."""
        try:
            while self._more():
                pass
        except EndedError:
            return

    def take(self, count: int) -> bytes:
        """At most `count` bytes of what has come, without looking into them."""
        return self._socket.recv(count)

    def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            self._more()
        found, self._read = self._read.split(end, 1)
        return found + end

    def _exactly(self, count: int) -> bytes:
        while len(self._read) < count:
            self._more()
        taken, self._read = self._read[:count], self._read[count:]
        return taken

    def _more(self) -> int:
        try:
            data = self._socket.recv(1 << 18)
        except ConnectionResetError as error:
            raise EndedError from error
        if not data:
            raise EndedError
        self._read += data
        return len(data)
