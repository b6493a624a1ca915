"""A TCP proxy that breaks what it carries: the bad road between an SDK client and its node."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit

READ_BYTES: Final = 65_536


class Road:
    """Carries bytes both ways, until told otherwise. `heard` is all that clients were told."""

    def __init__(self, target: str) -> None:
        """`target` is the node's socket, ws://host:port/path."""
        self.carried = 0
        self.cuts = 0
        self.heard = bytearray()
        self.blocked = False
        self._target = urlsplit(target)
        self._ways: set[Way] = set()
        self._port = 0

    @property
    def url(self) -> str:
        """The socket, by this road."""
        return self._target._replace(netloc=f"127.0.0.1:{self._port}").geturl()

    def cut(self) -> None:
        """Ends every connection at once, without a goodbye on either side."""
        for way in list(self._ways):
            way.cut()

    def cut_unheard(self) -> None:
        """Ends each connection in place of the next thing the node says on it."""
        for way in self._ways:
            way.deaf = True

    def block(self) -> None:
        """Ends every connection and lets none through until `blocked` is False."""
        self.blocked = True
        self.cut()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Road"]:
        """Listens on a free port as long as the context lasts."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.blocked:
            writer.transport.abort()
            return
        try:
            host, port = self._target.hostname, self._target.port
            node_reader, node_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        self.carried += 1
        way = Way(self, writer, node_writer)
        self._ways.add(way)
        try:
            await asyncio.gather(way.ask(reader), way.answer(node_reader))
        finally:
            way.cut()
            self._ways.discard(way)


class Way:
    """One connection of a client, and the one to the node that stands for it."""

    def __init__(
        self, road: Road, client: asyncio.StreamWriter, node: asyncio.StreamWriter
    ) -> None:
        self.deaf = False
        self._road = road
        self._client = client
        self._node = node

    def cut(self) -> None:
        """Resets both sides."""
        self._client.transport.abort()
        self._node.transport.abort()

    async def ask(self, reader: asyncio.StreamReader) -> None:
        """Carries from the client to the node."""
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(READ_BYTES):
                self._node.write(chunk)
        self._node.close()

    async def answer(self, reader: asyncio.StreamReader) -> None:
        """Carries from the node to the client."""
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(READ_BYTES):
                if self.deaf:
                    self._road.cuts += 1
                    self.cut()
                    return
                self._road.heard += chunk
                self._client.write(chunk)
        self._client.close()
