"""A node under attack, with two healthy people on it who must not notice."""

import contextlib
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.integration.bad_input.wire import ANSWER_SECONDS, Raw
from tests.integration.node.test_conversation import new_room
from tests.integration.running import RunningNode

KEPT_MAX = 8
RSS_GROWTH_BYTES_MAX = 96 * 1024 * 1024


def wait_until(true: Callable[[], bool], what: Callable[[], object]) -> None:
    """Polls another process; fails with `what` it was instead."""
    until = time.monotonic() + ANSWER_SECONDS
    while not true():
        assert time.monotonic() < until, what()
        time.sleep(0.02)


class Pair:
    """Two members of one room, on a client that others wrote."""

    def __init__(self, node: RunningNode, names: tuple[str, str]) -> None:
        self._stack = contextlib.ExitStack()
        self.tokens = [node.tokens(name)[0] for name in names]
        self.room = new_room(node, "Healthy", self.tokens)
        self._sockets = [self._join(node.ws_url, token) for token in self.tokens]
        self._turns = itertools.count()

    def _join(self, url: str, token: str) -> ClientConnection:
        protocol = Subprotocol("chat.v1")
        socket = self._stack.enter_context(
            connect(url, subprotocols=[protocol], compression=None, proxy=None, ping_interval=0.4)
        )
        socket.send(json.dumps({"t": "hello", "id": 1, "token": token}))
        socket.send(json.dumps({"t": "sub", "id": 2, "room": self.room}))
        self._seq: int = self._find(socket, lambda line: line.get("id") == 2)["seq"]
        return socket

    @staticmethod
    def _find(socket: ClientConnection, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            for text in str(socket.recv(ANSWER_SECONDS)).split("\n"):
                line: dict[str, Any] = json.loads(text)
                assert line["t"] not in {"err", "gap"}, line
                if wanted(line):
                    return line

    def exchange(self) -> None:
        """One says something, in turn; both hear it, next in order."""
        turn = next(self._turns)
        cid = f"healthy-{turn}"
        speaker = self._sockets[turn % 2]
        op = {"t": "send", "id": turn + 3, "room": self.room, "cid": cid, "body": {"text": cid}}
        speaker.send(json.dumps(op))
        self._seq += 1
        for socket in self._sockets:
            heard = self._find(socket, lambda line: line["t"] == "msg")
            assert (heard["seq"], heard["cid"]) == (self._seq, cid)

    def leave(self) -> None:
        """Closes both with 1000."""
        self._stack.close()


class Scene:
    """Node and pair; knows what the process was like before the attack."""

    def __init__(self, node: RunningNode) -> None:
        self.node = node
        self.pair = Pair(node, ("healthy-ada", "healthy-grace"))
        [self.token] = node.tokens("attacker")
        self.room = new_room(node, "Attacked", [self.token])
        self.pair.exchange()
        self.process = psutil.Process(node.pid)
        self._threads = self.process.num_threads()
        self._descriptors = self.process.num_fds()
        self._bytes = self.process.memory_info().rss

    @property
    def port(self) -> int:
        """Of the sockets."""
        return self.node.ws_port

    def raw(self, receive_bytes: int | None = None) -> Raw:
        """A new connection."""
        return Raw(self.port, receive_bytes)

    def upgraded(self) -> Raw:
        """A new connection after a good handshake."""
        raw = Raw(self.port)
        raw.upgrade()
        return raw

    def live(self, token: str | None = None, **fields: Any) -> Raw:
        """A new connection after a good `hello`."""
        raw = Raw(self.port)
        raw.hello(token or self.token, **fields)
        return raw

    def metrics(self) -> dict[str, float]:
        """Prometheus text as sample -> value."""
        text = httpx.get(f"{self.node.rest_url}/metrics", trust_env=False).raise_for_status().text
        rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in rows}

    def _sockets(self) -> list[Any]:
        """Connections of the process on the sockets port, its listener apart."""
        found = self.process.net_connections("tcp")
        return [it for it in found if it.laddr.port == self.port and it.status != "LISTEN"]

    def assert_unharmed(self) -> None:
        """The same process, the pair talking, nothing left behind, nothing in the log."""
        self.pair.exchange()
        process = self.process
        assert process.is_running()
        wait_until(lambda: len(self._sockets()) == 2, self._sockets)
        # Pools open a file or start a thread when they first need it, and keep it.
        wait_until(lambda: process.num_fds() <= self._descriptors + KEPT_MAX, process.open_files)
        assert process.num_threads() <= self._threads + KEPT_MAX
        assert process.memory_info().rss - self._bytes < RSS_GROWTH_BYTES_MAX
        log = self.node.log()
        assert "Traceback" not in log, log
        assert "panicked" not in log, log
        assert self.token not in log
