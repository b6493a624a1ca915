"""The Rooms port: who becomes what, which events tell it, and who may do it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import Action, MemberChange
from chatrooms.domain.room import Kind, Role, private_log
from tests.contract.scenes import Scene, refused

Change: TypeAlias = Callable[[Scene, str], Awaitable[object]]


async def code_of(change: Awaitable[object]) -> Code:
    """The code that a change is refused with."""
    with pytest.raises(Refusal) as refusal:
        await change
    return refused(refusal.value)


async def news(scene: Scene, user: str) -> list[tuple[str, str]]:
    """(t, of) of somebody's private log."""
    events = [json.loads(line) for line in await scene.lines(private_log(user))]
    return [(event["t"], event["of"]) for event in events]


async def roles(scene: Scene, room: str) -> dict[str, str]:
    """Who is what in a room."""
    return {x.user: x.role for x in await scene.store.rooms.members(room, 100, None)}


async def test_new_room_yields_room_then_member_and_tells_its_creator(scene: Scene) -> None:
    """All in one commit, and the change travels with its event for the hub."""
    view = await scene.store.rooms.create(scene.anna, Kind.PRIVATE, "Tea & “cake”")
    room = view.room.id
    first, second = [json.loads(line) for line in await scene.lines(room)]
    assert (first["t"], first["action"], first["name"]) == ("room", "create", "Tea & “cake”")
    assert (second["t"], second["action"], second["role"]) == ("member", "join", "owner")
    assert (view.role, view.read, view.invited, view.banned) == ("owner", 0, False, False)
    assert (view.room.kind, view.room.head, view.room.n) == (Kind.PRIVATE, 2, 0)
    (commit,) = scene.commits
    assert [run.room for run in commit.runs] == [room, private_log(scene.anna)]
    assert commit.runs[0].events[1].change == MemberChange(Action.JOIN, (scene.anna,), Role.OWNER)
    assert await news(scene, scene.anna) == [("room_added", room)]


async def test_room_id_that_exists_conflicts(scene: Scene) -> None:
    """Two nodes that make the demo room make one."""
    calls = [scene.store.rooms.create(scene.anna, Kind.PUBLIC, "Lobby", "lobby") for _ in range(5)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    codes = [refused(result) for result in results if isinstance(result, Exception)]
    assert codes == [Code.CONFLICT] * 4
    assert await scene.head("lobby") == 2


async def test_pair_has_one_direct_room_however_often_it_is_opened(scene: Scene) -> None:
    """Twenty at once, from both sides, open one."""
    people = [(scene.anna, scene.bert), (scene.bert, scene.anna)] * 10
    results = await asyncio.gather(*(scene.store.rooms.direct(*pair) for pair in people))
    assert len({view.room.id for view, _ in results}) == 1
    assert [made for _, made in results].count(True) == 1
    room = results[0][0].room
    assert await roles(scene, room.id) == {scene.anna: "owner", scene.bert: "owner"}
    assert await scene.head(room.id) == 2


async def test_direct_room_reopened_seats_who_left(scene: Scene) -> None:
    """Opening makes both members again."""
    view, _ = await scene.store.rooms.direct(scene.anna, scene.bert)
    await scene.store.rooms.leave(scene.bert, view.room.id)
    again, made = await scene.store.rooms.direct(scene.anna, scene.bert)
    assert (again.room.id, made) == (view.room.id, False)
    assert await roles(scene, view.room.id) == {scene.anna: "owner", scene.bert: "owner"}


async def test_direct_room_needs_another_account(scene: Scene) -> None:
    """Nobody talks to themselves or to nobody."""
    rooms = scene.store.rooms
    assert await code_of(rooms.direct(scene.anna, scene.anna)) is Code.INVALID
    assert await code_of(rooms.direct(scene.anna, "nobody")) is Code.NOT_FOUND


async def test_direct_room_has_nobody_to_manage(scene: Scene) -> None:
    """Neither invitations nor kicks, and a stranger does not see it."""
    rooms = scene.store.rooms
    room = (await rooms.direct(scene.anna, scene.bert))[0].room.id
    assert await code_of(rooms.kick(scene.anna, room, scene.bert)) is Code.FORBIDDEN
    assert await code_of(rooms.ban(scene.anna, room, scene.bert)) is Code.FORBIDDEN
    assert await code_of(rooms.invite(scene.anna, room, scene.carl)) is Code.FORBIDDEN
    assert await code_of(rooms.join(scene.carl, room)) is Code.NOT_FOUND


async def test_join_makes_a_member_with_all_read(scene: Scene) -> None:
    """A new member's mark is the room's n; joining again changes nothing."""
    room = await scene.room()
    await scene.say(room, 3)
    view = await scene.store.rooms.join(scene.bert, room)
    assert (view.role, view.read, view.room.n) == ("member", 3, 3)
    head = await scene.head(room)
    assert (await scene.store.rooms.join(scene.bert, room)).role == "member"
    assert await scene.head(room) == head
    assert await news(scene, scene.bert) == [("room_added", room)]


async def test_private_room_opens_to_the_invited_only(scene: Scene) -> None:
    """An invitation is told in room and private log, and is used up by joining."""
    room = await scene.room(kind=Kind.PRIVATE)
    rooms = scene.store.rooms
    assert await code_of(rooms.join(scene.bert, room)) is Code.NOT_FOUND
    await rooms.invite(scene.anna, room, scene.bert)
    await rooms.invite(scene.anna, room, scene.bert)
    assert await news(scene, scene.bert) == [("invite", room)]
    invited = json.loads((await scene.lines(room))[-1])
    assert (invited["action"], invited["user"], invited["from"]) == (
        "invite",
        scene.bert,
        scene.anna,
    )
    assert [view.invited for view in await rooms.of_user(scene.bert, 10, None)] == [True]
    joined = await rooms.join(scene.bert, room)
    assert (joined.role, joined.invited) == ("member", False)
    await rooms.leave(scene.bert, room)
    assert await code_of(rooms.join(scene.bert, room)) is Code.NOT_FOUND


async def test_invitation_needs_a_member_an_account_and_no_ban(scene: Scene) -> None:
    """Strangers of a private room do not learn that it is there."""
    room = await scene.room(kind=Kind.PRIVATE)
    rooms = scene.store.rooms
    assert await code_of(rooms.invite(scene.bert, room, scene.carl)) is Code.NOT_FOUND
    assert await code_of(rooms.invite(scene.anna, room, "nobody")) is Code.NOT_FOUND
    await rooms.ban(scene.anna, room, scene.carl)
    assert await code_of(rooms.invite(scene.anna, room, scene.carl)) is Code.BANNED


async def test_many_are_added_by_events_of_500(scene: Scene) -> None:
    """1,100 new members are three events; those inside and the banned are left out."""
    people = await scene.store.accounts.ensure([f"crowd-{i}" for i in range(1_100)])
    users = [account.id for account in people]
    room = await scene.room(scene.bert)
    await scene.store.rooms.ban(scene.anna, room, scene.carl)
    added = await scene.store.rooms.add(
        scene.anna, room, [*users, users[0], scene.bert, scene.carl]
    )
    assert added == 1_100
    events = [json.loads(line) for line in (await scene.lines(room))[-3:]]
    assert [len(event["users"]) for event in events] == [500, 500, 100]
    assert await scene.store.rooms.add(scene.anna, room, users) == 0
    assert await news(scene, users[1_099]) == [("room_added", room)]


async def test_added_people_must_exist_and_the_adder_moderate(scene: Scene) -> None:
    """One unknown id adds nobody."""
    room = await scene.room(scene.bert)
    rooms = scene.store.rooms
    assert await code_of(rooms.add(scene.anna, room, [scene.carl, "x"])) is Code.NOT_FOUND
    assert await code_of(rooms.add(scene.bert, room, [scene.carl])) is Code.FORBIDDEN
    assert scene.carl not in await roles(scene, room)


async def test_last_owner_who_leaves_hands_the_room_on(scene: Scene) -> None:
    """To a moderator before an older member; their own leave is the last event they see."""
    room = await scene.room(scene.bert)
    await scene.store.rooms.add(scene.anna, room, [scene.carl])
    await scene.store.rooms.set_role(scene.anna, room, scene.carl, Role.MODERATOR)
    await scene.store.rooms.leave(scene.anna, room)
    assert await roles(scene, room) == {scene.bert: "member", scene.carl: "owner"}
    last = [json.loads(line) for line in (await scene.lines(room))[-2:]]
    assert [(event["action"], event["user"]) for event in last] == [
        ("role", scene.carl),
        ("leave", scene.anna),
    ]
    assert (await news(scene, scene.anna))[-1] == ("room_removed", room)


async def test_oldest_member_inherits_where_nobody_moderates(scene: Scene) -> None:
    """Among equals the first to come; the last to leave leaves an empty room."""
    room = await scene.room()
    for user in (scene.carl, scene.bert):
        await scene.store.rooms.join(user, room)
    await scene.store.rooms.leave(scene.anna, room)
    assert await roles(scene, room) == {scene.carl: "owner", scene.bert: "member"}
    await scene.store.rooms.leave(scene.bert, room)
    await scene.store.rooms.leave(scene.carl, room)
    assert await roles(scene, room) == {}
    assert await code_of(scene.store.rooms.leave(scene.carl, room)) is Code.NOT_MEMBER


async def test_room_keeps_an_owner(scene: Scene) -> None:
    """The last one cannot step down, nor kick themselves."""
    room = await scene.room(scene.bert)
    rooms = scene.store.rooms
    assert await code_of(rooms.set_role(scene.anna, room, scene.anna, Role.MEMBER)) is Code.CONFLICT
    assert await code_of(rooms.kick(scene.anna, room, scene.anna)) is Code.FORBIDDEN
    assert await code_of(rooms.ban(scene.anna, room, scene.anna)) is Code.FORBIDDEN
    await rooms.set_role(scene.anna, room, scene.bert, Role.OWNER)
    await rooms.set_role(scene.anna, room, scene.anna, Role.MEMBER)
    assert await roles(scene, room) == {scene.anna: "member", scene.bert: "owner"}


async def test_role_that_already_holds_is_no_event(scene: Scene) -> None:
    """Repeating a change succeeds and writes nothing."""
    room = await scene.room(scene.bert)
    head = await scene.head(room)
    await scene.store.rooms.set_role(scene.anna, room, scene.bert, Role.MEMBER)
    assert await scene.head(room) == head


async def test_kicked_member_may_come_back_and_the_banned_may_not(scene: Scene) -> None:
    """A ban also ends membership and invitation; lifting it lets in again."""
    room = await scene.room(scene.bert)
    rooms = scene.store.rooms
    await rooms.kick(scene.anna, room, scene.bert)
    assert (await rooms.join(scene.bert, room)).role == "member"
    await rooms.ban(scene.anna, room, scene.bert)
    await rooms.ban(scene.anna, room, scene.bert)
    assert await code_of(rooms.join(scene.bert, room)) is Code.BANNED
    view = await rooms.view(scene.bert, room)
    assert view is not None
    assert (view.banned, view.role) == (True, None)
    await rooms.unban(scene.anna, room, scene.bert)
    assert await code_of(rooms.unban(scene.anna, room, scene.bert)) is Code.NOT_FOUND
    assert (await rooms.join(scene.bert, room)).role == "member"
    actions = [json.loads(line).get("action") for line in await scene.lines(room)]
    assert actions[3:] == ["kick", "join", "ban", "unban", "join"]
    assert [t for t, _ in await news(scene, scene.bert)] == [
        "room_added",
        "room_removed",
    ] * 2 + ["room_added"]


async def test_stranger_may_be_banned_beforehand(scene: Scene) -> None:
    """An event in the room, nothing in the private log of who never was there."""
    room = await scene.room()
    await scene.store.rooms.ban(scene.anna, room, scene.carl)
    assert await code_of(scene.store.rooms.join(scene.carl, room)) is Code.BANNED
    assert await news(scene, scene.carl) == []
    assert await code_of(scene.store.rooms.ban(scene.anna, room, "nobody")) is Code.NOT_FOUND


@pytest.mark.parametrize("operation", ["kick", "ban", "set_role"])
@pytest.mark.parametrize("actor", list(Role))
@pytest.mark.parametrize("target", list(Role))
async def test_roles_are_judged_inside_the_transaction(
    scene: Scene, operation: str, actor: Role, target: Role
) -> None:
    """Owners act on everyone, moderators put out members, nobody else anything."""
    room = await scene.room(scene.bert, scene.carl)
    await scene.store.rooms.set_role(scene.anna, room, scene.bert, actor)
    await scene.store.rooms.set_role(scene.anna, room, scene.carl, target)
    call: dict[str, Awaitable[None]] = {}
    rooms = scene.store.rooms
    if operation == "kick":
        call["it"] = rooms.kick(scene.bert, room, scene.carl)
    elif operation == "ban":
        call["it"] = rooms.ban(scene.bert, room, scene.carl)
    else:
        wanted = Role.MEMBER if target is not Role.MEMBER else Role.MODERATOR
        call["it"] = rooms.set_role(scene.bert, room, scene.carl, wanted)
    moderates = actor is Role.MODERATOR and target is Role.MEMBER and operation != "set_role"
    before = await roles(scene, room)
    if actor is Role.OWNER or moderates:
        await call["it"]
        assert await roles(scene, room) != before
    else:
        assert await code_of(call["it"]) is Code.FORBIDDEN
        assert await roles(scene, room) == before


OUTSIDER_CHANGES: dict[str, Change] = {
    "kick": lambda s, room: s.store.rooms.kick(s.bert, room, s.anna),
    "ban": lambda s, room: s.store.rooms.ban(s.bert, room, s.anna),
    "unban": lambda s, room: s.store.rooms.unban(s.bert, room, s.anna),
    "set_role": lambda s, room: s.store.rooms.set_role(s.bert, room, s.anna, Role.MEMBER),
    "invite": lambda s, room: s.store.rooms.invite(s.bert, room, s.carl),
    "add": lambda s, room: s.store.rooms.add(s.bert, room, [s.carl]),
    "leave": lambda s, room: s.store.rooms.leave(s.bert, room),
}


@pytest.mark.parametrize("change", OUTSIDER_CHANGES.values(), ids=OUTSIDER_CHANGES)
async def test_outsiders_change_nothing_and_learn_no_more(scene: Scene, change: Change) -> None:
    """A public room says not_member, a private or missing one not_found, to the banned banned."""
    public, private = await scene.room(), await scene.room(kind=Kind.PRIVATE)
    shut = await scene.room()
    await scene.store.rooms.ban(scene.anna, shut, scene.bert)
    scene.commits.clear()
    assert await code_of(change(scene, public)) is Code.NOT_MEMBER
    assert await code_of(change(scene, private)) is Code.NOT_FOUND
    assert await code_of(change(scene, "nowhere")) is Code.NOT_FOUND
    assert await code_of(change(scene, shut)) is Code.BANNED
    assert await code_of(change(scene, private_log(scene.anna))) is Code.NOT_FOUND
    assert not any(commit.runs for commit in scene.commits)


async def test_refused_change_leaves_its_neighbours_alone(scene: Scene) -> None:
    """In one group commit a refusal undoes its own part only."""
    room = await scene.room()
    results = await asyncio.gather(
        scene.store.rooms.join(scene.bert, room),
        scene.store.rooms.kick(scene.carl, room, scene.anna),
        scene.say(room),
        scene.store.rooms.join(scene.carl, room),
        return_exceptions=True,
    )
    assert refused(results[1]) is Code.NOT_MEMBER
    assert sorted(await roles(scene, room)) == sorted((scene.anna, scene.bert, scene.carl))
    assert [json.loads(line)["t"] for line in await scene.lines(room)] == [
        "room",
        "member",
        "member",
        "msg",
        "member",
    ]


async def test_lists_go_on_after_an_id(scene: Scene) -> None:
    """Rooms by id, members by user id, each page after the last of the one before."""
    ids = sorted([await scene.room(scene.bert) for _ in range(5)])
    hidden = await scene.room(kind=Kind.PRIVATE)
    rooms = scene.store.rooms
    first = [view.room.id for view in await rooms.public(scene.carl, 3, None)]
    rest = [view.room.id for view in await rooms.public(scene.carl, 3, first[-1])]
    assert first + rest == ids
    mine = [view.room.id for view in await rooms.of_user(scene.anna, 10, None)]
    assert mine == sorted([*ids, hidden])
    assert [view.role for view in await rooms.of_user(scene.bert, 10, ids[2])] == ["member"] * 2
    members = await rooms.members(ids[0], 1, None)
    members += await rooms.members(ids[0], 5, members[0].user)
    assert [x.user for x in members] == sorted((scene.anna, scene.bert))
    assert {x.username: x.role for x in members} == {"anna": "owner", "bert": "member"}


async def test_named_answers_members_in_the_order_asked(scene: Scene) -> None:
    """Others are left out."""
    room = await scene.room(scene.bert)
    found = await scene.store.rooms.named(room, [scene.bert, scene.carl, scene.anna, "x"])
    assert [x.username for x in found] == ["bert", "anna"]
    assert await scene.store.rooms.named("nowhere", [scene.bert]) == []
    assert await scene.store.rooms.members("nowhere", 10, None) == []


async def test_view_of_no_room_is_none(scene: Scene) -> None:
    """A private log is no room either."""
    await scene.room()
    assert await scene.store.rooms.view(scene.anna, "nowhere") is None
    assert await scene.store.rooms.view(scene.anna, private_log(scene.anna)) is None


async def test_direct_room_is_not_made_by_create(scene: Scene) -> None:
    """It needs its pair."""
    assert await code_of(scene.store.rooms.create(scene.anna, Kind.DIRECT, None)) is Code.INVALID
