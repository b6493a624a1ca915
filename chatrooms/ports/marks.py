"""Read marks: how many messages of a room a user has read."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from chatrooms.domain.errors import Refusal


class Mark(NamedTuple):
    """What an advance came to: the mark now, the room's n, and whether the mark moved."""

    read: int
    n: int
    moved: bool


class Marks(Protocol):
    """Marks only grow; the last value per user and room of a batch is written, in one commit."""

    async def advance(self, asks: Sequence[tuple[str, str, int]]) -> list[Mark | Refusal]:
        """For each (user, room, n): `not_member`, `banned`, `out_of_range` (n > the room's n)."""
        ...
