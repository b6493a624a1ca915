"""Bad commands with what their `err` says, and lines that are just within the bounds."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.integration.bad_input.wire import MARKER

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


def each(t: str, field: str, values: Sequence[Any]) -> dict[str, Row]:
    """A row for each value of a field that is no good there."""
    return {f"{field} {value!r:.40} of {t}": op(t, field, **{field: value}) for value in values}


def undecodable(line: str) -> Row:
    """No JSON as the protocol wants it: nothing in it is believed."""
    return Row(line, "bad_request", None, None)


def nested(depth: int) -> str:
    """A `who` that is `depth` deep, its outer object counted."""
    return '{"t":"who","id":7,"room":"{room}","x":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def wide(keys: int) -> str:
    """A `who` with an object of so many keys in it."""
    return (
        '{"t":"who","id":7,"room":"{room}","x":'
        + json.dumps({f"k{number}": 0 for number in range(keys)})
        + "}"
    )


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
    **each(
        "send",
        "room",
        (
            ...,
            None,
            1,
            "",
            "a" * 65,
            "a b",
            "a:b",
            "me:x",
            "lobby\0",
            "l\u03bfbby",
            "\u202elobby",
            "../x",
            "lobby\n",
            ["lobby"],
            {"$ne": None},
            "lob\u00adby",
            "\uff4cobby",
        ),
    ),
    **{
        f"room of {t}": op(t, "room", room=f"{MARKER}!")
        for t in ("sub", "unsub", "read", "hist", "who")
    },
    **each(
        "send", "cid", (..., None, 1, "", "c" * 65, "a b", "a\0", "a\n", "\u00e9", f"{MARKER}\x7f")
    ),
    **each("send", "body", (..., None, 1, MARKER, [], True)),
    **{
        f"text {text}": raw_send(f'{{"text":{text}}}')
        for text in (
            '""',
            "1",
            "null",
            "[]",
            '"\\u0000"',
            '"a\\u0007b"',
            '"\\u001b[31m"',
            '"\\r\\n"',
            '"a\\u001fb"',
            '"\\b"',
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
    **each(
        "sub",
        "since",
        (
            [],
            ["e"],
            ["e", 1, 2],
            ["e", -1],
            ["e", LIMIT],
            [1, 1],
            ["", 1],
            ["e", "1"],
            ["e" * 65, 1],
            ["e\0", 1],
            {},
            "e",
            ["e", 1.0],
            [["e", 1]],
        ),
    ),
    **each("sub", "want", ("typing", [1], {}, 1, [None])),
    **each("hist", "limit", (0, 101, -1, 1.0, "1", LIMIT)),
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
        "too_large",
        "body",
        None,
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
    "body of nearly 16 KiB": (
        '{"t":"send","id":7,"room":"{room}","cid":"full","body":{"text":"' + "🦀" * 4_093 + '"}}'
    ),
    "largest double": '{"t":"who","id":7,"room":"{room}","x":1.7976931348623157e308}',
}
