"""Out of file descriptors: newcomers are turned away, the node does not spin, chat goes on."""

import asyncio
import contextlib
import socket
import sys
import time

import psutil

from tests.integration.bad_input.scene import wait_until
from tests.integration.bad_input.wire import head
from tests.integration.conftest import MakeNode
from tests.integration.node.test_conversation import new_room
from tests.integration.talk import Talker

DESCRIPTORS = 256
WATCHED_SECONDS = 2.0
CORE_SHARE_MAX = 0.2


async def test_node_out_of_descriptors_serves_who_is_there(make_node: MakeNode) -> None:
    """Less than a fifth of a core at the limit, and everybody is let in again afterwards."""
    node = make_node(rate_limits="off")
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS},) * 2)"
    node.start(sys.executable, "-c", f"{limit}; import chatrooms.cli as c; c.main()", "serve")
    tokens = node.tokens("fd", 2)
    room = new_room(node, "Full", tokens)
    process = psutil.Process(node.pid)
    assert process.rlimit(psutil.RLIMIT_NOFILE)[0] == DESCRIPTORS
    async with Talker(node.ws_url, tokens[0]) as ada, Talker(node.ws_url, tokens[1]) as grace:
        await grace.ask("sub", room=room)
        with contextlib.ExitStack() as crowd:
            fill(crowd, node.ws_port)
            refused = crowd.enter_context(socket.create_connection(("127.0.0.1", node.ws_port)))
            refused.settimeout(10)
            assert await asyncio.to_thread(ended, refused)
            used = sum(process.cpu_times()[:2])
            start = time.monotonic()
            for number in range(20):
                assert (await ada.send(room, "x", f"c{number}"))["t"] == "ok"
                await asyncio.sleep(WATCHED_SECONDS / 20)
            await grace.messages(room, 20)
            share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - start)
            assert share < CORE_SHARE_MAX
        wait_until(lambda: process.num_fds() < DESCRIPTORS // 2, process.num_fds)
        async with Talker(node.ws_url, tokens[1]) as back:
            assert (await back.ask("sub", room=room))["t"] == "ok"


def fill(crowd: contextlib.ExitStack, port: int) -> None:
    """More connections than there are descriptors, all with a good handshake."""
    for _ in range(DESCRIPTORS):
        one = crowd.enter_context(socket.create_connection(("127.0.0.1", port)))
        with contextlib.suppress(ConnectionError):
            one.sendall(head())


def ended(one: socket.socket) -> bool:
    """Whether the server ends the stream without a word, or resets it."""
    try:
        return one.recv(1) == b""
    except ConnectionResetError:
        return True
