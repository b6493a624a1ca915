"""`sub`, `hist`, `read`, `who` and repair: each ask is answered once, by one visibility."""

import json
from typing import Any

import pytest

from chatrooms.app.asks import HistAsk, ReadAsk, RepairAsk, SubAsk, WhoAsk
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import Action
from chatrooms.domain.position import Position
from chatrooms.domain.room import Kind
from chatrooms.ports.log import Post
from tests.fakes.world import World


class Scene:
    """A private room of Ada's with three messages; Ben is a member, Cat banned, Dan a stranger."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.room = ""
        self.users: dict[str, str] = {}

    async def begin(self) -> "Scene":
        """Makes people and room."""
        names = ["ada", "ben", "cat", "dan"]
        made = await self.world.store.accounts.ensure(names)
        self.users = {account.username: account.id for account in made}
        ada, ben, cat, _ = (self.users[name] for name in names)
        rooms = self.world.store.rooms
        self.room = (await rooms.create(ada, Kind.PRIVATE, "Garden")).room.id
        await rooms.add(ada, self.room, [ben])
        await rooms.ban(ada, self.room, cat)
        await self.world.store.log.append(
            [Post(self.room, ada, f"c{each}", '{"text":"hi"}', None, None) for each in range(3)]
        )
        return self

    def reply(self) -> dict[str, Any]:
        """The only reply so far, as an object."""
        [(_, _, fields)] = self.world.gateway.replies
        document: dict[str, Any] = json.loads(f"{{{fields}}}")
        return document


VERDICTS = [("ben", None), ("cat", "banned"), ("dan", "not_found")]


@pytest.mark.parametrize(("name", "code"), VERDICTS)
async def test_every_ask_is_judged_alike(world: World, name: str, code: str | None) -> None:
    """Members are served, the banned told so, strangers to a private room told nothing."""
    scene = await Scene(world).begin()
    user, room, asks = scene.users[name], scene.room, world.cases.asks
    await asks.subscribe_many([SubAsk(1, 1, user, room, None, 0, 0)])
    await asks.history(HistAsk(1, 2, user, room, "newest", 0, 50, None))
    await asks.mark_many([ReadAsk(1, 3, user, room, 1)])
    await asks.who(WhoAsk(1, 4, user, room, 1, [user], None))
    gateway = world.gateway
    if code is None:
        assert gateway.codes() == []
        assert [answer.id for answer in gateway.attached] == [1]
        assert [id_ for _, id_, _ in gateway.replies] == [2, 3, 4]
    else:
        assert gateway.codes() == [code] * 4
        assert [id_ for _, id_, _, _ in gateway.refused] == [1, 2, 3, 4]
        assert [room for _, _, _, room in gateway.refused] == [scene.room] * 4
        assert gateway.attached == []
        assert gateway.replies == []


async def test_batch_of_subscriptions_is_answered_each_once(world: World) -> None:
    """Good, refused and impossible asks together; missed lines only for who has a position."""
    scene = await Scene(world).begin()
    ada, dan = scene.users["ada"], scene.users["dan"]
    epoch = world.store.log.epoch
    await world.cases.asks.subscribe_many(
        [
            SubAsk(1, 1, ada, scene.room, None, 3, 0),
            SubAsk(2, 1, dan, scene.room, None, 0, 0),
            SubAsk(3, 1, ada, scene.room, (epoch, 5), 0, 0),
            SubAsk(4, 1, ada, "no room!", None, 0, 0),
            SubAsk(5, 1, ada, f"me:{dan}", None, 0, 0),
            SubAsk(6, 1, ada, "me", (epoch, 0), 0, 0),
        ]
    )
    fresh, resumed, private = world.gateway.attached
    assert [answer.connection for answer in world.gateway.attached] == [1, 3, 6]
    assert sorted(connection for connection, *_ in world.gateway.refused) == [2, 4, 5]
    assert set(world.gateway.codes()) == {"not_found"}
    assert (fresh.since, fresh.lines, fresh.want, fresh.role) == (None, None, 3, "owner")
    assert (fresh.head, fresh.n, fresh.read) == (7, 3, 0)
    assert resumed.since == Position(epoch, 5)
    assert [json.loads(line)["seq"] for line in resumed.lines or []] == [6, 7]
    assert (private.room, private.role) == ("me", "owner")


async def test_history_refuses_another_epoch(world: World) -> None:
    """A client that names the epoch it knows learns that the log was replaced."""
    scene = await Scene(world).begin()
    ask = HistAsk(1, 1, scene.users["ben"], scene.room, "after", 5, 1, "old")
    await world.cases.asks.history(ask)
    assert world.gateway.codes() == ["epoch_mismatch"]
    await world.cases.asks.history(ask._replace(epoch=world.store.log.epoch))
    page = scene.reply()
    assert [event["seq"] for event in page["events"]] == [6]
    assert (page["first"], page["last"], page["more"]) == (1, 7, True)


async def test_marks_answer_unread_and_tell_what_moved(world: World) -> None:
    """A mark only grows, and only growth is told to other devices."""
    scene = await Scene(world).begin()
    ada, room = scene.users["ada"], scene.room
    asks = [ReadAsk(1, 1, ada, room, 2), ReadAsk(1, 2, ada, room, 9)]
    await world.cases.asks.mark_many(asks)
    assert world.gateway.replies == [(1, 1, '"unread":1')]
    assert world.gateway.codes() == ["out_of_range"]
    assert world.gateway.moves == [(1, ada, room, 2)]
    await world.cases.asks.mark_many([ReadAsk(2, 3, ada, room, 1)])
    assert world.gateway.replies[-1] == (2, 3, '"unread":1')
    assert len(world.gateway.moves) == 1


async def test_failing_store_refuses_every_mark(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`unavailable` to each of the batch."""

    async def fail(*_: object) -> None:
        raise Refusal(Code.UNAVAILABLE)

    monkeypatch.setattr(type(world.store.marks), "advance", fail)
    await world.cases.asks.mark_many([ReadAsk(1, each, "u", "r", 1) for each in range(3)])
    assert world.gateway.codes() == ["unavailable"] * 3


async def test_who_names_the_page_of_the_hub(world: World) -> None:
    """Count and cursor are the hub's, names and roles the store's, in the hub's order."""
    scene = await Scene(world).begin()
    ada, ben = scene.users["ada"], scene.users["ben"]
    await world.cases.asks.who(WhoAsk(1, 1, ada, scene.room, 5, [ben, ada], 'c"1'))
    answer = scene.reply()
    assert (answer["count"], answer["next_cursor"]) == (5, 'c"1')
    assert [(each["username"], each["role"]) for each in answer["members"]] == [
        ("ben", "member"),
        ("ada", "owner"),
    ]
    assert answer["members"][0].keys() == {"user", "username", "display_name", "role"}


async def test_repair_delivers_the_stretch_with_its_changes(world: World) -> None:
    """The same lines as in the log, member events with what they change, across pages."""
    scene = await Scene(world).begin()
    ada = scene.users["ada"]
    posts = [Post(scene.room, ada, f"d{each}", "{}", None, None) for each in range(220)]
    await world.store.log.append(posts)
    world.gateway.runs.clear()
    await world.cases.asks.repair(RepairAsk(scene.room, 2, 225))
    events = [event for run in world.gateway.runs for event in run.events]
    assert {run.room for run in world.gateway.runs} == {scene.room}
    assert [event.seq for event in events] == list(range(3, 226))
    assert [json.loads(event.line)["seq"] for event in events] == list(range(3, 226))
    joined, banned, message = events[:3]
    assert joined.change is not None
    assert joined.change.users == (scene.users["ben"],)
    assert banned.change is not None
    assert (banned.change.action, banned.change.users) == (Action.BAN, (scene.users["cat"],))
    assert message.change is None


async def test_repair_stops_where_the_log_ends(world: World) -> None:
    """A hub that asks for more than there is gets what there is."""
    scene = await Scene(world).begin()
    world.gateway.runs.clear()
    await world.cases.asks.repair(RepairAsk(scene.room, 5, 99))
    assert [event.seq for run in world.gateway.runs for event in run.events] == [6, 7]
    await world.cases.asks.repair(RepairAsk("nosuchroom", 0, 9))
    assert len(world.gateway.runs) == 1


async def test_commit_is_told_in_one_call_with_acks_for_sockets_only(world: World) -> None:
    """A tag comes back in the ack; posts of REST are fanned out and acked by nobody."""
    scene = await Scene(world).begin()
    ada, dan = scene.users["ada"], scene.users["dan"]
    world.gateway.runs.clear()
    before = world.gateway.deliveries
    await world.store.log.append(
        [
            Post(scene.room, ada, "e1", "{}", None, (4, 9, 1234)),
            Post(scene.room, ada, "e2", "{}", None, None),
            Post(scene.room, dan, "e3", "{}", None, (5, 1, 1235)),
        ]
    )
    assert world.gateway.deliveries == before + 1
    [run] = world.gateway.runs
    assert [event.seq for event in run.events] == [8, 9]
    [ack] = world.gateway.acks
    assert (ack.connection, ack.id, ack.received_us, ack.seq, ack.dup) == (4, 9, 1234, 8, False)
    [(connection, id_, room, why)] = world.gateway.send_refusals
    assert (connection, id_, room, why.code) == (5, 1, scene.room, Code.NOT_FOUND)


async def test_failing_store_refuses_every_subscription(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`unavailable` to each of the batch, and nobody is attached."""

    async def fail(*_: object) -> None:
        raise Refusal(Code.UNAVAILABLE)

    monkeypatch.setattr(type(world.store.positions), "look", fail)
    await world.cases.asks.subscribe_many(
        [SubAsk(each, 1, "u", "r", None, 0, 0) for each in range(3)]
    )
    assert world.gateway.codes() == ["unavailable"] * 3
    assert world.gateway.attached == []
