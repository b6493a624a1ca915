"""The strict judge in plain Python, slow and short, beside the compiled one of the core."""

import json
from typing import Any, NoReturn

from chatrooms.domain.errors import Code, Refusal

DEPTH_MAX = 16
KEYS_MAX = 64
BODY_BYTES_MAX = 16_384
TEXT_MAX = 4_096


class PlainScanner:
    """Implements the Scanner port by the standard library."""

    def members(self, document: bytes) -> dict[str, bytes]:
        """The value bytes of each member, found by parsing one value after the other."""
        text = _decoded(document)
        value = _judged(text)
        if not isinstance(value, dict):
            raise Refusal(Code.BAD_REQUEST, "not an object")
        decoder = json.JSONDecoder()
        found: dict[str, bytes] = {}
        at = text.index("{") + 1
        for _ in value:
            at = _blank(text, at, ",")
            name, at = decoder.raw_decode(text, at)
            begin = _blank(text, at, ":")
            _, at = decoder.raw_decode(text, begin)
            found[name] = text[begin:at].encode()
        return found

    def judge_body(self, body: bytes) -> None:
        """The bounds of a message body."""
        value = _judged(_decoded(body))
        if len(body) > BODY_BYTES_MAX:
            raise Refusal(Code.TOO_LARGE, "body")
        if not isinstance(value, dict):
            raise Refusal(Code.BAD_REQUEST, "not an object", field="body")
        text = value.get("text", "-")
        if not isinstance(text, str) or not text:
            raise Refusal(Code.BAD_REQUEST, "text", field="body.text")
        if len(text) > TEXT_MAX:
            raise Refusal(Code.TOO_LARGE, "text", field="body.text")
        if any(character < " " and character not in "\n\t" for character in text):
            raise Refusal(Code.BAD_REQUEST, "text", field="body.text")


def _blank(text: str, at: int, mark: str) -> int:
    while text[at] in " \t\r\n" + mark:
        at += 1
    return at


def _decoded(document: bytes) -> str:
    try:
        return document.decode()
    except UnicodeDecodeError:
        raise Refusal(Code.BAD_REQUEST, "not UTF-8") from None


def _judged(text: str) -> Any:
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite
        )
        _walk(value, 1)
    except (ValueError, RecursionError):
        raise Refusal(Code.BAD_REQUEST, "not JSON") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs) or len(pairs) > KEYS_MAX:
        raise ValueError("duplicate or too many keys")
    return members


def _refuse(_: str) -> NoReturn:
    raise ValueError("no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("no finite number")
    return number


def _walk(value: Any, depth: int) -> None:
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict | list):
        if depth > DEPTH_MAX:
            raise Refusal(Code.BAD_REQUEST, "too deep")
        inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        for each in inner:
            _walk(each, depth + 1)
