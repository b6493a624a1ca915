"""A node dies with messages in flight and comes back on the same data: nothing acked is lost."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Final

import pytest

from tests.integration.conftest import MakeNode
from tests.integration.conversation.conftest import Connect
from tests.integration.conversation.peer import ANSWER_SECONDS, Event, Peer
from tests.integration.conversation.people import Person, Town

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

PEOPLE: Final = 4
KILLS: Final = 3
# Acks that each waits for before the kill, and how many more sends are always on their way. All
# windows together are fewer than the events that a resume replays.
ACKED_MIN: Final = 30
WINDOW: Final = 50


class Mailbox:
    """What one person has sent and not heard of, kept over connections as an SDK would."""

    def __init__(self, who: Person, room: str) -> None:
        self.who = who
        self.room = room
        self.acked: dict[str, Event] = {}
        self.seen: list[Event] = []
        self.unknown: list[str] = []
        self._sent = 0

    async def talk(self, peer: Peer) -> None:
        """Sends what is unknown again and then new messages, until the connection ends."""
        window = asyncio.Semaphore(WINDOW)
        again = list(self.unknown)
        while peer.end is None:
            await window.acquire()
            cid = again.pop(0) if again else self._fresh()
            reply = await self._send(peer, cid)
            reply.add_done_callback(lambda _: window.release())

    async def settle(self, peer: Peer) -> None:
        """Sends what is unknown again, and one new message; waits for every answer."""
        replies = [await self._send(peer, cid) for cid in [*self.unknown, self._fresh()]]
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.gather(*replies)

    def _fresh(self) -> str:
        self._sent += 1
        cid = f"{self.who.name}.{self._sent}"
        self.unknown.append(cid)
        return cid

    async def _send(self, peer: Peer, cid: str) -> asyncio.Future[Event]:
        reply = await peer.submit("send", room=self.room, cid=cid, body={"text": cid})
        reply.add_done_callback(partial(self._settled, cid))
        return reply

    def _settled(self, cid: str, reply: asyncio.Future[Event]) -> None:
        if reply.exception() is None and reply.result()["t"] == "ok":
            self.acked[cid] = reply.result()
            self.unknown.remove(cid)

    def has(self, acked: int) -> bool:
        """Whether so many messages are acked."""
        return len(self.acked) >= acked

    def keep(self, peer: Peer) -> list[object]:
        """Takes over what the connection saw; where it was."""
        self.seen += peer.events[self.room]
        return peer.position(self.room)


async def _talk_until_killed(town: Town, boxes: Sequence[Mailbox], peers: Sequence[Peer]) -> None:
    """Everybody sends; once all have had some acks the node is killed."""
    enough = {box.who.name: len(box.acked) + ACKED_MIN for box in boxes}
    pairs = list(zip(boxes, peers, strict=True))
    sending = [asyncio.create_task(box.talk(peer)) for box, peer in pairs]
    for box, peer in pairs:
        await peer.until(partial(box.has, enough[box.who.name]), "acks")
    town.node.kill()
    await asyncio.gather(*sending)


async def test_kill_loses_nothing_that_was_acked(make_node: MakeNode, connect: Connect) -> None:
    """After each kill all come back with their positions and cids and go on; then all agrees."""
    node = make_node(rate_limits="off")
    node.start()
    with closing(Town(node)) as town:
        await _kill_and_compare(town, connect)
    told = node.cli("verify")
    assert told.returncode == 0, told.stdout


async def _kill_and_compare(town: Town, connect: Connect) -> None:
    node = town.node
    people = town.people("kept", PEOPLE)
    room = town.room(people[0], *people[1:])
    boxes = [Mailbox(who, room) for who in people]
    peers = [await connect(node, who) for who in people]
    for peer in peers:
        await peer.ask("sub", room=room)
    first = PEOPLE + 1
    in_flight = 0
    for _ in range(KILLS):
        await _talk_until_killed(town, boxes, peers)
        in_flight += sum(len(box.unknown) for box in boxes)
        await asyncio.gather(*(peer.closed() for peer in peers))
        since = [box.keep(peer) for box, peer in zip(boxes, peers, strict=True)]
        node.start()
        peers = [
            await connect(node, who, rooms={room: place})
            for who, place in zip(people, since, strict=True)
        ]
        assert [peer.welcome["resume"][room][0] for peer in peers] == ["ok"] * PEOPLE
    assert in_flight > 0, "no kill met a message in flight"
    for box, peer in zip(boxes, peers, strict=True):
        await box.settle(peer)
        assert box.unknown == []
    history = town.history(people[0], room, after=first)
    for box, peer in zip(boxes, peers, strict=True):
        await peer.reach(room, history[-1]["seq"])
        box.keep(peer)
        assert box.seen == history
    assert [event["seq"] for event in history] == list(range(first + 1, first + 1 + len(history)))
    positions = {event["cid"]: (event["seq"], event["n"], event["ts"]) for event in history}
    assert set(Counter(event["cid"] for event in history).values()) == {1}
    acked = {cid: ack for box in boxes for cid, ack in box.acked.items()}
    assert {cid: (ack["seq"], ack["n"], ack["ts"]) for cid, ack in acked.items()} == positions
