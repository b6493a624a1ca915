"""The client over a real socket: messages, rooms and readers, while the server misbehaves."""

import asyncio
from collections.abc import Callable

import pytest

from chatrooms.client import (
    Bounds,
    ChatClient,
    ChatError,
    Event,
    EventStream,
    Gap,
    Message,
    OutboxFull,
    Person,
    Position,
    Roster,
    Sent,
    Signal,
    Typing,
)
from tests.fakes.server import FakeServer, Line, Peer

Make = Callable[..., ChatClient]


async def take(stream: EventStream, count: int) -> list[Event]:
    """The next events of a stream."""
    return [await anext(stream) for _ in range(count)]


def texts(events: list[Event]) -> list[str]:
    """The texts of messages."""
    return [event.text for event in events if isinstance(event, Message)]


async def test_message_is_acknowledged_and_seen_by_its_sender(chat: Make) -> None:
    """`send` returns where it was stored; the echo carries the cid."""
    async with chat() as client:
        room = await client.subscribe("lobby")
        assert await client.send("lobby", "hello", cid="c1") == Sent(1, 1, 1_700_000_000_000)
        event = await anext(room)
        assert isinstance(event, Message)
        assert (event.text, event.cid, event.sender) == ("hello", "c1", client.user)
        assert (room.room, room.n, room.unread, room.role) == ("lobby", 1, 1, "member")
        assert room.position == Position("e1", 1)


async def test_lost_connections_lose_and_repeat_nothing(server: FakeServer, chat: Make) -> None:
    """Ten aborts, with messages posted meanwhile on both sides: the log, exactly."""
    async with chat() as client:
        room = await client.subscribe("lobby")
        sends = []
        for number in range(10):
            sends.append(asyncio.create_task(client.send("lobby", f"own {number}")))
            await asyncio.sleep(0)
            await server.abort_all()
            server.append("lobby", "other", f"other {number}")
        sent = await asyncio.gather(*sends)
        await server.wait_for(lambda: len(server.logs["lobby"]) == 20)
        seen = await take(room, 20)
        assert texts(seen) == [event["body"]["text"] for event in server.logs["lobby"]]
        assert [each.seq for each in sent] == sorted(each.seq for each in sent)


async def test_answer_lost_on_the_way_stores_the_message_once(
    server: FakeServer, chat: Make
) -> None:
    """Stored, then aborted before the ack: the retry is answered `dup`."""
    aborted: list[list[Line]] = []

    def abort_first_send(peer: Peer, line: Line) -> list[Line] | None:
        if line["t"] == "send" and not aborted:
            aborted.append(server._on_send(peer, line))
            peer.socket.transport.abort()
            return []
        return None

    server.intercept = abort_first_send
    async with chat() as client:
        sent = await client.send("lobby", "once")
        assert sent.dup
        assert len(server.logs["lobby"]) == 1


async def test_long_absence_is_filled_from_history(server: FakeServer, chat: Make) -> None:
    """More behind than resume gives: `gap`, then pages of history, in order."""
    async with chat() as client:
        room = await client.subscribe("lobby")
        for number in range(1_000):
            server.append("lobby", "other", str(number))
        await server.abort_all()
        assert texts(await take(room, 1_000)) == [str(number) for number in range(1_000)]
        assert any(line["t"] == "hist" for line in server.heard)


async def test_events_the_server_loses_are_fetched(server: FakeServer, chat: Make) -> None:
    """A step larger than one is closed from history before the later event."""
    async with chat() as client:
        room = await client.subscribe("lobby")
        for number in range(3):
            server.append("lobby", "other", f"lost {number}")
        await server.post("lobby", "seen")
        assert texts(await take(room, 4)) == ["lost 0", "lost 1", "lost 2", "seen"]


async def test_history_that_is_gone_is_told(server: FakeServer, chat: Make) -> None:
    """What the log no longer holds is one `Gap`."""
    server.first_kept["lobby"] = 3
    async with chat() as client:
        room = await client.subscribe("lobby")
        for number in range(1, 4):
            server.append("lobby", "other", str(number))
        await server.post("lobby", "4")
        gap, *rest = await take(room, 3)
        assert gap == Gap("lobby", 1, 2)
        assert texts(rest) == ["3", "4"]


async def test_slow_reader_loses_nothing_and_holds_up_no_ack(
    server: FakeServer, chat: Make
) -> None:
    """500 events for a reader of 8 that does not read: sends are still acknowledged."""
    async with chat(bounds=Bounds(inbox_events=8)) as client:
        room = await client.subscribe("lobby")
        for number in range(500):
            await server.post("lobby", str(number))
        assert (await client.send("lobby", "500")).seq == 501
        assert texts(await take(room, 501)) == [str(number) for number in range(501)]


async def test_sends_while_offline_go_out_in_order(server: FakeServer, chat: Make) -> None:
    """The outbox is bounded, and says so."""
    async with chat(bounds=Bounds(outbox_drafts=5)) as client:
        server.silent = True
        sends = [asyncio.create_task(client.send("lobby", str(number))) for number in range(5)]
        await server.wait_for(lambda: server.heard[-1]["t"] == "send")
        assert client.unsent == 5
        with pytest.raises(OutboxFull):
            await client.send("lobby", "one too many")
        server.silent = False
        await server.abort_all()
        assert [sent.seq for sent in await asyncio.gather(*sends)] == [1, 2, 3, 4, 5]
        assert [event["body"]["text"] for event in server.logs["lobby"]] == list("01234")


async def test_cancelled_send_that_waited_is_never_sent(server: FakeServer, chat: Make) -> None:
    """Giving up on a queued message takes it out of the queue."""
    async with chat() as client:
        server.silent = True
        first = asyncio.create_task(client.send("lobby", "first"))
        second = asyncio.create_task(client.send("lobby", "second"))
        await server.wait_for(lambda: server.heard[-1]["t"] == "send")
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        server.silent = False
        await server.abort_all()
        assert (await first).seq == 1
        assert (await client.send("lobby", "third")).seq == 2


async def test_history_and_roster_are_typed(server: FakeServer, chat: Make) -> None:
    """`hist` and `who` as values; wrong anchors are refused here."""
    for number in range(5):
        server.append("lobby", "other", str(number))
    async with chat() as client:
        page = await client.history("lobby", before=4, limit=2)
        assert (texts(list(page.events)), page.more) == (["1", "2"], True)
        assert (page.first, page.last, page.epoch) == (1, 5, "e1")
        roster = await client.who("lobby", cursor="x")
        assert roster == Roster(1, (Person("u1", "ann", "Ann", "member"),))
        with pytest.raises(ValueError, match="one of"):
            await client.history("lobby", before=1, after=1)


async def test_passing_events_go_out_and_come_in(server: FakeServer, chat: Make) -> None:
    """Typing, signals and read marks need no answer."""
    async with chat() as client:
        room = await client.subscribe("lobby", want=("typing", "presence"))
        assert server.peers[0].wants["lobby"] == ["presence", "typing"]
        client.typing("lobby", on=True)
        assert client.signal("lobby", {"a": 1})
        client.mark_read("lobby", 3)
        await server.wait_for(lambda: server.heard[-1]["t"] == "read")
        kinds = [line["t"] for line in server.heard[-3:]]
        assert kinds == ["typing", "signal", "read"]
        await server.peers[0].say(
            {"t": "typing", "room": "lobby", "from": "u2", "on": True},
            {"t": "signal", "room": "lobby", "from": "u2", "body": {"b": 2}},
        )
        assert await take(room, 2) == [
            Typing("lobby", "u2", on=True),
            Signal("lobby", "u2", {"b": 2}),
        ]


async def test_subscriptions_can_be_changed_and_ended(server: FakeServer, chat: Make) -> None:
    """A second `subscribe` replaces the wishes, `unsubscribe` ends the stream."""
    async with chat() as client:
        room = await client.subscribe("lobby")
        assert await client.subscribe("lobby", want=("typing",)) is room
        assert server.peers[0].wants["lobby"] == ["typing"]
        with pytest.raises(ValueError, match="already"):
            await client.subscribe("lobby", since=Position("e1", 0))
        with pytest.raises(ValueError, match="private log"):
            await client.subscribe("me")
        await client.unsubscribe("lobby")
        await client.unsubscribe("lobby")
        assert [event async for event in room] == []
        server.append("lobby", "other", "missed")
        again = await client.subscribe("lobby", since=Position("e1", 0))
        assert texts(await take(again, 1)) == ["missed"]


async def test_refused_subscription_is_raised(server: FakeServer, chat: Make) -> None:
    """`not_member` of `sub` reaches the caller, and a later try starts anew."""

    def refuse(_peer: Peer, line: Line) -> list[Line] | None:
        if line["t"] == "sub":
            return [{"t": "err", "id": line["id"], "code": "not_member", "retry": False}]
        return None

    server.intercept = refuse
    async with chat() as client:
        with pytest.raises(ChatError) as raised:
            await client.subscribe("den")
        assert raised.value.code == "not_member"
        server.intercept = lambda _peer, _line: None
        assert (await client.subscribe("den")).room == "den"


async def test_message_too_large_is_refused_before_it_is_sent(chat: Make) -> None:
    """The server's own limit, from `welcome`."""
    async with chat() as client:
        assert client.limits["body"] == 16_384
        with pytest.raises(ChatError) as raised:
            await client.send("lobby", body={"text": "x", "more": "y" * 20_000})
        assert raised.value.code == "too_large"
