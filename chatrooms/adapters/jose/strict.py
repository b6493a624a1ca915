"""The form of a token, judged before any key is used: RFC 7515 without its liberties."""

import base64
import binascii
import json
import re
from typing import Final, NoReturn

TOKEN_BYTES_MAX: Final = 8192
SIGNATURE_BYTES: Final = 64
_PARTS: Final = 3
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")


class NotStrictError(Exception):
    """The token is not of the one form that is issued here; args name the part."""


def parts(token: str) -> tuple[bytes, bytes]:
    """Header and payload of a compact JWS of at most TOKEN_BYTES_MAX characters."""
    if len(token) > TOKEN_BYTES_MAX:
        raise NotStrictError("size")
    pieces = token.split(".")
    if len(pieces) != _PARTS:
        raise NotStrictError("parts")
    header, payload, signature = (_canonical(piece) for piece in pieces)
    if len(signature) != SIGNATURE_BYTES:
        raise NotStrictError("signature")
    return header, payload


def strict_object(document: bytes) -> dict[str, object]:
    """A JSON object (RFC 8259) without duplicate names at any depth, NaN or infinity."""
    try:
        value = json.loads(
            document.decode(), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise NotStrictError("json") from None
    if not isinstance(value, dict):
        raise NotStrictError("json")
    return value


def _canonical(piece: str) -> bytes:
    # More than one base64url text decodes to the same bytes; only the canonical one is good.
    if not _BASE64URL.fullmatch(piece):
        raise NotStrictError("base64url")
    try:
        raw = base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))
    except (binascii.Error, ValueError):
        raise NotStrictError("base64url") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != piece:
        raise NotStrictError("base64url")
    return raw


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise NotStrictError("duplicate")
    return names


def _no_constant(_: str) -> NoReturn:
    raise NotStrictError("number")
