"""Who may know of a room: the one judgement that REST and sockets share."""

from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.room import ROOM_ID, log_room
from chatrooms.ports.positions import Positions, Standing
from chatrooms.ports.rooms import RoomView


def judge(standing: Standing) -> Refusal | None:
    """Why somebody may not act in a room, or None for a member.

    `banned`, else `not_member` where the room may show itself, else `not_found`.
    """
    if standing.banned:
        return Refusal(Code.BANNED, "You are banned from this room.")
    if standing.role is not None:
        return None
    if standing.known:
        return Refusal(Code.NOT_MEMBER, "You are not a member of this room.")
    return unknown_room()


def judge_view(view: RoomView | None) -> Refusal | None:
    """Why a room may not show itself to somebody who need not be a member."""
    if view is None:
        return unknown_room()
    if view.banned:
        return Refusal(Code.BANNED, "You are banned from this room.")
    if view.role is None and not view.invited and view.room.kind.value != "public":
        return unknown_room()
    return None


def unknown_room() -> Refusal:
    """The answer for a room that is not there and for one that does not show itself."""
    return Refusal(Code.NOT_FOUND, "No such room.")


def is_room(room: str) -> bool:
    """Whether `room` can be the id of a made room; ids that cannot are not found."""
    return room != "me" and ROOM_ID.fullmatch(room) is not None


async def require_member(positions: Positions, user: str, room: str) -> Standing:
    """The standing of a member (`me`: their private log); raises what `judge` says otherwise."""
    if room != "me" and not is_room(room):
        raise unknown_room()
    [standing] = await positions.look([(user, log_room(room, user))])
    refusal = judge(standing)
    if refusal is not None:
        raise refusal
    return standing
