"""Rooms: their kinds, the roles in them, and which role may do what."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ROOM_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
PRIVATE_LOG_PREFIX: Final = "me:"


class Kind(StrEnum):
    """Who may find and enter a room: anyone, the invited, or two people."""

    PUBLIC = "public"
    PRIVATE = "private"
    DIRECT = "direct"


class Role(StrEnum):
    """What a member is in a room, strongest first."""

    OWNER = "owner"
    MODERATOR = "moderator"
    MEMBER = "member"

    @property
    def rank(self) -> int:
        """2 for owner, 1 for moderator, 0 for member."""
        return {Role.OWNER: 2, Role.MODERATOR: 1, Role.MEMBER: 0}[self]


@dataclass(frozen=True, slots=True)
class Room:
    """What a room shows of itself."""

    id: str
    kind: Kind
    name: str | None
    created_ms: int
    head: int
    n: int


def private_log(user: str) -> str:
    """The id of the log that clients know as room `me`; `:` keeps it apart from made rooms."""
    return PRIVATE_LOG_PREFIX + user


def log_room(room: str, user: str) -> str:
    """The log that `user` means by `room`: their own for `me`, else the room itself."""
    return private_log(user) if room == "me" else room
