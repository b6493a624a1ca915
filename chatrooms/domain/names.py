"""What people may call themselves and their rooms, and which passwords are too weak."""

import re
import unicodedata
from typing import Final

from chatrooms.domain.common_passwords import COMMON_PASSWORDS
from chatrooms.domain.errors import Code, Refusal

_USERNAME: Final = re.compile(r"[a-z0-9._-]{3,32}")
_DISPLAY_NAME_MAX: Final = 64
_ROOM_NAME_MAX: Final = 80
_PASSWORD_MIN: Final = 8
_PASSWORD_MAX: Final = 128
_DISTINCT_MIN: Final = 3

# Cc: C0, C1 and DEL; Cs: lone surrogates; Zl, Zp: line and paragraph separators.
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Marks that turn the direction of what follows (Unicode UAX #9): a name must not rewrite its line.
_BIDI_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def username(text: str) -> str:
    """The case-folded name; Refusal `invalid` unless it is `[a-z0-9._-]{3,32}`."""
    folded = text.casefold()
    if not _USERNAME.fullmatch(folded):
        raise Refusal(Code.INVALID, "3 to 32 of the characters a-z 0-9 . _ -", field="username")
    return folded


def display_name(text: str) -> str:
    """The name without outer blanks, 1..64 code points; Refusal `invalid`."""
    return _visible(text, _DISPLAY_NAME_MAX, "display_name")


def room_name(text: str) -> str:
    """The name without outer blanks, 1..80 code points; Refusal `invalid`."""
    return _visible(text, _ROOM_NAME_MAX, "name")


def password(text: str, account: str = "") -> str:
    """The password as it is; Refusal `invalid` when short, long, common or the username."""
    if not _PASSWORD_MIN <= len(text) <= _PASSWORD_MAX:
        raise Refusal(Code.INVALID, "8 to 128 characters", field="password")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Refusal(Code.INVALID, "not valid Unicode", field="password")
    folded = text.casefold()
    if folded in COMMON_PASSWORDS or len(set(folded)) < _DISTINCT_MIN or folded == account:
        raise Refusal(Code.INVALID, "too easy to guess", field="password")
    return text


def _visible(text: str, code_points_max: int, field: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= code_points_max:
        raise Refusal(Code.INVALID, f"1 to {code_points_max} characters", field=field)
    if any(
        character in _BIDI_CONTROLS or unicodedata.category(character) in _REFUSED_CATEGORIES
        for character in name
    ):
        raise Refusal(Code.INVALID, "control characters are not allowed", field=field)
    if all(unicodedata.category(character) in {"Cf", "Zs"} for character in name):
        raise Refusal(Code.INVALID, "nothing of it is visible", field=field)
    return name
