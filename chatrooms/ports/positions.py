"""One read that tells where a user stands in many rooms; subscribing and hello rest on it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Standing(NamedTuple):
    """A user in a room: the log's head and message count, and what the user is there.

    `role` None: not a member. `known`: the room exists and may show itself to this user (public,
    member, invited or banned). `read` is the user's read mark (a count of messages).
    """

    head: int
    n: int
    role: str | None
    read: int
    banned: bool
    known: bool


class Positions(Protocol):
    """Reads begun after a commit was told contain it."""

    async def look(self, asks: Sequence[tuple[str, str]]) -> list[Standing]:
        """The standing of each (user, room), in order, in one read of one snapshot.

        A room `me:<user>` is always known to its own user, with role "owner".
        """
        ...
