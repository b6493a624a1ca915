"""Rooms, presence, kicks and sessions whose connections lie on different I/O threads."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.integration.conversation.conftest import Connect
from tests.integration.conversation.peer import ANSWER_SECONDS, Peer
from tests.integration.conversation.people import Person, Town

PEOPLE: Final = 100
DEVICES: Final = 2
# One more than there are shards, so that every shard has one.
EVERYWHERE: Final = 4

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


class Hall(NamedTuple):
    """A room with everybody in it."""

    room: str
    people: Sequence[Person]


@pytest.fixture(scope="module")
def hall(town: Town) -> Hall:
    """A hundred people and one room."""
    people = town.people("hall", PEOPLE)
    told = town.node.cli("room", "--name", "hall", "--members-prefix", "hall-")
    assert told.returncode == 0, told.stderr
    return Hall(told.stdout.strip(), people)


@pytest_asyncio.fixture(loop_scope="module")
async def devices(town: Town, hall: Hall, connect: Connect) -> list[Peer]:
    """Two connections for each of them, subscribed with every wish."""
    everybody = [who for who in hall.people for _ in range(DEVICES)]
    peers = list(await asyncio.gather(*(connect(town.node, who) for who in everybody)))
    wants = ["presence", "typing", "receipts"]
    await asyncio.gather(*(peer.ask("sub", room=hall.room, want=wants) for peer in peers))
    return peers


async def _everywhere(town: Town, who: Person, connect: Connect, room: str) -> list[Peer]:
    """Connections of one person on every shard, subscribed; one after the other, so in turn."""
    peers = [await connect(town.node, who) for _ in range(EVERYWHERE)]
    for peer in peers:
        await peer.ask("sub", room=room)
    return peers


async def test_two_hundred_connections_see_one_order(
    town: Town, hall: Hall, devices: list[Peer]
) -> None:
    """Everybody sends at once: one sequence for all, which is that of the acks and the log."""
    head = (await devices[0].ask("sub", room=hall.room))["seq"]
    replies = [
        await peer.submit("send", room=hall.room, cid=uuid4().hex, body={"text": str(place)})
        for place, peer in enumerate(devices)
    ]
    async with asyncio.timeout(ANSWER_SECONDS):
        acks = [await reply for reply in replies]
    history = town.history(hall.people[0], hall.room, after=head)
    assert sorted(ack["seq"] for ack in acks) == [event["seq"] for event in history]
    assert len(history) == PEOPLE * DEVICES
    for peer in devices:
        assert await peer.reach(hall.room, history[-1]["seq"]) == history


async def test_people_are_counted_once_wherever_their_devices_are(
    town: Town, hall: Hall, devices: list[Peer], connect: Connect
) -> None:
    """`who`, `ok.online` and `presence` count users; the last device to go takes its user along."""
    newcomer = town.people("newcomer", 1)[0]
    town.do(newcomer, "POST", f"/rooms/{hall.room}/join")
    for peer in devices[: DEVICES * 3]:
        await _counted(peer, hall.room, PEOPLE)
    guests = await _everywhere(town, newcomer, connect, hall.room)
    for peer in devices[: DEVICES * 3]:
        await _counted(peer, hall.room, PEOPLE + 1)
        await peer.until(partial(_said, peer, "+", newcomer), "who came")
    for guest in guests[:-1]:
        await guest.leave()
    await _counted(devices[0], hall.room, PEOPLE + 1)
    assert not _said(devices[0], "-", newcomer)
    await guests[-1].leave()
    for peer in devices[: DEVICES * 3]:
        await _counted(peer, hall.room, PEOPLE)
        await peer.until(partial(_said, peer, "-", newcomer), "who went")


async def test_typing_and_signals_reach_other_shards(hall: Hall, devices: list[Peer]) -> None:
    """Neither comes back to who said it."""
    speaker, others = devices[0], devices[DEVICES:]
    # No reply follows, so the replies of these are never waited for.
    await speaker.submit("typing", room=hall.room, on=True)
    await speaker.submit("signal", room=hall.room, body={"wave": 1})
    for peer in others:
        assert (await peer.heard("typing"))["from"] == hall.people[0].user
        assert (await peer.heard("signal"))["body"] == {"wave": 1}
    await speaker.ask("unsub", room=hall.room)
    assert not {"typing", "signal"} & {frame["t"] for frame in speaker.frames}


async def test_kick_ends_the_subscriptions_of_every_device(town: Town, connect: Connect) -> None:
    """Each sees the event that puts it out, and nothing of the room after it."""
    ann, ben = town.people("kicked", 2)
    room = town.room(ann, ben)
    own = await _everywhere(town, ann, connect, room)
    put_out = await _everywhere(town, ben, connect, room)
    town.do(ann, "DELETE", f"/rooms/{room}/members/{ben.user}")
    said = await own[0].say(room, "among ourselves")
    for peer in own:
        await peer.reach(room, said["seq"])
    for peer in put_out:
        await peer.reach(room, said["seq"] - 1)
        assert await peer.refused("sub", room=room) in {"not_member", "not_found"}
        assert peer.events[room][-1]["action"] == "kick"


async def test_revoked_session_closes_every_device(town: Town, connect: Connect) -> None:
    """4003 on each shard; another session of the same person lives on."""
    ann = town.person("revoked")
    doomed_login = ann._replace(token=town.login(ann.name)["access_token"])
    doomed = [await connect(town.node, doomed_login) for _ in range(EVERYWHERE)]
    kept = [await connect(town.node, ann) for _ in range(EVERYWHERE)]
    town.do(ann, "DELETE", f"/sessions/{doomed[0].welcome['session']}")
    assert [await peer.closed() for peer in doomed] == [4003] * EVERYWHERE
    for peer in kept:
        await peer.ask("unsub", room="anything")


async def _counted(peer: Peer, room: str, count: int) -> None:
    """Asks until so many are online: shards learn of each other in their next rounds."""
    async with asyncio.timeout(ANSWER_SECONDS):
        while (await peer.ask("who", room=room, limit=1))["count"] != count:
            pass


def _said(peer: Peer, sign: str, who: Person) -> bool:
    told = [frame for frame in peer.frames if frame["t"] == "presence"]
    return any(who.user in frame.get(sign, ()) for frame in told)
