"""Counts and rates of one connection and one address, up to their bounds and one past them."""

import asyncio
import json
from typing import Any

from tests.integration.bad_input.wire import Raw, frame, head
from tests.integration.conftest import MakeNode
from tests.integration.node.test_conversation import new_room
from tests.integration.running import RunningNode


def lively(node: RunningNode, token: str) -> Raw:
    """A connection that was welcomed."""
    raw = Raw(node.ws_port)
    raw.hello(token)
    return raw


def test_message_of_128_lines_is_answered_line_by_line(shared_node: RunningNode) -> None:
    """One more is 1008 and nothing of it is executed."""
    [token] = shared_node.tokens("lines")
    room = new_room(shared_node, "Lines", [token])
    with lively(shared_node, token) as raw:
        ops = [
            {"t": "send", "room": room, "cid": f"l{number}", "body": {"text": "x"}}
            for number in range(128)
        ]
        last = raw.say(*ops)
        seqs = [raw.reply(number)["seq"] for number in range(last - 127, last + 1)]
        assert seqs == list(range(seqs[0], seqs[0] + 128))
        raw.say(*({**op, "cid": f"m{op['cid']}"} for op in [*ops, ops[0]]))
        assert raw.close()[0] == 1008
    with lively(shared_node, token) as raw:
        assert raw.ask(t="hist", room=room)["last"] == seqs[-1]


def test_pipeline_of_a_thousand_is_answered_in_order(make_node: MakeNode) -> None:
    """Far over the 64 ops in flight: the socket waits, the answers do not mix."""
    node = make_node(rate_limits="off")
    node.start()
    [token] = node.tokens("pipe")
    room = new_room(node, "Pipe", [token])
    with lively(node, token) as raw:
        stream = b""
        for number in range(1_000):
            op = {"t": "send", "id": number + 10, "room": room, "cid": f"c{number}"}
            stream += frame(json.dumps({**op, "body": {"text": "x" * 50}}))
        raw.send(stream)
        told = [raw.line() for _ in range(1_000)]
    assert [line["id"] for line in told] == list(range(10, 1_010))
    assert [line["seq"] for line in told] == list(range(told[0]["seq"], told[0]["seq"] + 1_000))


def test_burst_is_rate_limited_and_persistence_closes_4103(shared_node: RunningNode) -> None:
    """With the time to wait, marked as worth a retry; who waits it out may go on."""
    [token] = shared_node.tokens("burst")
    room = new_room(shared_node, "Burst", [token])
    with lively(shared_node, token) as raw:
        send = {"t": "send", "room": room, "body": {"text": "x"}}
        numbers = [raw.say({**send, "cid": f"c{number}"}) for number in range(600)]
        told: list[dict[str, Any]] = []
        while len(told) < len(numbers):
            lines = raw.frame()
            if lines.opcode == 8:
                assert int.from_bytes(lines.payload[:2], "big") == 4103
                break
            told += [json.loads(line) for line in lines.payload.split(b"\n")]
        else:
            raise AssertionError("not closed")
    limited = [line for line in told if line["t"] == "err"]
    # The burst is 200; as many as may be in flight can be unanswered when the close comes.
    assert sum(line["t"] == "ok" for line in told) >= 200 - 64
    assert {line["code"] for line in limited} == {"rate_limited"}
    assert len(limited) == 101
    assert all(line["retry"] and line["retry_after_ms"] > 0 for line in limited)
    with lively(shared_node, token) as raw:
        first = limited[0]["id"] - numbers[0]
        again = raw.ask(**send, cid=f"c{first}")
        assert again["t"] == "ok" or again["code"] == "rate_limited"
        assert "dup" not in again


def test_subscriptions_end_at_their_bound(make_node: MakeNode) -> None:
    """`me` is not counted, a second `sub` takes no place, and an `unsub` gives one back."""
    node = make_node(subscriptions_max="3")
    node.start()
    [token] = node.tokens("subs")
    rooms = [new_room(node, f"Room {number}", [token]) for number in range(5)]
    with lively(node, token) as raw:
        for room in [*rooms[:3], rooms[0]]:
            assert raw.ask(t="sub", room=room)["t"] == "ok"
        assert raw.ask(t="sub", room=rooms[3])["code"] == "limit_exceeded"
        assert raw.ask(t="unsub", room=rooms[1])["t"] == "ok"
        assert raw.ask(t="sub", room=rooms[3])["t"] == "ok"
    with Raw(node.ws_port) as raw:
        welcome = raw.hello(token, rooms={room: ["other", 0] for room in rooms})
        told = [welcome["resume"][room][0] for room in rooms]
        assert sorted(told) == ["denied", "denied", "epoch", "epoch", "epoch"]


def test_connection_over_the_bound_of_its_address_is_closed_4006(make_node: MakeNode) -> None:
    """Those that are open stay; one that ends makes room."""
    node = make_node(connections_per_address="2")
    node.start()
    [token] = node.tokens("conns")
    with lively(node, token) as first:
        second = lively(node, token)
        with Raw(node.ws_port) as third:
            third.upgrade()
            assert third.close()[0] == 4006
        assert first.ask(t="hist", room="me")["t"] == "ok"
        second.send(frame(b"\x03\xe8", 8))
        second.ended()
        second.__exit__(None, None, None)
        with lively(node, token) as third:
            assert third.ask(t="hist", room="me")["t"] == "ok"


def test_unfinished_handshakes_of_an_address_are_capped(make_node: MakeNode) -> None:
    """More are answered 429 at once; finishing or leaving makes room."""
    node = make_node(handshakes_per_address_max="5")
    node.start()
    waiting = [Raw(node.ws_port) for _ in range(5)]
    for raw in waiting:
        raw.send(head()[:-2])
    with Raw(node.ws_port) as raw:
        answer = raw.answer()
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        raw.ended()
    waiting[0].send(b"\r\n")
    assert waiting[0].answer().status == 101
    with Raw(node.ws_port) as raw:
        raw.upgrade()
    for raw in waiting:
        raw.__exit__(None, None, None)


async def test_hello_storm_of_one_token_is_served(shared_node: RunningNode) -> None:
    """A hundred at once, each with 256 rooms that do not exist: denied, and nothing is kept."""
    [token] = shared_node.tokens("storm")
    rooms = {f"no-such-room-{number}": ["e", 1] for number in range(256)}

    def greet(_: int) -> None:
        with Raw(shared_node.ws_port) as raw:
            resume = raw.hello(token, rooms=rooms)["resume"]
            assert {told[0] for told in resume.values()} == {"denied"}
            assert len(resume) == 256

    await asyncio.gather(*(asyncio.to_thread(greet, number) for number in range(100)))
