"""Coming back: exactly what was missed, or a gap that history fills, or a new epoch."""

from collections.abc import Sequence
from typing import Final

import pytest

from tests.integration.conversation.conftest import Connect
from tests.integration.conversation.peer import Event, Peer
from tests.integration.conversation.people import Person, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Protocol: at most 300 events and 256 KiB are replayed for a room.
REPLAYED_MAX: Final = 300
LARGE_TEXT: Final = "x" * 4_000


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Person, Person]:
    """Ann and Ben."""
    ann, ben = town.people("back", 2)
    return ann, ben


async def _say_many(peer: Peer, room: str, texts: Sequence[str]) -> None:
    replies = [
        await peer.submit("send", room=room, cid=f"m{number}", body={"text": text})
        for number, text in enumerate(texts)
    ]
    assert {(await reply)["t"] for reply in replies} <= {"ok"}


async def _pages(peer: Peer, room: str, first: int, last: int) -> list[Event]:
    """What `hist` has from `first` to `last`."""
    found: list[Event] = []
    while not found or found[-1]["seq"] < last:
        after = found[-1]["seq"] if found else first - 1
        page = await peer.ask("hist", room=room, after=after, limit=100)
        assert page["events"], page
        found += page["events"]
    return [event for event in found if event["seq"] <= last]


async def test_many_rooms_resume_in_one_hello(
    town: Town, pair: tuple[Person, Person], connect: Connect
) -> None:
    """Each room goes on where its own position was, `me` among them."""
    ann, ben = pair
    rooms = [town.room(ann, ben) for _ in range(5)]
    talker, hearer = [await connect(town.node, who) for who in pair]
    for room in rooms:
        await hearer.ask("sub", room=room)
    since = {room: hearer.position(room) for room in [*rooms, "me"]}
    await hearer.leave()
    for missed, room in enumerate(rooms):
        await _say_many(talker, room, ["while away"] * missed)
    invited = town.do(ann, "POST", "/rooms", {"kind": "private", "name": "den"})["id"]
    town.do(ann, "POST", f"/rooms/{invited}/invitations", {"user": ben.user})
    back = await connect(town.node, ben, rooms=since)
    assert {room: back.welcome["resume"][room][0] for room in rooms} == dict.fromkeys(rooms, "ok")
    for missed, room in enumerate(rooms):
        head = 3 + missed
        assert back.welcome["resume"][room][2] == head
        history = town.history(ann, room, after=3)
        if missed:
            assert await back.reach(room, head) == history
        assert len(history) == missed
    me_seq = since["me"][1]
    assert isinstance(me_seq, int)
    told = await back.reach("me", me_seq + 1)
    assert [(event["t"], event["of"], event["from"]) for event in told] == [
        ("invite", invited, ann.user)
    ]


@pytest.mark.parametrize(
    ("texts", "replayed"),
    [
        (["short"] * REPLAYED_MAX, True),
        (["short"] * (REPLAYED_MAX + 1), False),
        ([LARGE_TEXT] * 60, True),
        ([LARGE_TEXT] * 70, False),
    ],
    ids=["as-many-as-are-replayed", "one-more", "as-large-as-is-replayed", "too-large"],
)
@pytest.mark.parametrize("by", ["sub", "hello"])
async def test_gap_is_filled_by_history(
    by: str,
    texts: list[str],
    replayed: bool,
    town: Town,
    pair: tuple[Person, Person],
    connect: Connect,
) -> None:
    """Too far behind is told once, both ends; `hist` has what lies between; live goes on."""
    ann, ben = pair
    room = town.room(ann, ben)
    talker = await connect(town.node, ann)
    since = [talker.welcome["me"][0], 3]
    await _say_many(talker, room, texts)
    head = 3 + len(texts)
    if by == "sub":
        back = await connect(town.node, ben)
        answer = await back.ask("sub", room=room, since=since)
        assert (answer["recovered"], answer["seq"]) == (replayed, head)
    else:
        back = await connect(town.node, ben, rooms={room: since})
        told = back.welcome["resume"][room]
        assert (told[0], told[2]) == ("ok" if replayed else "gap", head)
    await talker.say(room, "live")
    live = await back.reach(room, head + 1)
    if replayed:
        assert live == town.history(ann, room, after=3)
        return
    gap = await back.heard("gap")
    assert gap == {"t": "gap", "room": room, "from": 4, "to": head}
    filled = await _pages(back, room, gap["from"], gap["to"])
    assert filled + live == town.history(ann, room, after=3)


async def test_position_of_another_log_is_answered_with_epoch(
    town: Town, pair: tuple[Person, Person], connect: Connect
) -> None:
    """A strange epoch, or a seq the log has not reached: drop what you have, go on from here."""
    room = town.room(*pair)
    peer = await connect(town.node, pair[0])
    epoch = peer.welcome["me"][0]
    for since in (["elsewhere", 2], [epoch, 99]):
        back = await connect(town.node, pair[1])
        assert (await back.ask("sub", room=room, since=since))["recovered"] is False
        assert await back.heard("epoch") == {"t": "epoch", "room": room, "epoch": epoch, "seq": 3}
        by_hello = await connect(town.node, pair[1], rooms={room: since})
        assert by_hello.welcome["resume"][room][:3] == ["epoch", epoch, 3]
        await by_hello.heard("epoch")
    said = await peer.say(room, "from here")
    assert await back.reach(room, said["seq"]) == town.history(pair[0], room, after=3)
