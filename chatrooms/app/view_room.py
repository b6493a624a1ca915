"""Show one room to one user."""

from dataclasses import dataclass

from chatrooms.app.visibility import is_room, judge_view, unknown_room
from chatrooms.ports.rooms import Rooms, RoomView


@dataclass(frozen=True, slots=True)
class ViewRoom:
    """Public rooms show themselves to all but the banned, private ones to the invited too."""

    rooms: Rooms

    async def __call__(self, user: str, room: str) -> RoomView:
        """`not_found` for strangers to a private room, `banned`."""
        view = await self.rooms.view(user, room) if is_room(room) else None
        refusal = judge_view(view)
        if view is None or refusal is not None:
            raise refusal or unknown_room()
        return view
