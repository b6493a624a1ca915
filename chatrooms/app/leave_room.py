"""Stop being a member of a room."""

from dataclasses import dataclass

from chatrooms.app.visibility import is_room, require_member, unknown_room
from chatrooms.ports.positions import Positions
from chatrooms.ports.rooms import Rooms


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """Who leaves sees that last; the last owner hands the room on."""

    positions: Positions
    rooms: Rooms

    async def __call__(self, user: str, room: str) -> None:
        """`not_member`, `banned`, `not_found`."""
        if not is_room(room):
            raise unknown_room()
        await require_member(self.positions, user, room)
        await self.rooms.leave(user, room)
