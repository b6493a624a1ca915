"""One room on picows: whatever a member says goes to everybody. Prints its port, then serves."""

import asyncio
import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

_members: set[WSTransport] = set()


class Member(WSListener):
    """A member of the room."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Joins."""
        _members.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Leaves."""
        _members.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Says it to everybody; the payload is copied once."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            payload = frame.get_payload_as_bytes()
            for member in _members:
                member.send(WSMsgType.TEXT, payload)


def _listener(_request: WSUpgradeRequest) -> Member:
    return Member()


async def serve() -> None:
    """Serves until it is ended."""
    server = await ws_create_server(_listener, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
