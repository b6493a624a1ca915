"""`granian --interface asgi chatrooms.asgi:app` serves what `chatrooms serve` does."""

import signal
import sys

from tests.integration.conftest import MakeNode
from tests.integration.node.test_conversation import history, new_room, texts
from tests.integration.running import RunningNode
from tests.integration.talk import Talker


def granian(node: RunningNode) -> list[str]:
    """The command line of granian for the ports of `node`."""
    return [
        sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1",
        "--port", str(node.http_port), "--workers-kill-timeout", "12", "--no-ws",
        "chatrooms.asgi:app",
    ]  # fmt: skip


async def test_granian_serves_the_same_node(make_node: MakeNode) -> None:
    """REST, sockets, commands beside it, drain at SIGTERM, and everything kept."""
    node = make_node()
    node.start(*granian(node))
    [token] = node.tokens("ada")
    room = new_room(node, "Granian", [token])
    async with Talker(node.ws_url, token) as ada:
        await ada.ask("sub", room=room)
        assert (await ada.send(room, "over granian", "c1"))["t"] == "ok"
        await ada.messages(room, 1)
        terminated = node.pid
        node.signal(signal.SIGTERM)
        notice = await ada.event(lambda event: event["t"] == "notice")
        code, _ = await ada.closed()
    assert (notice["code"], code) == ("drain", 4110)
    assert node.wait() == 0
    node.start()
    assert node.pid != terminated
    assert texts(history(node, token, room)) == ["over granian"]


def test_granian_says_why_it_cannot_start(node: RunningNode, make_node: MakeNode) -> None:
    """One sentence of ours in its log, and it ends."""
    other = make_node(data_dir=str(node.data_dir))
    done = other.run(granian(other))
    assert done.returncode != 0
    assert f"in use by another node (process {node.pid})" in done.stdout + done.stderr
