"""The store cannot write: a typed answer, no ack, no crash, and it heals by itself."""

import sqlite3
from contextlib import closing

import httpx

from tests.integration.conftest import MakeNode
from tests.integration.node.test_conversation import history, new_room, texts
from tests.integration.running import RunningNode
from tests.integration.talk import Talker


async def ready(node: RunningNode) -> int:
    """The status of `/readyz`."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        return (await client.get(f"{node.rest_url}/readyz")).status_code


async def test_locked_store_refuses_and_heals(node: RunningNode) -> None:
    """Another process holds the database: `unavailable`, retryable; reads go on; then `ok`."""
    [token] = node.tokens("ada")
    room = new_room(node, "Locked", [token])
    async with Talker(node.ws_url, token) as ada:
        await ada.ask("sub", room=room)
        await ada.send(room, "before", "c0")
        with closing(sqlite3.connect(node.data_dir / "chat.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = await ada.send(room, "while locked", "c1")
            assert (refused["t"], refused["code"]) == ("err", "unavailable")
            assert refused["retry"] is True
            assert await ready(node) == 503
            assert (await ada.ask("hist", room=room))["t"] == "ok"
            other.execute("ROLLBACK")
        again = await ada.send(room, "while locked", "c1")
        assert again["t"] == "ok"
        assert "dup" not in again
        assert texts(await ada.messages(room, 2)) == ["before", "while locked"]
    assert await ready(node) == 200
    assert texts(history(node, token, room)) == ["before", "while locked"]


async def test_slow_store_is_answered_timeout_once(make_node: MakeNode) -> None:
    """After `timeout` the message still comes, and a retry with the same cid says `dup`."""
    node = make_node(answer_timeout_ms="200")
    node.start()
    [token] = node.tokens("ada")
    room = new_room(node, "Slow", [token])
    async with Talker(node.ws_url, token) as ada:
        await ada.ask("sub", room=room)
        with closing(sqlite3.connect(node.data_dir / "chat.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            [number] = await ada.say(
                {"t": "send", "room": room, "cid": "c1", "body": {"text": "slow"}}
            )
            slow = await ada.reply(number)
            assert (slow["t"], slow["code"]) == ("err", "timeout")
            other.execute("ROLLBACK")
        [heard] = await ada.messages(room, 1)
        again = await ada.send(room, "slow", "c1")
        assert (again["seq"], again["dup"]) == (heard["seq"], True)
        assert len([frame for frame in ada.frames if frame.get("id") == number]) == 1
