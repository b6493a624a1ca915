"""The REST rows of the table of bad input: each gets its status and code, and nothing breaks."""

import asyncio
from dataclasses import replace
from typing import Any, NamedTuple

import httpx
import pytest

from chatrooms.api.frame import Frame
from chatrooms.api.guard import Guard
from tests.fakes.world import Person, World


class Row(NamedTuple):
    """A request that is wrong, and the answer it gets."""

    method: str
    path: str
    status: int
    code: str
    content: bytes | None = None
    headers: dict[str, str] = {}  # noqa: RUF012 -- never changed
    field: str | None = None


JSON = {"Content-Type": "application/json"}
KEY = {"Idempotency-Key": "k1"} | JSON
POST = "/v1/rooms/{room}/messages"
DEEP = b'{"body":' + b'{"a":' * 16 + b"1" + b"}" * 16 + b"}"
WIDE = b"{" + b",".join(b'"k%d":1' % each for each in range(65)) + b"}"
UNKNOWN = "01h0000000000000zzzz"


def _text(characters: int) -> bytes:
    return b'{"body":{"text":"' + b"a" * characters + b'"}}'


def _posted(content: bytes, status: int, code: str, field: str | None = None) -> Row:
    return Row("POST", POST, status, code, content, KEY, field)


ROWS = {
    "no such path": Row("GET", "/v1/nothing", 404, "not_found"),
    "trailing slash": Row("GET", "/v1/rooms/", 404, "not_found"),
    "method not known there": Row("DELETE", "/v1/rooms", 405, "method_not_allowed"),
    "TRACE": Row("TRACE", "/v1/rooms", 405, "method_not_allowed"),
    "CONNECT": Row("CONNECT", "/v1/rooms", 405, "method_not_allowed"),
    "encoded slash": Row("GET", "/v1/rooms/a%2Fb", 400, "bad_request"),
    "encoded backslash": Row("GET", "/v1/rooms/a%5cb", 400, "bad_request"),
    "NUL in the path": Row("GET", "/v1/rooms/a%00b", 400, "bad_request"),
    "overlong UTF-8": Row("GET", "/v1/rooms/%c0%af", 400, "bad_request"),
    "broken UTF-8": Row("GET", "/v1/rooms/%ff", 400, "bad_request"),
    "token in the query": Row("GET", "/v1/rooms?access_token=x", 400, "token_in_url"),
    "id that does not parse": Row("GET", "/v1/rooms/a%20b", 404, "not_found"),
    "id that is too long": Row("GET", "/v1/rooms/" + "a" * 65, 404, "not_found"),
    "private log as a room": Row("GET", "/v1/rooms/me:x", 404, "not_found"),
    "user id that does not parse": Row("GET", "/v1/users/a:b", 404, "not_found"),
    "session id that does not parse": Row("DELETE", "/v1/sessions/a%24b", 404, "not_found"),
    "unknown room": Row("GET", f"/v1/rooms/{UNKNOWN}", 404, "not_found"),
    "unknown user": Row("GET", f"/v1/users/{UNKNOWN}", 404, "not_found"),
    "unknown session": Row("DELETE", f"/v1/sessions/{UNKNOWN}", 404, "not_found"),
    "limit of 0": Row("GET", "/v1/rooms?limit=0", 422, "invalid", field="limit"),
    "limit of 101": Row("GET", "/v1/rooms?limit=101", 422, "invalid", field="limit"),
    "limit of letters": Row("GET", "/v1/rooms?limit=abc", 422, "invalid", field="limit"),
    "unknown scope": Row("GET", "/v1/rooms?scope=all", 422, "invalid", field="scope"),
    "cursor of nothing": Row("GET", "/v1/rooms?cursor=!!", 422, "invalid", field="cursor"),
    "cursor not canonical": Row("GET", "/v1/rooms?cursor=YWJj====", 422, "invalid", field="cursor"),
    "cursor of no id": Row("GET", "/v1/rooms?cursor=JA", 422, "invalid", field="cursor"),
    "seq of 2**53": Row("GET", f"{POST}?before={1 << 53}", 422, "invalid", field="before"),
    "negative seq": Row("GET", f"{POST}?after=-1", 422, "invalid", field="after"),
    "two anchors": Row("GET", f"{POST}?after=1&before=9", 422, "invalid", field="after"),
    "history limit of 0": Row("GET", f"{POST}?limit=0", 422, "invalid", field="limit"),
    "another epoch": Row("GET", f"{POST}?epoch=old", 409, "epoch_mismatch", field="epoch"),
    "only XML is accepted": Row(
        "GET", "/v1/rooms", 406, "not_acceptable", headers={"Accept": "text/xml"}
    ),
    "JSON is refused": Row(
        "GET",
        "/v1/rooms",
        406,
        "not_acceptable",
        headers={"Accept": "*/*, application/json;q=0"},
    ),
    "Accept with a bad weight": Row(
        "GET", "/v1/rooms", 406, "not_acceptable", headers={"Accept": "application/json;q=x"}
    ),
    "direct room with oneself": Row(
        "POST", "/v1/rooms", 422, "invalid", b'{"kind":"direct","user":"{user}"}', JSON, "user"
    ),
    "body of no type": Row("POST", "/v1/rooms", 415, "unsupported_media_type", b"{}"),
    "form body": Row(
        "POST",
        "/v1/rooms",
        415,
        "unsupported_media_type",
        b"kind=public",
        {"Content-Type": "application/x-www-form-urlencoded"},
    ),
    "compressed body": Row(
        "POST",
        "/v1/rooms",
        415,
        "unsupported_media_type",
        b"{}",
        JSON | {"Content-Encoding": "gzip"},
    ),
    "Latin-1 body": Row(
        "POST",
        "/v1/rooms",
        415,
        "unsupported_media_type",
        b"{}",
        {"Content-Type": "application/json; charset=latin-1"},
    ),
    "no body": Row("POST", "/v1/rooms", 422, "invalid", headers=JSON, field="body"),
    "broken JSON": Row("POST", "/v1/rooms", 400, "bad_request", b"{", JSON),
    "JSON that is no object": Row("POST", "/v1/rooms", 400, "bad_request", b"[]", JSON),
    "duplicate keys": Row(
        "POST", "/v1/rooms", 400, "bad_request", b'{"kind":"public","kind":"private"}', JSON
    ),
    "query operator": Row(
        "POST",
        "/v1/auth/login",
        422,
        "invalid",
        b'{"username":{"$ne":null},"password":"x"}',
        JSON,
        "username",
    ),
    "unknown kind": Row(
        "POST", "/v1/rooms", 422, "invalid", b'{"kind":"secret","name":"x"}', JSON, "kind"
    ),
    "room without a name": Row(
        "POST", "/v1/rooms", 422, "invalid", b'{"kind":"public"}', JSON, "name"
    ),
    "blank room name": Row(
        "POST", "/v1/rooms", 422, "invalid", b'{"kind":"public","name":" "}', JSON, "name"
    ),
    "unknown role": Row(
        "PATCH",
        f"/v1/rooms/{{room}}/members/{UNKNOWN}",
        422,
        "invalid",
        b'{"role":"god"}',
        JSON,
        "role",
    ),
    "direct room with nobody": Row(
        "POST", "/v1/rooms", 404, "not_found", b'{"kind":"direct","user":"nobody"}', JSON
    ),
    "message without a key": Row(
        "POST", POST, 400, "bad_request", _text(1), JSON, "Idempotency-Key"
    ),
    "key of 65 characters": Row(
        "POST",
        POST,
        400,
        "bad_request",
        _text(1),
        JSON | {"Idempotency-Key": "k" * 65},
        "Idempotency-Key",
    ),
    "key with a blank": Row(
        "POST", POST, 400, "bad_request", _text(1), JSON | {"Idempotency-Key": "a b"}
    ),
    "message without a body": _posted(b"{}", 422, "invalid", "body"),
    "message body of text": _posted(b'{"body":"hi"}', 422, "invalid", "body"),
    "message with unknown fields": _posted(b'{"body":{"text":"a"},"seq":1}', 422, "invalid", "seq"),
    "thread of a fraction": _posted(
        b'{"body":{"text":"a"},"thread":1.5}', 422, "invalid", "thread"
    ),
    "empty text": _posted(_text(0), 400, "bad_request"),
    "text of 4,097": _posted(_text(4097), 413, "too_large"),
    "body over 16 KiB": _posted(b'{"body":{"x":"' + b"a" * 16_400 + b'"}}', 413, "too_large"),
    "too deep": _posted(DEEP, 400, "bad_request"),
    "too many keys": _posted(b'{"body":' + WIDE + b"}", 400, "bad_request"),
    "infinite number": _posted(b'{"body":{"x":1e400}}', 400, "bad_request"),
    "NaN": _posted(b'{"body":{"x":NaN}}', 400, "bad_request"),
    "lone surrogate": _posted(b'{"body":{"text":"\\ud800"}}', 400, "bad_request"),
    "not UTF-8": _posted(b'{"body":{"text":"\xff"}}', 400, "bad_request"),
    "duplicate key in the body": _posted(b'{"body":{"a":1,"a":2}}', 400, "bad_request"),
    "control character in text": _posted(b'{"body":{"text":"a\\u0007"}}', 400, "bad_request"),
    "over 1 MiB": Row("POST", "/v1/rooms", 413, "too_large", b" " * 1_048_577, JSON),
}


async def _answer(world: World, row: Row, person: Person, room: str) -> httpx.Response:
    return await world.http.request(
        row.method,
        row.path.replace("{room}", room),
        content=row.content and row.content.replace(b"{user}", person.id.encode()),
        headers=person.bearer | row.headers,
    )


@pytest.mark.parametrize("name", ROWS)
async def test_bad_request_gets_its_row(world: World, name: str) -> None:
    """Status, code and field as in the table; a problem document that repeats no input."""
    row = ROWS[name]
    person = await world.person("ada")
    room = await world.room(person)
    answer = await _answer(world, row, person, room)
    assert (answer.status_code, answer.json()["code"]) == (row.status, row.code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["status"] == row.status
    assert "Traceback" not in answer.text
    if row.field is not None:
        assert [error["field"] for error in problem["errors"]] == [row.field]
    assert (await world.post(person, room, "afterwards")).status_code == 201
    assert world.failures == []


async def test_allow_names_every_method_of_a_path(world: World) -> None:
    """All routes of a path count, not only the first that matches."""
    for path, allow in {
        "/v1/rooms": "GET, HEAD, POST",
        "/v1/rooms/r/members/u": "PATCH, DELETE",
        "/healthz": "GET, HEAD",
    }.items():
        answer = await world.http.options(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)


async def test_streamed_body_is_refused_once_it_is_too_large(world: World) -> None:
    """Without a declared length the bytes are counted, and no more of them is read."""
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield b" " * 65_536

    answer = await world.http.post("/v1/auth/login", content=endless(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert read <= 18


async def test_dripping_body_is_given_up(world: World) -> None:
    """A client that never finishes its body holds nothing for longer than the bound."""

    async def drip() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    hasty = Guard(world.app, world.app.state.services, body_seconds_max=0.01)
    transport = httpx.ASGITransport(app=Frame(hasty, world.app.state.services))
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
        answer = await http.post("/v1/auth/login", content=drip(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
async def test_tunnels_and_echoes_are_refused_everywhere(world: World, method: str) -> None:
    """405 on paths that exist and on those that do not."""
    known = await world.http.request(method, "/healthz")
    unknown = await world.http.request(method, "/nothing")
    assert (known.status_code, known.headers["allow"]) == (405, "GET, HEAD")
    assert (unknown.status_code, unknown.headers["allow"]) == (405, "")


async def test_head_is_get_without_a_body(world: World) -> None:
    """RFC 9110, 9.3.2."""
    head, whole = await world.http.head("/healthz"), await world.http.get("/healthz")
    assert head.status_code == whole.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(whole.content))


async def test_fault_is_answered_without_a_trace(world: World) -> None:
    """An exception nobody foresaw: 500, told to the operator and not to the client."""

    def explode() -> dict[str, object]:
        raise RuntimeError("secret of the house")

    world.app.state.services = replace(world.app.state.services, health=explode)
    answer = await world.http.get("/healthz")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert [str(failure) for failure in world.failures] == ["secret of the house"]
