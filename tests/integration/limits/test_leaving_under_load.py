"""A node that leaves, or is killed, while twenty people talk as fast as they can."""

import asyncio
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed

from tests.integration.conftest import MakeNode
from tests.integration.node.test_conversation import history, new_room
from tests.integration.running import RunningNode
from tests.integration.talk import Talker

PEOPLE = 20
PIPELINE = 8
ANSWERS_BEFORE = 400
DRAIN_SECONDS_MAX = 10.0


@dataclass
class Speaker:
    """One person: what each cid was answered; None while nothing came."""

    talker: Talker
    name: str
    answers: dict[str, str | None] = field(default_factory=dict)

    async def talk(self, room: str, answered: asyncio.Semaphore) -> None:
        """Keeps a pipeline full until the connection ends."""
        waiting: list[tuple[str, int]] = []
        try:
            while True:
                while len(waiting) < PIPELINE:
                    cid = f"{self.name}-{len(self.answers)}"
                    op = {"t": "send", "room": room, "cid": cid, "body": {"text": cid}}
                    self.answers[cid] = None
                    [number] = await self.talker.say(op)
                    waiting.append((cid, number))
                await self._hear(*waiting.pop(0))
                answered.release()
        except ConnectionClosed:
            pass
        for cid, number in waiting:
            if self.talker._replies[number].done():
                await self._hear(cid, number)

    async def _hear(self, cid: str, number: int) -> None:
        closed = asyncio.create_task(self.talker.socket.wait_closed())
        reply = self.talker._replies[number]
        either: set[asyncio.Future[Any]] = {reply, closed}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not closed.cancel():
            # What had come before the end is still being taken in.
            assert self.talker._reading is not None
            await self.talker._reading
        if not reply.done():
            raise ConnectionClosed(None, None)
        told = reply.result()
        self.answers[cid] = told["t"] if told["t"] == "ok" else told["code"]


async def talk_until(
    node: RunningNode, tokens: list[str], room: str, number: signal.Signals
) -> list[Speaker]:
    """Everybody talks; after a while the node gets the signal; returns when all are cut off."""
    talkers = [Talker(node.ws_url, token) for token in tokens]
    await asyncio.gather(*(talker.__aenter__() for talker in talkers))
    speakers = [Speaker(talker, f"p{at}") for at, talker in enumerate(talkers)]
    answered = asyncio.Semaphore(0)
    talking = [asyncio.create_task(speaker.talk(room, answered)) for speaker in speakers]
    for _ in range(ANSWERS_BEFORE):
        await answered.acquire()
    node.signal(number)
    await asyncio.gather(*talking)
    await asyncio.gather(*(talker.__aexit__(None, None, None) for talker in talkers))
    return speakers


def stored(node: RunningNode, token: str, room: str) -> Counter[str]:
    """How often each cid stands in the history."""
    return Counter(event["cid"] for event in history(node, token, room) if event["t"] == "msg")


async def test_drain_under_load_leaves_nothing_unknown(make_node: MakeNode) -> None:
    """Notice, then answers to all that was accepted, then 4110: stored is what was acked."""
    node = make_node(rate_limits="off")
    node.start()
    tokens = node.tokens("drain", PEOPLE)
    room = new_room(node, "Drain", tokens)
    start = time.monotonic()
    speakers = await talk_until(node, tokens, room, signal.SIGTERM)
    assert await asyncio.to_thread(node.wait) == 0
    assert time.monotonic() - start < DRAIN_SECONDS_MAX + 10
    for speaker in speakers:
        assert speaker.talker.socket.close_code == 4110, speaker.name
        kinds = [line["t"] for line in speaker.talker.frames]
        assert kinds.count("notice") == 1
    told = [(cid, code) for speaker in speakers for cid, code in speaker.answers.items()]
    assert {code for _, code in told} <= {"ok", "overloaded", None}
    node.start()
    assert stored(node, tokens[0], room) == Counter(cid for cid, code in told if code == "ok")


async def test_kill_under_load_loses_nothing_acked(make_node: MakeNode) -> None:
    """And a retry of everything with the same cids leaves each exactly once."""
    node = make_node(rate_limits="off")
    node.start()
    tokens = node.tokens("kill", PEOPLE)
    room = new_room(node, "Kill", tokens)
    speakers = await talk_until(node, tokens, room, signal.SIGKILL)
    assert await asyncio.to_thread(node.wait) == -signal.SIGKILL
    node.start()
    before = stored(node, tokens[0], room)
    assert set(before.values()) == {1}
    for speaker, token in zip(speakers, tokens, strict=True):
        acked = {cid for cid, code in speaker.answers.items() if code == "ok"}
        assert acked <= set(before)
        async with Talker(node.ws_url, token) as back:
            for cid in list(speaker.answers)[-2 * PIPELINE :]:
                again = await back.send(room, cid, cid)
                assert again["t"] == "ok", again
                assert again.get("dup", False) is (cid in before)
    assert stored(node, tokens[0], room) == Counter(
        cid for speaker in speakers for cid in speaker.answers
    )
    verified = node.cli("verify")
    assert verified.returncode == 0, verified.stdout
