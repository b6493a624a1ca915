"""Whether a repeated `cid` says the same as the first time: thread and body as JSON values."""

import json
from typing import NamedTuple, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class Sent(NamedTuple):
    """What a stored line says of the send behind it; `same` compares the content."""

    seq: int
    n: int
    ts_ms: int
    same: bool


def same_value(one: Json, other: Json) -> bool:
    """Equality of JSON values (RFC 8259): 1 and 1.0 are one number, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            same_value(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    return one == other


def compare(line: str, thread: int | None, body: str) -> Sent:
    """Reads a stored line and holds a new send with its cid against it."""
    stored = json.loads(line)
    same = (
        stored["t"] == "msg"
        and stored.get("thread") == thread
        and same_value(stored["body"], json.loads(body))
    )
    return Sent(stored["seq"], stored.get("n", 0), stored["ts"], same)
