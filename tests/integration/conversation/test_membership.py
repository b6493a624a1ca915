"""Who is let in, who is put out, and that nobody else hears or learns anything."""

import pytest

from tests.integration.conversation.conftest import Connect
from tests.integration.conversation.peer import Event, Peer
from tests.integration.conversation.people import Person, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE = "no-such-room"

Three = tuple[Person, Person, Person]


@pytest.fixture(scope="module")
def three(town: Town) -> Three:
    """Ann, Ben and Eve."""
    ann, ben, eve = town.people("trio", 3)
    return ann, ben, eve


async def _first_of_me(peer: Peer) -> Event:
    """The first event of the person's own log."""
    await peer.until(lambda: bool(peer.events["me"]), "an event of `me`")
    return peer.events["me"][0]


async def test_private_room_is_invisible_to_strangers(
    town: Town, three: Three, connect: Connect
) -> None:
    """By REST and socket it answers as a room that does not exist."""
    ann, ben, eve = three
    room = town.room(ann, ben, kind="private")
    for method, path in (
        ("GET", ""), ("GET", "/messages"), ("GET", "/members"), ("POST", "/join"),
    ):  # fmt: skip
        known = town.refused(eve, method, f"/rooms/{room}{path}")
        assert known == town.refused(eve, method, f"/rooms/{NOWHERE}{path}") == (404, "not_found")
    listed = town.do(eve, "GET", "/rooms?scope=public&limit=100")["rooms"]
    assert room not in {each["id"] for each in listed}
    stranger = await connect(town.node, eve, rooms={room: ["any", 1], NOWHERE: ["any", 1]})
    rows = stranger.welcome["resume"]
    assert rows[room] == rows[NOWHERE]
    assert rows[room][0] == "denied"
    for op, fields in (
        ("sub", {}),
        ("hist", {}),
        ("who", {}),
        ("read", {"n": 1}),
        ("send", {"cid": "k", "body": {"text": "let me in"}}),
    ):
        known_err, unknown_err = [
            await stranger.attempt(op, room=name, **fields) for name in (room, NOWHERE)
        ]
        assert known_err["t"] == "err"
        for reply in (known_err, unknown_err):
            del reply["id"]
            reply.pop("room", None)
        assert known_err == unknown_err


async def test_public_room_shows_itself_and_nothing_of_its_talk(
    town: Town, three: Three, connect: Connect
) -> None:
    """A stranger sees that it is there; log, members and sending are for members."""
    ann, _, eve = three
    room = town.room(ann)
    assert town.do(eve, "GET", f"/rooms/{room}")["id"] == room
    for path in ("messages", "members"):
        assert town.refused(eve, "GET", f"/rooms/{room}/{path}") == (403, "not_member")
    stranger = await connect(town.node, eve)
    assert await stranger.refused("sub", room=room) == "not_member"
    assert await stranger.refused("send", room=room, cid="k", body={"text": "x"}) == "not_member"
    assert len(town.history(ann, room)) == 2


async def test_invitation_reaches_the_live_connection_and_opens_the_room(
    town: Town, three: Three, connect: Connect
) -> None:
    """`me` tells of the invitation at once; joining makes the room theirs."""
    ann, ben, _ = three
    room: str = town.do(ann, "POST", "/rooms", {"kind": "private", "name": "den"})["id"]
    guest = await connect(town.node, ben)
    town.do(ann, "POST", f"/rooms/{room}/invitations", {"user": ben.user})
    invite = await _first_of_me(guest)
    assert (invite["t"], invite["of"], invite["from"]) == ("invite", room, ann.user)
    assert await guest.refused("sub", room=room) in {"not_member", "not_found"}
    town.do(ben, "POST", f"/rooms/{room}/join")
    assert (await guest.ask("sub", room=room))["role"] == "member"


@pytest.mark.parametrize(
    ("method", "path", "by_owner", "action", "code"),
    [
        ("DELETE", "members/{user}", True, "kick", "not_member"),
        ("PUT", "bans/{user}", True, "ban", "banned"),
        ("POST", "leave", False, "leave", "not_member"),
    ],
    ids=["kick", "ban", "leave"],
)
async def test_who_is_put_out_sees_that_last(
    method: str,
    path: str,
    by_owner: bool,
    action: str,
    code: str,
    town: Town,
    three: Three,
    connect: Connect,
) -> None:
    """On every connection the own `member` event comes last; the others hear on."""
    ann, ben, eve = three
    room, beside = town.room(ann, ben, eve), town.room(ann, ben, eve)
    owner, witness, *outs = [await connect(town.node, who) for who in (ann, eve, ben, ben)]
    for peer in (owner, witness, *outs):
        await peer.ask("sub", room=room)
        await peer.ask("sub", room=beside)
    await owner.say(room, "before")
    url = f"/rooms/{room}/{path.format(user=ben.user)}"
    town.do(ann if by_owner else ben, method, url)
    await owner.say(room, "after")
    barrier = await owner.say(beside, "all that came before is here")
    full = town.history(ann, room, after=4)
    assert [event["t"] for event in full] == ["msg", "member", "msg"]
    assert (full[1]["action"], full[1]["user"]) == (action, ben.user)
    assert await witness.reach(room, full[-1]["seq"]) == full
    for peer in outs:
        await peer.reach(beside, barrier["seq"])
        assert peer.events[room] == full[:2]
        await _is_out(peer, room, code)
    assert town.refused(ben, "GET", f"/rooms/{room}/messages") == (403, code)


async def _is_out(peer: Peer, room: str, code: str) -> None:
    """Every op that needs membership is refused with `code`."""
    assert await peer.refused("sub", room=room) == code
    assert await peer.refused("hist", room=room) == code
    assert await peer.refused("send", room=room, cid="later", body={"text": "x"}) == code


async def test_ban_lasts_until_it_is_lifted(town: Town, three: Three, connect: Connect) -> None:
    """Joining again is refused, also while the ban's event is long gone; then it is not."""
    ann, ben, _ = three
    room = town.room(ann, ben)
    town.do(ann, "PUT", f"/rooms/{room}/bans/{ben.user}")
    assert town.refused(ben, "POST", f"/rooms/{room}/join") == (403, "banned")
    banned = await connect(town.node, ben, rooms={room: ["any", 1]})
    assert banned.welcome["resume"][room][0] == "denied"
    town.do(ann, "DELETE", f"/rooms/{room}/bans/{ben.user}")
    town.do(ben, "POST", f"/rooms/{room}/join")
    await banned.ask("sub", room=room)
    actions = [event.get("action") for event in town.history(ann, room)]
    assert actions == ["create", "join", "join", "ban", "unban", "join"]


async def test_direct_room_is_one_for_its_two_people(
    town: Town, three: Three, connect: Connect
) -> None:
    """Whoever opens it finds the same room; both are members; a third person finds nothing."""
    ann, ben, eve = three
    peers = [await connect(town.node, who) for who in (ann, ben)]
    opened = town.do(ann, "POST", "/rooms", {"kind": "direct", "user": ben.user})
    assert town.do(ben, "POST", "/rooms", {"kind": "direct", "user": ann.user}) | opened == opened
    room: str = opened["id"]
    for peer in peers:
        told = await _first_of_me(peer)
        assert (told["t"], told["of"]) == ("room_added", room)
        await peer.ask("sub", room=room)
    said = [await peer.say(room, f"from {peer.name}") for peer in peers]
    for peer in peers:
        assert [event["seq"] for event in await peer.reach(room, said[1]["seq"])] == [
            ack["seq"] for ack in said
        ]
    assert town.refused(eve, "GET", f"/rooms/{room}") == (404, "not_found")
    assert town.refused(eve, "POST", f"/rooms/{room}/join") == (404, "not_found")
