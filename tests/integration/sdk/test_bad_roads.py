"""Connections are cut and the node dies: every reader sees the log, each event once, in order."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from typing import Any

import pytest

from chatrooms.client import ChatClient, Message, Offline, Sent
from tests.integration.conftest import MakeNode
from tests.integration.conversation.people import Town
from tests.integration.sdk.conftest import MakeClient, messages, until
from tests.integration.sdk.proxy import Road

PEOPLE = 3
MESSAGES = 600
CUTS = 8
QUEUED = 60
MISSED = 350

pytestmark = pytest.mark.timeout(90)


async def post(client: ChatClient, room: str, name: str, count: int) -> list[Sent]:
    """Posts NAME 0, NAME 1 and on, all of them at once; answers in that order."""
    return await asyncio.gather(*(client.send(room, f"{name} {place}") for place in range(count)))


async def post_and_break(client: ChatClient, room: str, name: str, road: Road) -> list[Sent]:
    """The same, on a road that breaks eight times, each time with an answer on its way."""
    count = MESSAGES // PEOPLE
    every = count // (CUTS + 1)

    async def one(place: int) -> Sent:
        sent = await client.send(room, f"{name} {place}")
        if place % every == every - 1 and place < every * CUTS:
            road.cut_unheard()
        return sent

    return await asyncio.gather(*map(one, range(count)))


def as_log(seen: Sequence[Message]) -> list[tuple[int, int, str, str, str]]:
    """What must agree between readers and the log."""
    return [(event.seq, event.n, event.sender, event.cid, event.text) for event in seen]


def logged(history: Sequence[dict[str, Any]]) -> list[tuple[int, int, str, str, str]]:
    """The same of events as REST gives them."""
    return [
        (row["seq"], row["n"], row["from"], row["cid"], row["body"]["text"])
        for row in history
        if row["t"] == "msg"
    ]


async def test_every_reader_sees_the_log_over_a_road_that_breaks(
    town: Town, client: MakeClient
) -> None:
    """Three clients post six hundred messages while each connection breaks eight times."""
    people = town.people("cut", PEOPLE)
    room = town.room(people[0], *people[1:])
    async with AsyncExitStack() as stack:
        roads = [await stack.enter_async_context(Road(town.node.ws_url).open()) for _ in people]
        clients = [
            client(road.url, token=who.token) for road, who in zip(roads, people, strict=True)
        ]
        await asyncio.gather(*(each.connect() for each in clients))
        streams = [await each.subscribe(room) for each in clients]
        reading = [asyncio.create_task(messages(stream, MESSAGES)) for stream in streams]
        sent = await asyncio.gather(
            *(
                post_and_break(each, room, who.name, road)
                for each, who, road in zip(clients, people, roads, strict=True)
            )
        )
        readings = await asyncio.gather(*reading)
    log = logged(town.history(people[0], room))
    assert len(log) == MESSAGES
    assert [as_log(seen) for seen in readings] == [log] * PEOPLE
    stored = {event.text: (event.seq, event.n, event.ts) for event in readings[0]}
    for who, answers in zip(people, sent, strict=True):
        own = [f"{who.name} {place}" for place in range(MESSAGES // PEOPLE)]
        assert [text for text in stored if text.startswith(f"{who.name} ")] == own
        assert [(each.seq, each.n, each.ts) for each in answers] == [stored[text] for text in own]
    assert [(road.cuts, road.carried) for road in roads] == [(CUTS, CUTS + 1)] * PEOPLE
    assert any(each.dup for answers in sent for each in answers), "no cut met an answer"


async def test_offline_queue_outlives_kills_and_a_drain(
    make_node: MakeNode, client: MakeClient
) -> None:
    """Sixty messages wait while the node is killed twice and drained once: all stored, once."""
    node = make_node(rate_limits="off", drain_window_ms="500")
    node.start()
    with closing(Town(node)) as town:
        author, reader = town.people("queue", 2)
        room = town.room(author, reader)
        writing = client(node.ws_url, token=author.token)
        reading = client(node.ws_url, token=reader.token)
        await asyncio.gather(writing.connect(), reading.connect())
        stream = await reading.subscribe(room)
        posting = asyncio.create_task(post(writing, room, author.name, QUEUED // 2))
        seen = await messages(stream, 5)
        node.kill()
        late = asyncio.create_task(post(writing, room, "late", QUEUED // 2))
        await asyncio.to_thread(node.start)
        seen += await messages(stream, 15)
        node.kill()
        await asyncio.to_thread(node.start)
        seen += await messages(stream, 15)
        assert await asyncio.to_thread(node.stop) == 0
        last = asyncio.create_task(writing.send(room, "after the drain"))
        await asyncio.to_thread(node.start)
        sent = [*await posting, *await late, await last]
        seen += await messages(stream, QUEUED + 1 - len(seen))
        assert as_log(seen) == logged(town.history(author, room))
        assert [each.seq for each in sent] == [event.seq for event in seen]
        assert set(Counter(event.cid for event in seen).values()) == {1}
        assert writing.unsent == 0
    assert node.cli("verify").returncode == 0


@pytest.mark.parametrize("want", [(), ("typing",)], ids=["by hello", "by sub"])
async def test_long_absence_is_filled_from_history(
    town: Town, road: Road, client: MakeClient, want: tuple[str, ...]
) -> None:
    """More was said than a resume replays: the node says `gap`, and the reader misses nothing."""
    talker, sleeper = town.people("sleep", 2)
    room = town.room(talker, sleeper)
    talking = client(town.node.ws_url, token=talker.token)
    sleeping = client(road.url, token=sleeper.token)
    await asyncio.gather(talking.connect(), sleeping.connect())
    stream = await sleeping.subscribe(room, want=want)
    states = sleeping.events()
    road.block()
    await until(states, lambda event: isinstance(event, Offline))
    await post(talking, room, "missed", MISSED)
    heard = len(road.heard)
    road.blocked = False
    seen = await messages(stream, MISSED)
    await talking.send(room, "good morning")
    seen += await messages(stream, 1)
    assert as_log(seen) == logged(town.history(talker, room))
    assert road.heard.count(b'"t":"gap"', heard) == 1
    await states.aclose()
