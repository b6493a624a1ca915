"""Two people talk through each third-party client: order, acks, history, resume, repeats."""

import asyncio
from typing import Final

import pytest

from tests.integration.conversation.conftest import Connect
from tests.integration.conversation.dialers import on_every_client
from tests.integration.conversation.peer import ANSWER_SECONDS, Event, Peer
from tests.integration.conversation.people import Person, Town

EACH: Final = 40
# What JSON, UTF-8 and line breaks can do to a text on its way.
TEXTS: Final = (
    "plain", "Grüße, 世界 🌍👩‍👩‍👧", "two\nlines\tand a tab", '"quoted" \\ </script>',
    "\u2028\u2029\ufeff\U0010ffff", "a" * 4_096, "😀" * 4_000,
)  # fmt: skip

pytestmark = [on_every_client, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Person, Person]:
    """Ann and Ben."""
    ann, ben = town.people("pair", 2)
    return ann, ben


async def _talk(peer: Peer, room: str, texts: list[str]) -> list[Event]:
    """Sends everything before the first answer; the answers, in the order sent."""
    replies = [
        await peer.submit("send", room=room, cid=f"{peer.name}.{place}", body={"text": text})
        for place, text in enumerate(texts)
    ]
    async with asyncio.timeout(ANSWER_SECONDS):
        answers = [await reply for reply in replies]
    assert {answer["t"] for answer in answers} == {"ok"}
    return answers


def _place(told: Event) -> tuple[int, int, int]:
    """What an ack and its event must agree on."""
    return told["seq"], told["n"], told["ts"]


async def test_order_seq_and_acks_agree_everywhere(
    town: Town, pair: tuple[Person, Person], connect: Connect
) -> None:
    """Both talk at once: both saw one order, which the acks and the history repeat."""
    ann, ben = pair
    room = town.room(ann, ben)
    peers = [await connect(town.node, who) for who in pair]
    heads = [(await peer.ask("sub", room=room))["seq"] for peer in peers]
    assert heads == [3, 3]
    texts = [f"number {number}" for number in range(EACH)]
    acks = await asyncio.gather(*(_talk(peer, room, texts) for peer in peers))
    seen = [await peer.reach(room, 3 + 2 * EACH) for peer in peers]
    assert seen[0] == seen[1] == town.history(ann, room, after=3)
    assert [event["seq"] for event in seen[0]] == list(range(4, 4 + 2 * EACH))
    assert [event["n"] for event in seen[0]] == list(range(1, 1 + 2 * EACH))
    for who, own in zip(pair, acks, strict=True):
        said = [event for event in seen[0] if event["from"] == who.user]
        assert [event["body"]["text"] for event in said] == texts
        assert [event["cid"] for event in said] == [f"{who.name}.{k}" for k in range(EACH)]
        for ack, event in zip(own, said, strict=True):
            assert {k: ack[k] for k in ("seq", "n", "ts")} == {
                k: event[k] for k in ("seq", "n", "ts")
            }


async def test_ok_stands_before_its_echo(
    town: Town, pair: tuple[Person, Person], connect: Connect
) -> None:
    """On the sender's connection each reply precedes the event it speaks of."""
    room = town.room(*pair)
    peer = await connect(town.node, pair[0])
    await peer.ask("sub", room=room)
    await _talk(peer, room, ["x"] * EACH)
    await peer.reach(room, 3 + EACH)
    order = [frame["seq"] for frame in peer.frames if frame["t"] in {"ok", "msg"}]
    acked: set[int] = set()
    for frame in peer.frames:
        if frame["t"] == "ok" and "ts" in frame:
            acked.add(frame["seq"])
        elif frame["t"] == "msg":
            assert frame["seq"] in acked, order


async def test_text_arrives_as_it_was_sent(
    town: Town, pair: tuple[Person, Person], connect: Connect
) -> None:
    """Live, by `hist` and over REST a body is the JSON value that was sent."""
    ann, ben = pair
    room = town.room(ann, ben)
    sender, hearer = [await connect(town.node, who) for who in pair]
    await hearer.ask("sub", room=room)
    await _talk(sender, room, list(TEXTS))
    live = await hearer.reach(room, 3 + len(TEXTS))
    assert [event["body"] for event in live] == [{"text": text} for text in TEXTS]
    assert (await sender.ask("hist", room=room, after=3))["events"] == live
    assert town.history(ben, room, after=3) == live


async def test_return_brings_exactly_what_was_missed(
    town: Town, pair: tuple[Person, Person], connect: Connect
) -> None:
    """After a disconnect, `hello.rooms` and `sub since` both replay it, then live goes on."""
    ann, ben = pair
    room = town.room(ann, ben)
    talker, hearer = [await connect(town.node, who) for who in pair]
    await hearer.ask("sub", room=room)
    await talker.say(room, "before")
    await hearer.reach(room, 4)
    since = hearer.position(room)
    await hearer.leave()
    for number in range(5):
        await talker.say(room, f"missed {number}")
    missed = town.history(ann, room, after=4)
    assert len(missed) == 5
    by_hello = await connect(town.node, ben, rooms={room: since})
    assert by_hello.welcome["resume"][room][0] == "ok"
    by_sub = await connect(town.node, ben)
    assert (await by_sub.ask("sub", room=room, since=since))["recovered"] is True
    for peer in (by_hello, by_sub):
        assert await peer.reach(room, 9) == missed
    await talker.say(room, "after")
    for peer in (by_hello, by_sub):
        assert await peer.reach(room, 10) == town.history(ann, room, after=4)


async def test_repeated_cid_answers_with_the_first_position(
    town: Town, pair: tuple[Person, Person], connect: Connect
) -> None:
    """The same content is `dup`, over REST too; other content is a conflict; nothing is stored."""
    ann, ben = pair
    room = town.room(ann, ben)
    peer = await connect(town.node, ann)
    first = await peer.say(room, "once", cid="k1")
    assert "dup" not in first
    again = await peer.ask("send", room=room, cid="k1", body={"text": "once"})
    assert again["dup"] is True
    assert (again["seq"], again["n"], again["ts"]) == (first["seq"], first["n"], first["ts"])
    assert await peer.refused("send", room=room, cid="k1", body={"text": "twice"}) == "cid_conflict"
    over_rest = town.http.post(
        f"/v1/rooms/{room}/messages",
        json={"body": {"text": "once"}},
        headers={"authorization": f"Bearer {ann.token}", "idempotency-key": "k1"},
    )
    assert (over_rest.status_code, over_rest.json()["seq"]) == (200, first["seq"])
    assert over_rest.json()["dup"] is True
    other = await connect(town.node, ben)
    assert "dup" not in await other.say(room, "mine", cid="k1")
    assert len(town.history(ann, room, after=3)) == 2
