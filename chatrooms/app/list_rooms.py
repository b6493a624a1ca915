"""List rooms by id: one's own and those one is invited to, or all public ones."""

from dataclasses import dataclass
from typing import Literal

from chatrooms.ports.rooms import Rooms, RoomView

Scope = Literal["mine", "public"]


@dataclass(frozen=True, slots=True)
class ListRooms:
    """A page and whether another follows."""

    rooms: Rooms

    async def __call__(
        self, user: str, scope: Scope, limit: int, after: str | None
    ) -> tuple[list[RoomView], bool]:
        """At most `limit` rooms after the id `after`."""
        pages = self.rooms.of_user if scope == "mine" else self.rooms.public
        found = await pages(user, limit + 1, after)
        return found[:limit], len(found) > limit
