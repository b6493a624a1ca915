"""Give a member another role."""

from dataclasses import dataclass

from chatrooms.app.visibility import is_room, require_member, unknown_room
from chatrooms.domain.room import Role
from chatrooms.ports.positions import Positions
from chatrooms.ports.rooms import Rooms


@dataclass(frozen=True, slots=True)
class ChangeRole:
    """The permission table is asked inside the transaction."""

    positions: Positions
    rooms: Rooms

    async def __call__(self, actor: str, room: str, user: str, role: Role) -> None:
        """`forbidden`; `not_found` when `user` is no member."""
        if not is_room(room):
            raise unknown_room()
        await require_member(self.positions, actor, room)
        await self.rooms.set_role(actor, room, user, role)
