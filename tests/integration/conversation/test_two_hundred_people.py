"""Two hundred people in eight rooms, all of whom send, through each third-party client."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.conversation.conftest import Connect
from tests.integration.conversation.dialers import on_every_client
from tests.integration.conversation.peer import ANSWER_SECONDS, Event, Peer
from tests.integration.conversation.people import Person, Town

PEOPLE: Final = 200
ROOMS: Final = 8
# Which rooms the person k is in: k, k + 1 and k + 3, counted round. No two rooms share everybody.
STEPS: Final = (0, 1, 3)
IN_SEQUENCE: Final = 40
# Calls that other parts of the node may make meanwhile.
CALLS_BESIDE: Final = 4

pytestmark = [
    on_every_client,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]


class Crowd(NamedTuple):
    """Who is in which rooms, by place; and a hall with everybody."""

    people: Sequence[Person]
    rooms: Sequence[str]
    hall: str

    def rooms_of(self, place: int) -> list[str]:
        """The rooms of the person at `place`."""
        return [self.rooms[(place + step) % ROOMS] for step in STEPS]

    def members(self, room: str) -> list[int]:
        """The places of those who are in `room`."""
        return [place for place in range(PEOPLE) if room in self.rooms_of(place)]


@pytest.fixture(scope="module")
def crowd(town: Town) -> Crowd:
    """Two hundred accounts and their memberships; each client's run adds its own messages."""
    people = town.people("crowd", PEOPLE)
    made = [town.room(people[0]) for _ in range(ROOMS)]
    told = town.node.cli("room", "--name", "hall", "--members-prefix", "crowd-")
    assert told.returncode == 0, told.stderr
    crowd = Crowd(people, made, told.stdout.strip())
    for place, person in enumerate(people):
        for room in crowd.rooms_of(place):
            town.do(person, "POST", f"/rooms/{room}/join")
    return crowd


@pytest_asyncio.fixture(loop_scope="module")
async def peers(town: Town, crowd: Crowd, connect: Connect) -> list[Peer]:
    """A connection for each person, by place."""
    return list(await asyncio.gather(*(connect(town.node, who) for who in crowd.people)))


async def _answers(replies: Sequence[asyncio.Future[Event]]) -> list[Event]:
    async with asyncio.timeout(ANSWER_SECONDS):
        answers = [await reply for reply in replies]
    assert {answer["t"] for answer in answers} == {"ok"}
    return answers


async def _send_everywhere(crowd: Crowd, peers: Sequence[Peer]) -> dict[str, list[Event]]:
    """Each sends in each room of theirs, all at once; the acks by room."""
    replies: dict[str, list[asyncio.Future[Event]]] = {room: [] for room in crowd.rooms}
    for place, peer in enumerate(peers):
        for room in crowd.rooms_of(place):
            body = {"text": f"{place} in {room}"}
            reply = await peer.submit("send", room=room, cid=uuid4().hex, body=body)
            replies[room].append(reply)
    return {room: await _answers(waiting) for room, waiting in replies.items()}


async def test_order_seq_and_history_agree_in_every_room(
    town: Town, crowd: Crowd, peers: list[Peer]
) -> None:
    """All subscribers of a room saw one sequence: that of the acks and of the history."""
    heads: dict[str, int] = {}
    for room in crowd.rooms:
        waiting = [await peers[place].submit("sub", room=room) for place in crowd.members(room)]
        [heads[room]] = {answer["seq"] for answer in await _answers(waiting)}
    acks = await _send_everywhere(crowd, peers)
    for room in crowd.rooms:
        members = crowd.members(room)
        assert len(members) == PEOPLE * len(STEPS) // ROOMS
        history = town.history(crowd.people[members[0]], room, after=heads[room])
        assert [event["seq"] for event in history] == [
            heads[room] + step for step in range(1, len(members) + 1)
        ]
        assert {event["from"] for event in history} == {crowd.people[k].user for k in members}
        assert sorted(ack["seq"] for ack in acks[room]) == [event["seq"] for event in history]
        for place in members:
            assert await peers[place].reach(room, history[-1]["seq"]) == history


async def test_fan_out_crosses_to_python_once_a_commit(
    town: Town, crowd: Crowd, peers: list[Peer]
) -> None:
    """Messages to two hundred subscribers: crossings grow with commits, not with deliveries."""
    hall = crowd.hall
    replies = await _answers([await peer.submit("sub", room=hall) for peer in peers])
    head = replies[0]["seq"]
    before = await _counters(town, peers[0])
    for number in range(IN_SEQUENCE):
        await peers[0].say(hall, f"number {number}")
    for peer in peers:
        await peer.reach(hall, head + IN_SEQUENCE)
    after = await _counters(town, peers[0])
    grown = {name: value - before[name] for name, value in after.items()}
    assert grown["deliveries"] == IN_SEQUENCE * PEOPLE
    assert IN_SEQUENCE <= grown["deliver_calls"] <= IN_SEQUENCE + CALLS_BESIDE


async def _counters(town: Town, peer: Peer) -> dict[str, float]:
    """The counters of fan-out, with everything that was done before the call.

    The core publishes its counters now and then: the first to differ were published since.
    """
    stale = _scrape(town)
    async with asyncio.timeout(ANSWER_SECONDS):
        while (fresh := _scrape(town))["messages_in"] == stale["messages_in"]:
            await peer.ask("unsub", room="nowhere")
    return fresh


def _scrape(town: Town) -> dict[str, float]:
    wanted = ("deliver_calls", "deliveries", "messages_in")
    text = town.http.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return {name: families[f"chat_{name}"].samples[0].value for name in wanted}
