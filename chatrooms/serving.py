"""`chatrooms serve`: one process with REST, sockets and store, and what signals do to it.

granian's embedded server carries REST; its sockets are not used (it cannot close them on
shutdown), nor are its signal handlers. Order at the end: readiness off, sockets drained, HTTP
last, so that a probe sees 503 and the last requests are answered.
"""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server
from starlette.types import ASGIApp

from chatrooms import bootstrap
from chatrooms.config import Config
from chatrooms.listening import probe, reachable_host
from chatrooms.node import running, tune_process
from chatrooms.observability.logs import GRANIAN_LOGGING

_log = structlog.get_logger(__name__)

_BACKLOG: Final = 1_024
_LISTEN_SECONDS: Final = 10.0
_HTTP_STOP_SECONDS: Final = 2.0
_HEAD_BYTES_MAX: Final = 16_384


class ServerDied(Exception):  # noqa: N818 -- a finding, not a fault
    """The HTTP server ended, or never began; the message is one sentence."""


def serve(config: Config, announce: Callable[[], None]) -> int:
    """Runs a node until it is told to leave; the exit code. PortTaken before anything starts.

    `announce` is called once both ports answer.
    """
    probe(config.host, config.http_port)
    probe(config.host, config.ws_port)
    if config.production:
        probe(config.admin_host, config.admin_port)
    tune_process()
    return uvloop.run(_run(config, announce))


async def _run(config: Config, announce: Callable[[], None]) -> int:
    built = await bootstrap.build(config)
    node = built.node
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.leaving.set)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(running(node))
        http = await stack.enter_async_context(
            _http(built.rest, config.host, config.http_port, config)
        )
        watched = [http]
        if config.production:
            watched.append(
                await stack.enter_async_context(
                    _http(built.metrics_endpoint, config.admin_host, config.admin_port, config)
                )
            )
        gc.collect()
        gc.freeze()
        announce()
        leaving = loop.create_task(node.leaving.wait())
        await asyncio.wait([leaving, *watched], return_when=asyncio.FIRST_COMPLETED)
        died = not node.leaving.is_set()
        leaving.cancel()
        if died:
            _log.error("the HTTP server ended by itself")
        await node.drain()
    return int(died)


@contextlib.asynccontextmanager
async def _http(
    application: ASGIApp, host: str, port: int, config: Config
) -> AsyncIterator[asyncio.Task[None]]:
    """Serves an ASGI application; inside the block its port answers."""
    server = Server(
        application,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.auto,
        websockets=False,
        backlog=_BACKLOG,
        http1_settings=HTTP1Settings(max_buffer_size=_HEAD_BYTES_MAX, header_read_timeout=10_000),
        log_dictconfig=dict(GRANIAN_LOGGING),
        log_level=LogLevels.debug if config.log_level == "debug" else LogLevels.error,
        log_access=False,
    )
    task = asyncio.get_running_loop().create_task(server.serve())
    try:
        await _until_it_answers(reachable_host(host), port, task)
        yield task
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait([task], timeout=_HTTP_STOP_SECONDS)


async def _until_it_answers(host: str, port: int, task: asyncio.Task[None]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LISTEN_SECONDS):
            while not task.done():
                try:
                    _, writer = await asyncio.open_connection(host, port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.005)
                    continue
                writer.close()
                return
    raise ServerDied(f"the HTTP server does not answer on {host}:{port}")
