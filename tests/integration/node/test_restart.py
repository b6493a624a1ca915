"""A node that comes back: nothing that was acked is lost, tokens and cids go on."""

import pytest

from tests.integration.node.test_conversation import history, new_room, texts
from tests.integration.running import RunningNode
from tests.integration.talk import Talker


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"])
async def test_restart_loses_nothing(node: RunningNode, end: str) -> None:
    """Everybody carries on where they were, on the same ports and data directory."""
    [token] = node.tokens("ada")
    room = new_room(node, "Kept", [token])
    async with Talker(node.ws_url, token) as ada:
        at = await ada.ask("sub", room=room)
        acked = [await ada.send(room, f"m{number}", f"m{number}") for number in range(20)]
        if end == "SIGTERM":
            assert node.stop() == 0
        else:
            node.kill()
    node.start()
    assert texts(history(node, token, room)) == [f"m{number}" for number in range(20)]
    async with Talker(node.ws_url, token, {room: [at["epoch"], acked[9]["seq"]]}) as back:
        assert back.welcome["resume"][room][:3] == ["ok", at["epoch"], acked[-1]["seq"]]
        missed = await back.messages(room, 10)
        again = await back.send(room, "m3", "m3")
        new = await back.send(room, "new", "new")
    assert texts(missed) == [f"m{number}" for number in range(10, 20)]
    assert (again["seq"], again["dup"]) == (acked[3]["seq"], True)
    assert new["seq"] == acked[-1]["seq"] + 1
    verified = node.cli("verify")
    assert verified.returncode == 0, verified.stdout
    assert ", 0 findings" in verified.stdout


async def test_read_marks_outlive_a_restart(node: RunningNode) -> None:
    """Unread counts are stored, not remembered."""
    [token] = node.tokens("ada")
    room = new_room(node, "Marks", [token])
    async with Talker(node.ws_url, token) as ada:
        for number in range(4):
            await ada.send(room, "x", f"c{number}")
        assert (await ada.ask("read", room=room, n=3))["unread"] == 1
    node.restart()
    async with Talker(node.ws_url, token) as ada:
        assert (await ada.ask("sub", room=room))["read"] == 3


@pytest.mark.parametrize("place", ["store.before_commit", "store.mid_commit", "store.after_commit"])
async def test_armed_kill_loses_nothing_acked(node: RunningNode, place: str) -> None:
    """The process dies at the worst moment; the retry with the same cid tells what was kept."""
    [token] = node.tokens("ada")
    room = new_room(node, "Armed", [token])
    assert node.stop() == 0
    node.environment["CHATROOMS_FAILPOINTS"] = f"{place}=abort@3"
    node.start()
    async with Talker(node.ws_url, token) as ada:
        acked = [await ada.send(room, f"m{number}", f"m{number}") for number in range(2)]
        await ada.say({"t": "send", "room": room, "cid": "m2", "body": {"text": "m2"}})
        await ada.closed()
    assert node.wait() == -9
    del node.environment["CHATROOMS_FAILPOINTS"]
    node.start()
    async with Talker(node.ws_url, token) as ada:
        retried = await ada.send(room, "m2", "m2")
    assert retried.get("dup", False) is (place == "store.after_commit")
    assert retried["seq"] == acked[-1]["seq"] + 1
    assert texts(history(node, token, room)) == ["m0", "m1", "m2"]
