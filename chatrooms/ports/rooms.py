"""Rooms and their members; every change is an event in the room's log, in the same transaction."""

from typing import NamedTuple, Protocol

from chatrooms.domain.room import Kind, Role, Room


class Member(NamedTuple):
    """Somebody in a room."""

    user: str
    username: str
    display_name: str
    role: str


class RoomView(NamedTuple):
    """A room as one user sees it: `role` None when not a member; `read` is the user's mark."""

    room: Room
    role: str | None
    read: int
    invited: bool
    banned: bool


class Rooms(Protocol):
    """Changes raise Refusal and are serialised with appends (same writer, same commit feed).

    Each change of a room writes its `room`/`member` event and, in the private log of everyone it
    concerns, `room_added`, `room_removed` or `invite`, atomically. Repeating a change that already
    holds changes nothing and succeeds.
    """

    async def create(
        self, actor: str, kind: Kind, name: str | None, room_id: str | None = None
    ) -> RoomView:
        """`room`, then `member` join of its creator as owner. `conflict` if `room_id` exists."""
        ...

    async def direct(self, actor: str, other: str) -> tuple[RoomView, bool]:
        """The one room of this pair, and whether it was made now; both are members (owner)."""
        ...

    async def view(self, user: str, room: str) -> RoomView | None:
        """None when there is no such room. Strangers are judged by the caller."""
        ...

    async def of_user(self, user: str, limit: int, after: str | None) -> list[RoomView]:
        """The rooms `user` is a member of or invited to, by id, after the id `after`."""
        ...

    async def public(self, user: str, limit: int, after: str | None) -> list[RoomView]:
        """Public rooms by id, after the id `after`."""
        ...

    async def members(self, room: str, limit: int, after: str | None) -> list[Member]:
        """Members by user id, after the user id `after`."""
        ...

    async def named(self, room: str, users: list[str]) -> list[Member]:
        """Those of `users` who are members, in the order given."""
        ...

    async def join(self, user: str, room: str) -> RoomView:
        """`not_found` (no such room, private without invitation), `banned`."""
        ...

    async def add(self, actor: str, room: str, users: list[str]) -> int:
        """Makes many users members at once (events of <= 500 users); how many were new."""
        ...

    async def leave(self, user: str, room: str) -> None:
        """`not_member`; the last owner hands the room to the strongest, oldest member."""
        ...

    async def invite(self, actor: str, room: str, user: str) -> None:
        """A member of a private room invites; `banned` for a banned user, `not_found` user."""
        ...

    async def set_role(self, actor: str, room: str, user: str, role: Role) -> None:
        """Judged by chatrooms.domain.permissions inside the transaction; else `forbidden`."""
        ...

    async def kick(self, actor: str, room: str, user: str) -> None:
        """As `set_role`; `not_found` when `user` is no member."""
        ...

    async def ban(self, actor: str, room: str, user: str) -> None:
        """Kicks and keeps out, one `ban` event; a stranger may be banned too."""
        ...

    async def unban(self, actor: str, room: str, user: str) -> None:
        """`not_found` when not banned."""
        ...
