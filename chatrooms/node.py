"""A node: its parts started in order, drained, and stopped in the opposite order."""

import asyncio
import contextlib
import os
import resource
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from chatrooms import __version__
from chatrooms.admin.server import AdminServer
from chatrooms.domain.errors import Refusal
from chatrooms.ingress.pump import Pump
from chatrooms.ports.gateway import Gateway

_log = structlog.get_logger(__name__)

_POLL_SECONDS: Final = 0.01
_SWITCH_SECONDS: Final = 0.0005
_SETTLE_SECONDS: Final = 2.0
"""For what was taken from the sockets and waits for the store when they have gone."""
_CLOSE_SECONDS: Final = 1.0
"""Beyond the notice and its window: for closes that are not answered."""


class Sockets(Protocol):
    """The data plane as a process part."""

    def start(self) -> None:
        """Binds and starts threads; OSError when the address is taken."""
        ...

    def stop(self) -> None:
        """Closes what is left and joins the threads; idempotent."""
        ...

    def address(self) -> tuple[str, int]:
        """The bound (host, port)."""
        ...


class Store(Protocol):
    """The store as a process part."""

    async def ping(self) -> None:
        """Raises Refusal when the store cannot write."""
        ...

    async def close(self) -> None:
        """Finishes what was queued and frees the data directory."""
        ...


@dataclass(frozen=True, slots=True)
class DrainTimes:
    """Over how long notices are spread, and what lies between a notice and its close."""

    window_ms: int
    notice_ms: int

    @property
    def deadline_seconds(self) -> float:
        """When the sockets that are left are closed anyway."""
        return (self.window_ms + self.notice_ms) / 1000 + _CLOSE_SECONDS


@dataclass(frozen=True, slots=True)
class Parts:
    """What a node is made of; `prepare` runs once everything listens (the demo room)."""

    store: Store
    sockets: Sockets
    gateway: Gateway
    pump: Pump
    admin: AdminServer
    prepare: Callable[[], Awaitable[None]]
    close_pools: Callable[[], None]


class Node:
    """`leaving` is set by whoever wants the node to go: a signal, or the drain command."""

    def __init__(self, times: DrainTimes) -> None:
        self.id = secrets.token_hex(4)
        self.leaving = asyncio.Event()
        self._times = times
        self._parts: Parts | None = None
        self._ready = False

    @property
    def parts(self) -> Parts:
        """What the node is made of, once `assemble` was called."""
        if self._parts is None:
            raise RuntimeError("the node has no parts yet")
        return self._parts

    def assemble(self, parts: Parts) -> None:
        """Gives the node its parts; they know its health, so it comes before them."""
        self._parts = parts

    async def start(self) -> None:
        """Opens the sockets last, so that nobody is let in before they can be served."""
        parts = self.parts
        await parts.admin.start()
        await parts.prepare()
        parts.sockets.start()
        parts.pump.start()
        self._ready = True
        _log.info("node started", node=self.id, version=__version__, pid=os.getpid())

    async def drain(self) -> None:
        """Lets every connection go: notice, answers to what it sent, close 4110."""
        self._ready = False
        self.leaving.set()
        parts = self.parts
        open_now = parts.gateway.open_connections()
        _log.info("draining", node=self.id, connections=open_now)
        parts.gateway.drain(self._times.window_ms)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._times.deadline_seconds):
                while parts.gateway.open_connections() > 0:  # noqa: ASYNC110 -- threads close
                    await asyncio.sleep(_POLL_SECONDS)
        await parts.pump.settle(_SETTLE_SECONDS)
        _log.info("drained", node=self.id, left=parts.gateway.open_connections())

    async def stop(self) -> None:
        """Closes sockets, then the pump that feeds on them, then the store."""
        self._ready = False
        parts = self.parts
        await parts.admin.close()
        await parts.pump.stop()
        parts.sockets.stop()
        await parts.store.close()
        parts.close_pools()
        _log.info("node stopped", node=self.id)

    def health(self) -> dict[str, object]:
        """Who answers: a probe sees a restart by the pid."""
        return {"node": self.id, "pid": os.getpid(), "version": __version__}

    async def ready(self) -> bool:
        """Whether the sockets listen, the store can write and nobody asked the node to leave."""
        if not self._ready or self.leaving.is_set():
            return False
        try:
            await self.parts.store.ping()
        except Refusal:
            return False
        return True


def tune_process() -> None:
    """What a process that holds sockets needs, before it starts a thread.

    The switch interval of 5 ms would let a busy thread hold up a commit at every step (GIL). Each
    connection is a file; the soft limit on those is for programs that use select(2).
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.asynccontextmanager
async def running(node: Node) -> AsyncIterator[Node]:
    """Starts `node` and stops it whatever happens, a start that failed half-way included."""
    try:
        await node.start()
        yield node
    finally:
        await node.stop()
