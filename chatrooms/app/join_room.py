"""Become a member of a public room, or of a private one with an invitation."""

from dataclasses import dataclass

from chatrooms.app.visibility import is_room, unknown_room
from chatrooms.ports.rooms import Rooms, RoomView


@dataclass(frozen=True, slots=True)
class JoinRoom:
    """Joining again changes nothing and succeeds."""

    rooms: Rooms

    async def __call__(self, user: str, room: str) -> RoomView:
        """The room as a member sees it; `not_found`, `banned`."""
        if not is_room(room):
            raise unknown_room()
        return await self.rooms.join(user, room)
