"""Bad commands: the code, the field and the id of each `err`, and what closes."""

import json
from typing import Any, NamedTuple

import pytest

from tests.integration.bad_input.scene import Scene
from tests.integration.bad_input.wire import MARKER, Raw, frame

LIMIT = 1 << 53


class Row(NamedTuple):
    """A line ({} stands for the room) and what its `err` says."""

    line: str
    code: str = "bad_request"
    field: str | None = None
    id: int | None = 7


def op(t: str, field: str | None = None, code: str = "bad_request", **fields: Any) -> Row:
    """A row of an op that is good but for its fields; None leaves one out."""
    whole = {"t": t, "id": 7, **GOOD.get(t, {}), **fields}
    kept = {name: value for name, value in whole.items() if value is not ...}
    return Row(json.dumps(kept), code, field)


ROOM = "{room}"
GOOD: dict[str, dict[str, Any]] = {
    "send": {"room": ROOM, "cid": "bad", "body": {"text": "x"}},
    "sub": {"room": ROOM},
    "unsub": {"room": ROOM},
    "read": {"room": ROOM, "n": 0},
    "hist": {"room": ROOM},
    "who": {"room": ROOM},
}


def raw_send(body: str, code: str = "bad_request", field: str | None = "body.text") -> Row:
    """A `send` whose body is these characters."""
    return Row(f'{{"t":"send","id":7,"room":"{ROOM}","cid":"bad","body":{body}}}', code, field)


def undecodable(line: str) -> Row:
    """No JSON as the protocol wants it: nothing in it is believed."""
    return Row(line, "bad_request", None, None)


def nested(depth: int) -> str:
    """A `who` that is `depth` deep, its outer object counted."""
    return '{"t":"who","id":7,"room":"{room}","x":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def wide(keys: int) -> str:
    """A `who` with an object of so many keys in it."""
    return '{"t":"who","id":7,"room":"{room}","x":' + json.dumps(
        {f"k{number}": 0 for number in range(keys)}
    ) + "}"


UNDECODABLE: dict[str, Row] = {
    name: undecodable(line)
    for name, line in {
        "not JSON": MARKER,
        "empty object cut": '{"t":"who"',
        "array": "[1]",
        "string": f'"{MARKER}"',
        "number": "1",
        "null": "null",
        "two values": '{"t":"pong"} {"t":"pong"}',
        "comma behind": '{"t":"pong",}',
        "comment": '{"t":"pong"/**/}',
        "single quotes": "{'t':'pong'}",
        "NaN": '{"t":"who","id":7,"x":NaN}',
        "Infinity": '{"t":"who","id":7,"x":-Infinity}',
        "1e400": '{"t":"who","id":7,"x":1e400}',
        "310 digits": '{"t":"who","id":7,"x":1' + "0" * 310 + "}",
        "leading zero": '{"t":"who","id":07}',
        "hexadecimal": '{"t":"who","id":0x7}',
        "plus": '{"t":"who","id":+7}',
        "lone high surrogate": '{"t":"who","id":7,"x":"\\ud800"}',
        "lone low surrogate": '{"t":"who","id":7,"x":"\\udc00"}',
        "high surrogate twice": '{"t":"who","id":7,"x":"\\ud800\\ud800"}',
        "surrogate in a key": '{"t":"who","id":7,"\\ud800":1}',
        "bad escape": '{"t":"who","id":7,"x":"\\x41"}',
        "raw control": '{"t":"who","id":7,"x":"a\tb"}',
        "raw NUL": '{"t":"who","id":7,"x":"a\0b"}',
        "BOM": '\ufeff{"t":"pong"}',
        "no-break space": '\u00a0{"t":"pong"}',
        "same key twice": '{"t":"pong","t":"who"}',
        "same key twice, escaped": '{"t":"pong","\\u0074":"who"}',
        "same key twice in the body": (
            '{"t":"send","id":7,"room":"{room}","cid":"x","body":{"text":"a","text":"b"}}'
        ),
        "same key twice, deep": '{"t":"pong","x":[{"a":{"k":1,"k":2}}]}',
        "depth 17": nested(17),
        "depth 10,000": nested(10_000),
        "65 keys": wide(65),
        "65 keys outside": json.dumps({f"k{number}": 0 for number in range(65)}),
        "257 rooms to resume": json.dumps(
            {"t": "hello", "id": 7, "rooms": {f"r{n}": ["e", 0] for n in range(257)}}
        ),
    }.items()
}

ROWS: dict[str, Row] = {
    "no t": Row('{"id":7}', field="t"),
    "t a number": Row('{"t":1,"id":7}', field="t"),
    "t null": Row('{"t":null,"id":7}', field="t"),
    "unknown op": Row(f'{{"t":"{MARKER}","id":7}}', "unknown_op"),
    "empty op": Row('{"t":"","id":7}', "unknown_op"),
    "op in capitals": Row('{"t":"WHO","id":7}', "unknown_op"),
    "op of the server": Row('{"t":"msg","id":7}', "unknown_op"),
    **{
        f"id {value}": Row(f'{{"t":"who","room":"{ROOM}","id":{value}}}', field="id", id=None)
        for value in ('"7"', "-1", "7.0", "7e0", "true", "[7]", f"{LIMIT}", "1" + "0" * 30, "null")
    },
    "no id": Row(f'{{"t":"who","room":"{ROOM}"}}', field="id", id=None),
    "id that has not grown": Row(f'{{"t":"who","room":"{ROOM}","id":1}}', field="id", id=1),
    **{
        f"room {value!r}": op("send", "room", room=value)
        for value in (
            ..., None, 1, "", "a" * 65, "a b", "a:b", "me:x", "lobby\0", "l\u03bfbby", "\u202elobby",
            "../x", "lobby\n", ["lobby"], {"$ne": None}, "lob\u00adby", "ｌobby",
        )
    },
    **{
        f"room of {t}": op(t, "room", room=f"{MARKER}!")
        for t in ("sub", "unsub", "read", "hist", "who")
    },
    **{
        f"cid {value!r}": op("send", "cid", cid=value)
        for value in (..., None, 1, "", "c" * 65, "a b", "a\0", "a\n", "\u00e9", f"{MARKER}\x7f")
    },
    **{
        f"body {value!r}": op("send", "body", body=value)
        for value in (..., None, 1, MARKER, [], True)
    },
    **{
        f"text {text}": raw_send(f'{{"text":{text}}}')
        for text in (
            '""', "1", "null", "[]", '"\\u0000"', '"a\\u0007b"', '"\\u001b[31m"', '"\\r\\n"',
            '"a\\u001fb"', '"\\b"',
        )
    },
    "text of 4,097 code points": raw_send(f'{{"text":"{"é" * 4_097}"}}', "too_large"),
    "text of 4,097 escaped pairs": raw_send(
        '{"text":"' + "\\ud83e\\udd80" * 1_000 + "a" * 3_097 + '"}', "too_large"
    ),
    "body over 16 KiB": raw_send(f'{{"x":"{"a" * 16_384}"}}', "too_large", "body"),
    **{
        f"n {value}": Row(f'{{"t":"read","id":7,"room":"{ROOM}","n":{value}}}', field="n")
        for value in ("-1", "1.0", f"{LIMIT}", '"1"', "null", "1e0", "-0")
    },
    "n over the room's": op("read", "n", "out_of_range", n=LIMIT - 1),
    **{
        f"since {value}": op("sub", "since", since=value)
        for value in (
            [], ["e"], ["e", 1, 2], ["e", -1], ["e", LIMIT], [1, 1], ["", 1], ["e", "1"],
            ["e" * 65, 1], ["e\0", 1], {}, "e", ["e", 1.0], [["e", 1]],
        )
    },
    **{
        f"want {value}": op("sub", "want", want=value) for value in ("typing", [1], {}, 1, [None])
    },
    **{
        f"limit {value}": op("hist", "limit", limit=value)
        for value in (0, 101, -1, 1.0, "1", LIMIT)
    },
    "limit of who": op("who", "limit", limit=101),
    "before": op("hist", "before", before=-1),
    "after": op("hist", "after", after=LIMIT),
    "around": op("hist", "around", around="1"),
    "before and after": op("hist", "after", before=1, after=1),
    "after and around": op("hist", "around", after=1, around=1),
    "epoch of another log": op("hist", "epoch", "epoch_mismatch", epoch=MARKER),
    "epoch a number": op("hist", "epoch", epoch=1),
    "cursor with a control": op("who", "cursor", cursor=f"{MARKER}\0"),
    "cursor too long": op("who", "cursor", cursor="c" * 513),
    "thread 1.0": op("send", "thread", thread=1.0),
    "auth without token": Row('{"t":"auth","id":7}', field="token"),
    "auth with another's form": Row(f'{{"t":"auth","id":7,"token":"{MARKER}"}}', "unauthorized"),
    "send to me": op("send", "room", "forbidden", room="me"),
    "no such room": op("send", "room", "not_found", room=f"{MARKER}-no-room"),
    "no such room in sub": op("sub", None, "not_found", room=f"{MARKER}-no-room"),
    "no such room in hist": op("hist", None, "not_found", room=f"{MARKER}-no-room"),
    "typing without on": Row(f'{{"t":"typing","room":"{ROOM}"}}', field="on", id=None),
    "typing, id of no matter": Row('{"t":"typing","id":"x","on":true}', field="room", id=None),
    "signal over 4 KiB": Row(
        f'{{"t":"signal","room":"{ROOM}","body":{{"x":"{"a" * 4_096}"}}}}',
        "too_large", "body", None,
    ),
    "signal without body": Row(f'{{"t":"signal","room":"{ROOM}"}}', field="body", id=None),
}

GOOD_LINES: dict[str, str] = {
    "depth 16": nested(16),
    "64 keys": wide(64),
    "unknown field": '{"t":"who","id":7,"room":"{room}","role":"owner","$where":"1"}',
    "escaped keys": '{"\\u0074":"who","\\u0069d":7,"room":"{room}"}',
    "null in optional fields": (
        '{"t":"hist","id":7,"room":"{room}","before":null,"after":null,"limit":null,"epoch":null}'
    ),
    "white space": ' \t{ "t" : "who" ,\r "id" : 7 , "room" : "{room}" } \r',
    "largest id": f'{{"t":"who","id":{LIMIT - 1},"room":"{ROOM}"}}',
    "since far in the future": (
        f'{{"t":"sub","id":7,"room":"{ROOM}","since":["e",{LIMIT - 1}],"want":["unheard-of"]}}'
    ),
    "before 0": '{"t":"hist","id":7,"room":"{room}","before":0}',
    "text of 4,096 pairs": (
        '{"t":"send","id":7,"room":"{room}","cid":"full","body":{"text":"' + "🦀" * 4_000 + '"}}'
    ),
    "largest double": '{"t":"who","id":7,"room":"{room}","x":1.7976931348623157e308}',
}


def say(raw: Raw, scene: Scene, line: str) -> None:
    """One line as it is, the room filled in."""
    raw.send(frame(line.replace(ROOM, scene.room).encode("utf-8", "surrogatepass")))


def judge(raw: Raw, row: Row) -> None:
    """The next line is that `err`, and says nothing of what was sent."""
    err = raw.line()
    told = (err["t"], err["code"], err.get("field"), err.get("id"))
    assert told == ("err", row.code, row.field, row.id), err
    assert err["retry"] is False
    assert err["msg"]
    assert MARKER not in json.dumps({**err, "room": None})


@pytest.mark.parametrize("case", ROWS)
def test_bad_command_gets_its_err(scene: Scene, case: str) -> None:
    """With code, field and id; the connection goes on."""
    with scene.live() as raw:
        say(raw, scene, ROWS[case].line)
        judge(raw, ROWS[case])
        say(raw, scene, '{"t":"who","id":9,"room":"{room}"}')
        assert raw.line()["t"] == "ok"


@pytest.mark.parametrize("case", UNDECODABLE)
def test_undecodable_line_is_bad_request_and_the_third_closes_4002(
    scene: Scene, case: str
) -> None:
    """Nothing of it is believed, its id neither."""
    row = UNDECODABLE[case]
    with scene.live() as raw:
        for _ in range(2):
            say(raw, scene, row.line)
            judge(raw, row)
        say(raw, scene, '{"t":"who","id":9,"room":"{room}"}')
        assert raw.line()["t"] == "ok"
        say(raw, scene, row.line)
        judge(raw, row)
        assert raw.close()[0] == 4002


@pytest.mark.parametrize("case", GOOD_LINES)
def test_line_at_its_bound_is_executed(scene: Scene, case: str) -> None:
    """The row beside it in the tables of what is refused is one too many."""
    with scene.live() as raw:
        say(raw, scene, GOOD_LINES[case])
        line = raw.line()
        assert line["t"] == "ok", line


def test_one_bad_line_stops_no_other(scene: Scene) -> None:
    """Each line of a message stands alone and is answered by itself, in order."""
    with scene.live() as raw:
        lines = ['{"t":"who","id":3,"room":"{room}"}', "", "nonsense", '{"t":"who","id":4}', "  "]
        say(raw, scene, "\n".join([*lines, '{"t":"who","id":5,"room":"{room}"}', ""]))
        told = sorted((raw.line() for _ in range(4)), key=lambda line: line.get("id", 0))
        assert [line["t"] for line in told] == ["err", "ok", "err", "ok"]


def test_same_cid_with_other_content_is_a_conflict(scene: Scene) -> None:
    """The same content in other words is a duplicate."""
    with scene.live() as raw:
        send = {"t": "send", "room": scene.room, "cid": "conflict"}
        first = raw.ask(**send, body={"text": "a", "x": [1, 2.5]})
        assert first["t"] == "ok"
        say(
            raw,
            scene,
            '{"t":"send","id":20,"room":"{room}","cid":"conflict",'
            '"body":{"x":[1,2.50],"text":"\\u0061"}}',
        )
        again = raw.reply(20)
        assert (again["seq"], again["dup"]) == (first["seq"], True)
        for body in ({"text": "b", "x": [1, 2.5]}, {"text": "a"}, {"text": "a", "x": [2.5, 1]}):
            raw._id += 20
            refused = raw.ask(**send, body=body)
            assert (refused["t"], refused["code"]) == ("err", "cid_conflict")


def test_strangers_learn_nothing_of_a_private_room(scene: Scene) -> None:
    """It is answered as a room that does not exist, in every op."""
    with scene.node.rest(scene.pair.tokens[0]) as rest:
        made = rest.post("/v1/rooms", json={"name": "Secret", "kind": "private"})
        private = made.raise_for_status().json()["id"]
    with scene.live() as raw:
        for t, fields in GOOD.items():
            if t == "unsub":
                continue
            told = []
            for room in (private, "no-such-room"):
                err = raw.ask(**{**fields, "t": t, "room": room})
                told.append({**err, "id": 0, "room": None})
            assert told[0] == told[1], t
            assert told[0]["code"] == "not_found"


def test_hundred_errs_close_4007(scene: Scene) -> None:
    """Ninety-nine do not."""
    with scene.live() as raw:
        numbers = [raw.say({"t": "nope"}) for _ in range(99)]
        assert [raw.reply(number)["code"] for number in numbers] == ["unknown_op"] * 99
        assert raw.ask(t="nope")["code"] == "unknown_op"
        assert raw.close()[0] == 4007


def test_op_before_hello_is_unauthorized(scene: Scene) -> None:
    """Then 4001; a `pong` is let pass."""
    for line in ('{"t":"who","id":1,"room":"{room}"}', '{"t":"nope","id":1}'):
        with scene.upgraded() as raw:
            raw.send(frame('{"t":"pong"}'))
            say(raw, scene, line)
            err = raw.line()
            assert (err["code"], err["id"]) == ("unauthorized", 1)
            assert raw.close()[0] == 4001


def test_second_hello_closes_4000(scene: Scene) -> None:
    """It is an op that this state does not allow."""
    with scene.live() as raw:
        raw.say({"t": "hello", "token": scene.token})
        assert raw.close()[0] == 4000


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "a" * 60_000, None])
def test_bad_token_is_unauthorized_then_4001(scene: Scene, token: str | None) -> None:
    """One answer for all of them."""
    with scene.upgraded() as raw:
        raw.say({"t": "hello", "token": token})
        err = raw.line()
        assert (err["code"], err["id"]) == ("unauthorized", 1)
        assert raw.close()[0] == 4001


def test_two_tokens_that_differ_are_4001(scene: Scene) -> None:
    """Even if both are good."""
    with scene.raw() as raw:
        raw.upgrade({"Authorization": f"Bearer {scene.pair.tokens[0]}"})
        raw.say({"t": "hello", "token": scene.token})
        assert raw.line()["code"] == "unauthorized"
        assert raw.close()[0] == 4001


def test_expired_token_is_4101(scene: Scene) -> None:
    """It was good once: the client may come back with a new one."""
    token = scene.node.cli("token", "--user", "attacker", "--ttl", "-1").stdout.strip()
    with scene.upgraded() as raw:
        raw.say({"t": "hello", "token": token})
        err = raw.line()
        assert (err["code"], err["retry"]) == ("token_expired", True)
        assert raw.close()[0] == 4101


def test_ticket_lets_in_once_of_fifty_tries(scene: Scene) -> None:
    """Used in parallel, one wins; the others are 4001."""
    with scene.node.rest(scene.token) as rest:
        ticket = rest.post("/v1/auth/ticket").raise_for_status().json()["ticket"]
    raws = [Raw(scene.port) for _ in range(50)]
    for raw in raws:
        raw.send(
            f"GET /ws?ticket={ticket} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: chat.v1\r\n\r\n".encode()
        )
        raw.say({"t": "hello"})
    told = []
    for raw in raws:
        with raw:
            assert raw.answer().status == 101
            told.append(raw.line()["t"])
            if told[-1] == "err":
                assert raw.close()[0] == 4001
    assert sorted(told) == ["err"] * 49 + ["welcome"]
    assert ticket not in scene.node.log()
