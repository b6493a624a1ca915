"""Opaque places in lists: base64url of the last id of a page."""

import base64
import binascii

from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.room import ROOM_ID


def encode_cursor(last: str) -> str:
    """The cursor that continues after the id `last`."""
    return base64.urlsafe_b64encode(last.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str | None) -> str | None:
    """The id to continue after; `invalid` for what `encode_cursor` did not make."""
    if cursor is None:
        return None
    try:
        last = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        last = ""
    if ROOM_ID.fullmatch(last) is None or encode_cursor(last) != cursor:
        raise Refusal(Code.INVALID, "This is no cursor of a page.", field="cursor")
    return last
