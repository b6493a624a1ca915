"""The node as an ASGI application, for `granian --interface asgi chatrooms.asgi:app`.

Settings come from the environment and the TOML file. The lifespan starts the sockets, whose port
is ws_port as ever, and its shutdown drains them: give granian `--workers-kill-timeout` 12 or
more. One worker: a data directory has one node.
"""

import asyncio

from starlette.types import Receive, Scope, Send

from chatrooms import bootstrap
from chatrooms.config import ConfigError, load
from chatrooms.listening import PortTaken, probe
from chatrooms.node import tune_process
from chatrooms.observability.logs import configure_logs


class Application:
    """Builds its node when the lifespan begins: a module that is imported starts nothing."""

    def __init__(self) -> None:
        self._built: bootstrap.Built | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One lifespan, or one request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif self._built is None:
            raise RuntimeError("chatrooms.asgi:app needs a server that runs the ASGI lifespan")
        else:
            await self._built.rest(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            built = await _start()
        except (ConfigError, PortTaken, bootstrap.StoreUnusable, OSError) as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._built = built
        drained = asyncio.create_task(_drain_when_told(built))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        built.node.leaving.set()
        await drained
        await built.node.stop()
        await send({"type": "lifespan.shutdown.complete"})


async def _start() -> bootstrap.Built:
    config = load().config
    configure_logs(config.log_level, json=bootstrap.logs_are_json(config))
    tune_process()
    probe(config.host, config.ws_port)
    built = await bootstrap.build(config)
    try:
        await built.node.start()
    except BaseException:
        await built.node.stop()
        raise
    return built


async def _drain_when_told(built: bootstrap.Built) -> None:
    await built.node.leaving.wait()
    await built.node.drain()


app = Application()
