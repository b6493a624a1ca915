"""One room on websockets, by its own `broadcast`. Prints its port, then serves."""

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

_members: set[ServerConnection] = set()


async def member(connection: ServerConnection) -> None:
    """Joins, says what it hears to everybody, leaves."""
    _members.add(connection)
    try:
        async for message in connection:
            broadcast(_members, message)
    finally:
        _members.discard(connection)


async def run() -> None:
    """Serves until it is ended."""
    async with serve(member, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        sys.stdout.write(f"{next(iter(server.sockets)).getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
