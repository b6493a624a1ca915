"""People talk through a running node, and it remembers what they said."""

import asyncio
from typing import Any

from tests.integration.conftest import MakeNode
from tests.integration.running import RunningNode
from tests.integration.talk import Talker


def new_room(node: RunningNode, name: str, members: list[str]) -> str:
    """A public room of these (their tokens), the first its owner."""
    with node.rest(members[0]) as rest:
        room: str = rest.post("/v1/rooms", json={"name": name, "kind": "public"}).json()["id"]
    for token in members[1:]:
        with node.rest(token) as rest:
            assert rest.post(f"/v1/rooms/{room}/join").status_code == 200
    return room


def history(node: RunningNode, token: str, room: str) -> list[dict[str, Any]]:
    """Every durable event of a room, by REST, in pages."""
    events: list[dict[str, Any]] = []
    after = 0
    with node.rest(token) as rest:
        while True:
            page = rest.get(
                f"/v1/rooms/{room}/messages", params={"after": after, "limit": 100}
            ).json()
            events += page["events"]
            if not page["more"]:
                return events
            after = events[-1]["seq"]


def texts(events: list[dict[str, Any]]) -> list[str]:
    """What was said."""
    return [event["body"]["text"] for event in events if event["t"] == "msg"]


async def test_two_people_talk_and_agree(shared_node: RunningNode) -> None:
    """Order and seq are the same for both, and history is what was delivered."""
    tokens = [shared_node.tokens(name)[0] for name in ("two-ada", "two-grace")]
    room = new_room(shared_node, "Two", tokens)
    async with (
        Talker(shared_node.ws_url, tokens[0]) as ada,
        Talker(shared_node.ws_url, tokens[1]) as grace,
    ):
        for talker in (ada, grace):
            assert (await talker.ask("sub", room=room))["t"] == "ok"
        for turn in range(5):
            assert (await ada.send(room, f"a{turn}", f"a{turn}"))["t"] == "ok"
            assert (await grace.send(room, f"g{turn}", f"g{turn}"))["t"] == "ok"
        heard = [await talker.messages(room, 10) for talker in (ada, grace)]
    assert heard[0] == heard[1]
    assert texts(heard[0]) == [f"{who}{turn}" for turn in range(5) for who in "ag"]
    seqs = [event["seq"] for event in heard[0]]
    assert seqs == list(range(seqs[0], seqs[0] + 10))
    assert [e for e in history(shared_node, tokens[0], room) if e["t"] == "msg"] == heard[0]


async def test_ok_stands_before_the_echo(shared_node: RunningNode) -> None:
    """Rule 2, for each of a pipeline of thirty-two."""
    [token] = shared_node.tokens("echo-ada")
    room = new_room(shared_node, "Echo", [token])
    async with Talker(shared_node.ws_url, token) as ada:
        await ada.ask("sub", room=room)
        sends = [
            {"t": "send", "room": room, "cid": f"c{number}", "body": {"text": f"{number}"}}
            for number in range(32)
        ]
        ids = await ada.say(*sends)
        replies = [await ada.reply(number) for number in ids]
        echoes = await ada.messages(room, 32)
        places = {id(frame): place for place, frame in enumerate(ada.frames)}
    assert [reply["seq"] for reply in replies] == [echo["seq"] for echo in echoes]
    assert [echo["cid"] for echo in echoes] == [f"c{number}" for number in range(32)]
    for reply, echo in zip(replies, echoes, strict=True):
        assert places[id(reply)] < places[id(echo)]


async def test_two_hundred_people_hear_the_same(make_node: MakeNode) -> None:
    """Every one of them, in one order, without a hole."""
    node = make_node(rate_limits="off")
    node.start()
    tokens = node.tokens("many", 200)
    done = node.cli("room", "--name", "Many", "--members-prefix", "many")
    room = done.stdout.strip()
    talkers = [Talker(node.ws_url, token) for token in tokens]
    await asyncio.gather(*(talker.__aenter__() for talker in talkers))
    oks = await asyncio.gather(*(talker.ask("sub", room=room) for talker in talkers))
    assert {ok["t"] for ok in oks} == {"ok"}
    sent = await asyncio.gather(
        *(
            talker.send(room, f"{who}", f"{who}-{number}")
            for number in range(2)
            for who, talker in enumerate(talkers[:20])
        )
    )
    heard = await asyncio.gather(*(talker.messages(room, 40) for talker in talkers))
    await asyncio.gather(*(talker.__aexit__(None, None, None) for talker in talkers))
    assert all(mine == heard[0] for mine in heard)
    seqs = [event["seq"] for event in heard[0]]
    assert seqs == list(range(seqs[0], seqs[0] + 40))
    assert sorted(ok["seq"] for ok in sent) == seqs
    assert [event for event in history(node, tokens[0], room) if event["t"] == "msg"] == heard[0]


async def test_repeated_cid_answers_dup(shared_node: RunningNode) -> None:
    """The same position, and nobody hears it twice; other content is a conflict."""
    [token] = shared_node.tokens("dup-ada")
    room = new_room(shared_node, "Dup", [token])
    async with Talker(shared_node.ws_url, token) as ada:
        await ada.ask("sub", room=room)
        first = await ada.send(room, "once", "same")
        again = await ada.send(room, "once", "same")
        other = await ada.send(room, "twice", "same")
    assert again["dup"] is True
    assert (again["seq"], again["n"], again["ts"]) == (first["seq"], first["n"], first["ts"])
    assert (other["t"], other["code"]) == ("err", "cid_conflict")
    assert texts(history(shared_node, token, room)) == ["once"]


async def test_resume_gives_exactly_what_was_missed(shared_node: RunningNode) -> None:
    """Whoever was away gets the events since + 1 … head, then live ones."""
    tokens = [shared_node.tokens(name)[0] for name in ("res-ada", "res-grace")]
    room = new_room(shared_node, "Resume", tokens)
    async with Talker(shared_node.ws_url, tokens[0]) as ada:
        await ada.ask("sub", room=room)
        async with Talker(shared_node.ws_url, tokens[1]) as grace:
            at = await grace.ask("sub", room=room)
        for number in range(7):
            await ada.send(room, f"m{number}", f"m{number}")
        position = [at["epoch"], at["seq"]]
        async with Talker(shared_node.ws_url, tokens[1], {room: position}) as back:
            assert back.welcome["resume"][room][0] == "ok"
            missed = await back.messages(room, 7)
            await ada.send(room, "live", "live")
            heard = await back.messages(room, 8)
    assert texts(missed) == [f"m{number}" for number in range(7)]
    assert [event["seq"] for event in heard] == [at["seq"] + 1 + step for step in range(8)]


async def test_too_far_behind_is_told_gap(make_node: MakeNode) -> None:
    """Above 300 events: one gap, and live from its end on."""
    node = make_node(rate_limits="off")
    node.start()
    [token] = node.tokens("ada")
    room = new_room(node, "Gap", [token])
    async with Talker(node.ws_url, token) as ada:
        at = await ada.ask("sub", room=room)
        await ada.ask("unsub", room=room)
        for start in range(0, 320, 32):
            ids = await ada.say(
                *(
                    {"t": "send", "room": room, "cid": f"c{n}", "body": {"text": "x"}}
                    for n in range(start, start + 32)
                )
            )
            replies = [await ada.reply(number) for number in ids]
            assert {reply["t"] for reply in replies} == {"ok"}
        back = await ada.ask("sub", room=room, since=[at["epoch"], at["seq"]])
        gap = await ada.event(lambda event: event["t"] == "gap")
    assert back["recovered"] is False
    assert (gap["from"], gap["to"]) == (at["seq"] + 1, back["seq"])


async def test_rest_message_reaches_sockets(shared_node: RunningNode) -> None:
    """One door into the hub, whoever posted."""
    [token] = shared_node.tokens("rest-ada")
    room = new_room(shared_node, "Rest", [token])
    async with Talker(shared_node.ws_url, token) as ada:
        await ada.ask("sub", room=room)
        with shared_node.rest(token) as rest:
            posted = rest.post(
                f"/v1/rooms/{room}/messages",
                headers={"idempotency-key": "k1", "content-type": "application/json"},
                content=b'{"body":{"text":"by REST"}}',
            )
        [heard] = await ada.messages(room, 1)
    assert posted.status_code == 201
    assert (heard["seq"], heard["cid"]) == (posted.json()["seq"], "k1")
