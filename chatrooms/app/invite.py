"""Let somebody into a private room."""

from dataclasses import dataclass

from chatrooms.app.visibility import is_room, require_member, unknown_room
from chatrooms.ports.positions import Positions
from chatrooms.ports.rooms import Rooms


@dataclass(frozen=True, slots=True)
class Invite:
    """Any member may, as the permission table says."""

    positions: Positions
    rooms: Rooms

    async def __call__(self, actor: str, room: str, user: str) -> None:
        """`forbidden`, `banned` for a banned user, `not_found`."""
        if not is_room(room):
            raise unknown_room()
        await require_member(self.positions, actor, room)
        await self.rooms.invite(actor, room, user)
