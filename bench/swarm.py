"""The load client: many raw sockets in one process, counting markers, not frames.

Run as a program it speaks JSON lines with the benchmark that started it: one line in is a job, one
line out its result. A message carries MARKER once and nothing else does, frame headers included, so
that counting it counts deliveries however they were packed into frames and reads.
"""

import base64
import json
import os
import selectors
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

MARKER: Final = b'"~x'
_CARRY: Final = len(MARKER) - 1
_READ_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server is spoken to: path, subprotocol, what to say first, how a message looks.

    Connection number n logs in by token n and subscribes to room n modulo their number.
    """

    port: int
    path: str
    subprotocol: str | None
    tokens: list[str]
    rooms: list[str]
    message: str


def mask_frame(payload: bytes) -> bytes:
    """A masked text frame (RFC 6455 section 5.3) with the zero key: the payload stays legible."""
    length = len(payload)
    head = bytes([0x81, 0x80 | length]) if length < 126 else b"\x81\xfe" + length.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


class Swarm:
    """Connections to one server; the first one publishes to its room."""

    def __init__(self, dialect: Dialect, count: int) -> None:
        self._dialect = dialect
        self._selector = selectors.DefaultSelector()
        self._buffer = bytearray(_READ_BYTES)
        self._sent = 0
        self.received = 0
        self._tails: dict[int, bytes] = {}
        self.sockets: list[socket.socket] = []
        self.grow(count)

    def grow(self, count: int) -> None:
        """Opens `count` connections more, each logged in and subscribed when this returns."""
        for index in range(len(self.sockets), len(self.sockets) + count):
            member = self._connect(index)
            member.setblocking(False)
            self._selector.register(member, selectors.EVENT_READ)
            self.sockets.append(member)

    def _connect(self, index: int) -> socket.socket:
        dialect = self._dialect
        member = socket.create_connection(("127.0.0.1", dialect.port))
        member.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {dialect.path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        if dialect.subprotocol:
            lines.append(f"Sec-WebSocket-Protocol: {dialect.subprotocol}")
        member.sendall("\r\n".join([*lines, "", ""]).encode())
        self._until(member, b"\r\n\r\n")
        if dialect.tokens:
            hello = {"t": "hello", "id": 1, "token": dialect.tokens[index]}
            subscribe = {"t": "sub", "id": 2, "room": dialect.rooms[index % len(dialect.rooms)]}
            member.sendall(mask_frame(json.dumps(hello).encode()))
            self._until(member, b'"welcome"')
            member.sendall(mask_frame(json.dumps(subscribe).encode()))
            self._until(member, b'"online"')
        return member

    @staticmethod
    def _until(member: socket.socket, sign: bytes) -> None:
        seen = b""
        while sign not in seen:
            more = member.recv(65536)
            if not more:
                raise ConnectionError(f"closed before {sign!r}: {seen[-300:]!r}")
            seen += more

    def publish(self, count: int) -> None:
        """Sends `count` messages in one write."""
        frames = bytearray()
        for _ in range(count):
            self._sent += 1
            frames += mask_frame(
                self._dialect.message.replace("SERIAL", f"{self._sent:08d}").encode()
            )
        self.sockets[0].setblocking(True)
        self.sockets[0].sendall(frames)
        self.sockets[0].setblocking(False)

    def pump(self, seconds: float) -> None:
        """Reads what is there, waiting at most `seconds` for something."""
        for key, _ in self._selector.select(seconds):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                size = sock.recv_into(self._buffer)
            except BlockingIOError:
                continue
            if size == 0:
                raise ConnectionError("a member was closed")
            seam = self._tails.get(key.fd, b"") + self._buffer[: min(size, _CARRY)]
            self.received += self._buffer.count(MARKER, 0, size) + seam.count(MARKER)
            self._tails[key.fd] = bytes(self._buffer[max(0, size - _CARRY) : size])

    def settle(self, expected: int, seconds: float) -> None:
        """Reads until `expected` deliveries came in all, or fails after `seconds`."""
        until = time.monotonic() + seconds
        while self.received < expected:
            self.pump(0.1)
            if time.monotonic() > until:
                raise TimeoutError(f"{self.received} of {expected} deliveries")

    def close(self) -> None:
        """Lets every connection go."""
        for member in self.sockets:
            member.close()
        self._selector.close()


def closed_loop(swarm: Swarm, members: int, messages: int, in_flight: int) -> dict[str, Any]:
    """`messages` in all, never more than `in_flight` of them not yet everywhere."""
    start = swarm.received
    sent = 0
    while sent < messages:
        done = (swarm.received - start) // members
        free = min(in_flight - (sent - done), messages - sent)
        if free > 0:
            swarm.publish(free)
            sent += free
        else:
            swarm.pump(1.0)
    swarm.settle(start + messages * members, 30)
    return {"deliveries": swarm.received - start}


def open_loop(swarm: Swarm, members: int, rate: float, seconds: float) -> dict[str, Any]:
    """`rate` messages a second; delays run from the intended send time to the last member."""
    start, began = swarm.received, time.monotonic()
    count = int(rate * seconds)
    delays: list[float] = []
    for nth in range(count):
        due = began + nth / rate
        while (now := time.monotonic()) < due:
            swarm.pump(due - now)
        swarm.publish(1)
        swarm.settle(start + (nth + 1) * members, 30)
        delays.append(time.monotonic() - due)
    delays.sort()
    return {
        "deliveries": swarm.received - start,
        "p50_ms": delays[len(delays) // 2] * 1e3,
        "p99_ms": delays[int(len(delays) * 0.99)] * 1e3,
    }


def main() -> None:
    """Serves jobs until the input ends."""
    swarm: Swarm | None = None
    members = 0
    for line in sys.stdin:
        job = json.loads(line)
        match job.pop("do"):
            case "open":
                members = job.pop("members")
                swarm = Swarm(Dialect(**job), members)
                answer: dict[str, Any] = {}
            case "grow" if swarm:
                swarm.grow(job["members"])
                answer = {}
            case "closed" if swarm:
                answer = closed_loop(swarm, job.pop("receivers"), **job)
            case "open_loop" if swarm:
                answer = open_loop(swarm, job.pop("receivers"), **job)
            case "surplus" if swarm:
                before = swarm.received
                for _ in range(5):
                    swarm.pump(0.05)
                answer = {"surplus": swarm.received - before}
            case other:
                raise ValueError(other)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
