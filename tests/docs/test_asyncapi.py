"""The AsyncAPI document against a running node: every message of it, and nothing beside it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests.docs.protocol import Judge, Line, references, resolve
from tests.docs.talker import Talker
from tests.integration.running import RunningNode

ALL_EPHEMERAL = ["presence", "typing", "receipts"]


@pytest.fixture(scope="module")
def document(checkout: Path) -> dict[str, Any]:
    """The document as it lies in the package, which is its only copy."""
    text = (checkout / "chatrooms" / "api" / "asyncapi.json").read_text()
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_references_of_the_document_resolve(document: dict[str, Any]) -> None:
    """A `$ref` to nothing would make a schema that accepts nothing."""
    found = set(references(document))
    assert found
    for reference in found:
        assert resolve(document, reference) is not None


def test_schemas_of_the_document_are_schemas(document: dict[str, Any]) -> None:
    """AsyncAPI 3.0 takes JSON Schema draft 7 where a message names no other format."""
    assert document["asyncapi"] == "3.0.0"
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)
    for message in document["components"]["messages"].values():
        jsonschema.Draft7Validator.check_schema(message["payload"])


def test_every_command_is_an_operation_with_its_reply(document: dict[str, Any]) -> None:
    """And every event is in the one operation that sends."""
    messages = set(document["components"]["messages"])
    named = {
        reference["$ref"].rpartition("/")[2]
        for operation in document["operations"].values()
        for reference in [*operation["messages"], *operation.get("reply", {}).get("messages", [])]
    }
    assert named == messages


def test_judge_refuses_what_the_document_does_not_say(document: dict[str, Any]) -> None:
    """A missing field, a field too many, a wrong type and an unknown kind are all found."""
    judge = Judge(document)
    judge.judge("event.gap", {"t": "gap", "room": "lobby", "from": 1, "to": 2})
    for name, line in (
        ("event.gap", {"t": "gap", "room": "lobby", "from": 1}),
        ("event.gap", {"t": "gap", "room": "lobby", "from": 1, "to": 2, "why": "x"}),
        ("event.gap", {"t": "gap", "room": "lobby", "from": 1, "to": "2"}),
        ("event.gap", {"t": "gap", "room": "lob by", "from": 1, "to": 2}),
        ("event.dance", {"t": "dance"}),
    ):
        with pytest.raises(AssertionError):
            judge.judge(name, line)


def test_node_serves_the_document(document: dict[str, Any], node: RunningNode) -> None:
    """The file of the package is what /asyncapi.json answers."""
    answer = httpx.get(f"{node.rest_url}/asyncapi.json", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document


async def test_every_line_on_the_wire_is_in_the_document(
    document: dict[str, Any], node: RunningNode
) -> None:
    """A story that uses all of chat.v1; each line is judged, and none of the document is unused."""
    judge = Judge(document)
    ada, grace = node.tokens("people", 2)
    await _talk(node, judge, ada, grace)
    await _manage_members(node, judge, ada, grace)
    await _resume(node, judge, ada)
    await _drain(node, judge, ada)
    unused = set(judge.messages) - judge.seen
    assert not unused, f"the story never met {sorted(unused)}"
    assert not _unmet_fields(judge), f"the story never met {sorted(_unmet_fields(judge))}"


def _unmet_fields(judge: Judge) -> set[tuple[str, str]]:
    """Fields of commands and replies that the story never used."""
    return {
        (name, field)
        for name, message in judge.messages.items()
        for field in message["payload"].get("properties", {})
    } - judge.shapes


async def _command(node: RunningNode, *arguments: str) -> str:
    done = await asyncio.to_thread(node.cli, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _request(
    node: RunningNode, method: str, path: str, token: str, body: object = None
) -> httpx.Response:
    with node.rest(token) as rest:
        return rest.request(method, path, json=body).raise_for_status()


async def _talk(node: RunningNode, judge: Judge, ada: str, grace: str) -> None:
    """Two people and a second device in the lobby: messages, marks and what passes."""
    for token in (ada, grace):
        _request(node, "POST", "/v1/rooms/lobby/join", token)
    async with (
        Talker(node.ws_url, judge) as one,
        Talker(node.ws_url, judge) as two,
        Talker(node.ws_url, judge) as device,
    ):
        welcome = await one.ask("hello", token=ada, client="test")
        assert welcome["t"] == "welcome"
        await two.ask("hello", token=grace)
        await device.ask("hello", token=ada)
        for talker in (one, two):
            await talker.ask("sub", room="lobby", want=ALL_EPHEMERAL)
        await one.hear_event("presence", count=2)
        sent = await one.ask("send", room="lobby", cid="c1", body={"text": "Hello"})
        again = await one.ask("send", room="lobby", cid="c1", body={"text": "Hello"})
        assert (again["seq"], again.get("dup")) == (sent["seq"], True)
        await two.hear_event("msg", seq=sent["seq"])
        await one.say("send", room="lobby", cid="c2", body={"text": "Re"}, thread=sent["seq"])
        await two.hear_event("msg", thread=sent["seq"])
        other = await one.ask("send", room="lobby", cid="c1", body={"text": "Other"})
        assert (other["code"], other["field"], other["room"]) == ("cid_conflict", "cid", "lobby")
        await one.ask("read", room="lobby", n=1)
        await device.hear_event("mark", room="lobby", n=1)
        await two.hear_event("receipt", room="lobby", n=1)
        for on in (True, False):
            await one.say("typing", room="lobby", on=on)
            await two.hear_event("typing", on=on)
        await one.say("signal", room="lobby", body={"offer": [1]})
        await two.hear_event("signal", body={"offer": [1]})
        await _read_pages(one, welcome["me"][0], sent["seq"])
        await one.ask("auth", token=ada)
        await one.hear_event("ping")
        await one.ask("unsub", room="lobby")
        await one.say_wrong('{"t":"dance","id":1000000}')
        assert (await one.hear(lambda line: line.get("id") == 1000000))["code"] == "unknown_op"


async def _read_pages(talker: Talker, epoch: str, seq: int) -> None:
    newest = await talker.ask("hist", room="lobby", limit=1)
    assert (len(newest["events"]), newest["more"]) == (1, True)
    around = await talker.ask("hist", room="lobby", around=seq, epoch=epoch)
    assert {event["t"] for event in around["events"]} == {"room", "member", "msg"}
    await talker.ask("hist", room="lobby", before=seq)
    await talker.ask("hist", room="lobby", after=seq)
    page = await talker.ask("who", room="lobby", limit=1)
    rest = await talker.ask("who", room="lobby", limit=1, cursor=page["next_cursor"])
    assert page["members"][0]["user"] != rest["members"][0]["user"]


async def _manage_members(node: RunningNode, judge: Judge, ada: str, grace: str) -> None:
    """A private room with every action on members, seen by its owner and in the other's `me`."""
    user = _request(node, "GET", "/v1/users/me", grace).json()["id"]
    room = _request(node, "POST", "/v1/rooms", ada, {"name": "garden", "kind": "private"}).json()
    path = f"/v1/rooms/{room['id']}"
    async with Talker(node.ws_url, judge) as owner, Talker(node.ws_url, judge) as guest:
        await owner.ask("hello", token=ada)
        await guest.ask("hello", token=grace)
        await owner.ask("sub", room=room["id"], since=await _start_of(owner, room["id"]))
        await owner.hear_event("room", action="create", name="garden")
        steps: list[tuple[str, str, str, object, str]] = [
            ("POST", f"{path}/invitations", ada, {"user": user}, "invite"),
            ("POST", f"{path}/join", grace, None, "join"),
            ("PATCH", f"{path}/members/{user}", ada, {"role": "moderator"}, "role"),
            ("POST", f"{path}/leave", grace, None, "leave"),
            ("PUT", f"{path}/bans/{user}", ada, None, "ban"),
            ("DELETE", f"{path}/bans/{user}", ada, None, "unban"),
            ("POST", f"{path}/invitations", ada, {"user": user}, "invite"),
            ("POST", f"{path}/join", grace, None, "join"),
            ("DELETE", f"{path}/members/{user}", ada, None, "kick"),
        ]
        for method, where, token, body, action in steps:
            _request(node, method, where, token, body)
            await owner.hear_event("member", action=action, user=user)
        for kind in ("invite", "room_added", "room_removed"):
            await guest.hear_event(kind, of=room["id"])
        answer = await guest.ask("sub", room=room["id"])
        assert answer["code"] == "not_found"


async def _start_of(talker: Talker, room: str) -> list[object]:
    return [(await talker.ask("hist", room=room, limit=1))["epoch"], 0]


async def _resume(node: RunningNode, judge: Judge, ada: str) -> None:
    """Every status of a resumed room, a run of many members, and a token about to end."""
    crowd = await _command(node, "room", "--name", "Crowd", "--members-prefix", "people-")
    async with Talker(node.ws_url, judge) as talker:
        epoch = (await talker.ask("hello", token=ada))["me"][0]
        await talker.ask("sub", room=crowd, since=[epoch, 0])
        await talker.hear_event("member", action="join", role="member")
        for count in range(17):
            body = {"text": "x", "padding": "x" * 16_000}
            await talker.ask("send", room="lobby", cid=f"large-{count}", body=body)
        for count in range(260):
            await talker.say("send", room="lobby", cid=f"many-{count}", body={"text": "x"})
        refused = await talker.hear(lambda line: line["t"] == "err")
        assert (refused["code"], refused["retry"]) == ("rate_limited", True)
    rooms = {"lobby": [epoch, 0], crowd: [epoch, 0], "elsewhere": [epoch, 0], "me": ["x", 0]}
    token = await _command(node, "token", "--user", "people-0", "--ttl", "50")
    async with Talker(node.ws_url, judge) as talker:
        welcome = await talker.ask("hello", token=token, rooms=rooms)
        statuses = {room: row[0] for room, row in welcome["resume"].items()}
        assert statuses == {"lobby": "gap", crowd: "ok", "elsewhere": "denied", "me": "epoch"}
        gap: Line = await talker.hear_event("gap", room="lobby")
        assert (gap["from"], gap["to"]) == (1, welcome["resume"]["lobby"][2])
        await talker.hear_event("epoch", room="me", epoch=epoch)
        await talker.hear_event("auth_expiring")


async def _drain(node: RunningNode, judge: Judge, ada: str) -> None:
    """A node that leaves says so, and closes with 4110."""
    async with Talker(node.ws_url, judge) as talker:
        await talker.ask("hello", token=ada)
        await _command(node, "drain")
        await talker.hear_event("notice", code="drain")
        assert await talker.hear_end() == 4110
