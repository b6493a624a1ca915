"""A reader that does not read: folded into a `gap`, then cut; it harms nobody and can resume."""

import json
from typing import Any

import pytest

from tests.integration.bad_input.wire import CLOSE, EndedError, Raw
from tests.integration.conftest import MakeNode
from tests.integration.node.test_conversation import new_room
from tests.integration.running import RunningNode
from tests.integration.talk import Talker

BODY = {"text": "long", "padding": "x" * 15_000}
RECEIVE_BYTES = 4_096


class Scene:
    """A room with a speaker, a listener that reads, and one that does not."""

    def __init__(self, node: RunningNode) -> None:
        self.node = node
        self.tokens = [node.tokens(name)[0] for name in ("speaker", "healthy", "sluggish")]
        self.room = new_room(node, "Slow", self.tokens)

    def sluggish(self) -> Raw:
        """Subscribed, with a small window, and not reading yet."""
        raw = Raw(self.node.ws_port, RECEIVE_BYTES)
        raw.hello(self.tokens[2])
        self.start: int = raw.ask(t="sub", room=self.room)["seq"]
        return raw

    async def speak(self, count: int) -> list[int]:
        """Says `count` long things; the healthy one hears each of them."""
        async with (
            Talker(self.node.ws_url, self.tokens[0]) as speaker,
            Talker(self.node.ws_url, self.tokens[1]) as healthy,
        ):
            await healthy.ask("sub", room=self.room)
            acked = [
                await speaker.ask("send", room=self.room, cid=f"c{n}", body=BODY)
                for n in range(count)
            ]
            heard = await healthy.messages(self.room, count)
            assert [event["t"] for event in healthy.events if event["t"] == "gap"] == []
        assert [event["seq"] for event in heard] == [ack["seq"] for ack in acked]
        return [event["seq"] for event in heard]


@pytest.fixture
def scene(make_node: MakeNode) -> Scene:
    """A node without rates: only sizes and times may bound the slow one."""
    node = make_node(rate_limits="off")
    node.start()
    return Scene(node)


def missing(node: RunningNode, token: str, gap: dict[str, Any]) -> list[int]:
    """The seqs of a gap, by `hist`."""
    seqs: list[int] = []
    with Raw(node.ws_port) as raw:
        raw.hello(token)
        while not seqs or seqs[-1] < gap["to"]:
            after = seqs[-1] if seqs else gap["from"] - 1
            page = raw.ask(t="hist", room=gap["room"], after=after, limit=20)
            seqs += [event["seq"] for event in page["events"]]
    return [seq for seq in seqs if seq <= gap["to"]]


async def test_reader_that_wakes_up_gets_one_gap_and_goes_on(scene: Scene) -> None:
    """Every seq comes once, as an event or inside the gap, in order."""
    with scene.sluggish() as raw:
        heads = await scene.speak(120)
        seqs: list[int] = []
        gaps: list[dict[str, Any]] = []
        while not seqs or seqs[-1] < heads[-1]:
            line = raw.line()
            if line["t"] == "msg":
                seqs.append(line["seq"])
            if line["t"] == "gap":
                gaps.append(line)
                seqs += missing(scene.node, scene.tokens[2], line)
                assert seqs[-1] == line["to"]
        assert len(gaps) == 1
        assert seqs == list(range(scene.start + 1, heads[-1] + 1))
        assert raw.ask(t="who", room=scene.room)["t"] == "ok"


async def test_reader_that_sleeps_on_is_cut_and_resumes(scene: Scene) -> None:
    """4108, or a reset; the log and the metric say 4108. What it missed is all there."""
    with scene.sluggish() as raw:
        heads = await scene.speak(240)
        seqs: list[int] = []
        try:
            while (got := raw.frame()).opcode != CLOSE:
                lines = [json.loads(line) for line in got.payload.split(b"\n")]
                assert "gap" not in {line["t"] for line in lines}
                seqs += [line["seq"] for line in lines if line["t"] == "msg"]
            assert int.from_bytes(got.payload[:2], "big") == 4108
        except EndedError:
            pass
    assert seqs == list(range(scene.start + 1, scene.start + 1 + len(seqs)))
    with scene.node.rest() as rest:
        text = rest.get("/metrics").text
    assert "chat_slow_consumers_total 1.0" in text
    assert 'chat_connections_closed_total{code="4108"} 1.0' in text
    with Raw(scene.node.ws_port) as back:
        epoch = back.hello(scene.tokens[2])["me"][0]
        ok = back.ask(t="sub", room=scene.room, since=[epoch, seqs[-1]])
        assert (ok["recovered"], ok["seq"]) == (False, heads[-1])
        gap = back.line()
        assert (gap["t"], gap["from"], gap["to"]) == ("gap", seqs[-1] + 1, heads[-1])
        assert missing(scene.node, scene.tokens[2], gap) == list(range(seqs[-1] + 1, heads[-1] + 1))
