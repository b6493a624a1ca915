"""Make a public or private room."""

from dataclasses import dataclass

from chatrooms.domain import names
from chatrooms.domain.room import Kind
from chatrooms.ports.rooms import Rooms, RoomView


@dataclass(frozen=True, slots=True)
class CreateRoom:
    """Its creator is its owner and first member."""

    rooms: Rooms

    async def __call__(self, user: str, kind: Kind, name: str) -> RoomView:
        """The new room; `invalid` for a bad name."""
        return await self.rooms.create(user, kind, names.room_name(name))
