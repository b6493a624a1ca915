"""A store that stands still while clients push: what waits is bounded, and those who go, go."""

import asyncio
import contextlib
import json
import signal
import sqlite3
import time
from collections.abc import Iterator

import psutil

from tests.integration.bad_input.scene import wait_until
from tests.integration.bad_input.wire import CLOSE, Raw, close_body, frame
from tests.integration.conftest import MakeNode
from tests.integration.node.test_conversation import history, new_room
from tests.integration.running import RunningNode

WATCHED_SECONDS = 1.0
CORE_SHARE_MAX = 0.5


@contextlib.contextmanager
def locked(node: RunningNode) -> Iterator[None]:
    """The database is another's for a while."""
    [path] = node.data_dir.glob("*.db")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def pipeline(room: str, name: str, count: int) -> bytes:
    """So many sends, each in a frame of its own."""
    ops = [
        {"t": "send", "id": 10 + n, "room": room, "cid": f"{name}{n}", "body": {"text": "x" * 900}}
        for n in range(count)
    ]
    return b"".join(frame(json.dumps(op)) for op in ops)


async def test_reset_of_a_paused_connection_is_seen_at_once(make_node: MakeNode) -> None:
    """With bytes unread, too: it is let go and the poller sleeps, though nothing is answered."""
    node = make_node(rate_limits="off")
    node.start()
    [token] = node.tokens("reset")
    room = new_room(node, "Reset", [token])
    process = psutil.Process(node.pid)
    raws = [Raw(node.ws_port) for _ in range(4)]
    for raw in raws:
        raw.hello(token)

    def open_here() -> int:
        found = process.net_connections("tcp")
        return sum(it.laddr.port == node.ws_port and it.status != "LISTEN" for it in found)

    with locked(node):
        for number, raw in enumerate(raws):
            raw.send(pipeline(room, f"r{number}-", 600))
        await asyncio.sleep(0.2)
        for raw in raws:
            raw.reset()
        used, start = sum(process.cpu_times()[:2]), time.monotonic()
        await asyncio.sleep(WATCHED_SECONDS)
        share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - start)
    assert share < CORE_SHARE_MAX
    wait_until(lambda: open_here() == 0, open_here)
    with Raw(node.ws_port) as raw:
        raw.hello(token)
        assert raw.ask(t="hist", room=room)["t"] == "ok"


def test_send_that_timed_out_does_not_hold_up_a_drain(make_node: MakeNode) -> None:
    """It was answered, so the connection may go with 4110; the retry tells what became of it."""
    node = make_node(answer_timeout_ms="100")
    node.start()
    [token] = node.tokens("late")
    room = new_room(node, "Late", [token])
    op = {"t": "send", "room": room, "cid": "late", "body": {"text": "x"}}
    with Raw(node.ws_port) as raw:
        raw.hello(token)
        with locked(node):
            told = raw.ask(**op)
        assert told["code"] in {"timeout", "unavailable"}, told
        again = raw.ask(**op)
        assert again["t"] == "ok"
        start = time.monotonic()
        node.signal(signal.SIGTERM)
        assert raw.close()[0] == 4110
        raw.send(frame(close_body(1000), CLOSE))
        assert node.wait() == 0
        assert time.monotonic() - start < 4
    node.start()
    assert [event["cid"] for event in history(node, token, room) if event["t"] == "msg"] == ["late"]
