"""List the members of a room by user id."""

from dataclasses import dataclass

from chatrooms.app.visibility import is_room, require_member, unknown_room
from chatrooms.ports.positions import Positions
from chatrooms.ports.rooms import Member, Rooms


@dataclass(frozen=True, slots=True)
class ListMembers:
    """For members only."""

    positions: Positions
    rooms: Rooms

    async def __call__(
        self, user: str, room: str, limit: int, after: str | None
    ) -> tuple[list[Member], bool]:
        """At most `limit` members after the user id `after`, and whether more follow."""
        if not is_room(room):
            raise unknown_room()
        await require_member(self.positions, user, room)
        found = await self.rooms.members(room, limit + 1, after)
        return found[:limit], len(found) > limit
