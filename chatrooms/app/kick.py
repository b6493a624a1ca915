"""Make somebody leave a room."""

from dataclasses import dataclass

from chatrooms.app.visibility import is_room, require_member, unknown_room
from chatrooms.ports.positions import Positions
from chatrooms.ports.rooms import Rooms


@dataclass(frozen=True, slots=True)
class Kick:
    """The permission table is asked inside the transaction."""

    positions: Positions
    rooms: Rooms

    async def __call__(self, actor: str, room: str, user: str) -> None:
        """`forbidden`; `not_found` when `user` is no member."""
        if not is_room(room):
            raise unknown_room()
        await require_member(self.positions, actor, room)
        await self.rooms.kick(actor, room, user)
