"""The Rooms port: changes run in the writer's transactions, lists are read as one row of JSON."""

from typing import Final

import orjson

from chatrooms.adapters.sqlite import membership
from chatrooms.adapters.sqlite.reader import Reader
from chatrooms.adapters.sqlite.records import VIEW_COLUMNS, as_view, find_view
from chatrooms.adapters.sqlite.writer import Writer
from chatrooms.domain.room import Kind, Role
from chatrooms.ports.rooms import Member, RoomView

_OF_USER: Final = f"""
    SELECT json_group_array(json(view)) FROM (
        SELECT {VIEW_COLUMNS} AS view FROM rooms r
        LEFT JOIN members m ON m.room = r.num AND m.user = ?1
        WHERE r.num IN (SELECT room FROM members WHERE user = ?1
                        UNION SELECT room FROM invitations WHERE user = ?1)
        AND r.id > ?2 ORDER BY r.id LIMIT ?3)"""  # noqa: S608 -- columns are constant
_PUBLIC: Final = f"""
    SELECT json_group_array(json(view)) FROM (
        SELECT {VIEW_COLUMNS} AS view FROM rooms r
        LEFT JOIN members m ON m.room = r.num AND m.user = ?1
        WHERE r.kind = 'public' AND r.id > ?2 ORDER BY r.id LIMIT ?3)"""  # noqa: S608 -- the same
_MEMBERS: Final = """
    SELECT json_group_array(json(member)) FROM (
        SELECT json_array(m.user, coalesce(a.username, m.user),
            coalesce(a.display_name, m.user), m.role) AS member
        FROM rooms r CROSS JOIN members m ON m.room = r.num LEFT JOIN accounts a ON a.id = m.user
        WHERE r.id = ?1 AND m.user > ?2 ORDER BY m.user LIMIT ?3)"""
_NAMED: Final = """
    SELECT json_group_array(json(member)) FROM (
        SELECT json_array(m.user, coalesce(a.username, m.user),
            coalesce(a.display_name, m.user), m.role) AS member
        FROM json_each(?2) j CROSS JOIN rooms r ON r.id = ?1
        CROSS JOIN members m ON m.room = r.num AND m.user = j.value
        LEFT JOIN accounts a ON a.id = m.user ORDER BY j.key)"""


class SqliteRooms:
    """Implements chatrooms.ports.rooms.Rooms."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def create(
        self, actor: str, kind: Kind, name: str | None, room_id: str | None = None
    ) -> RoomView:
        """A new public or private room."""
        return await self._writer.change(
            lambda tx: membership.create(tx, actor, kind, name, room_id)
        )

    async def direct(self, actor: str, other: str) -> tuple[RoomView, bool]:
        """The room of two people, and whether it is new."""
        return await self._writer.change(lambda tx: membership.direct(tx, actor, other))

    async def view(self, user: str, room: str) -> RoomView | None:
        """The room as `user` sees it."""
        return await self._reader.read(lambda db: find_view(db, user, room))

    async def of_user(self, user: str, limit: int, after: str | None) -> list[RoomView]:
        """The rooms of a user, by id."""
        return await self._views(_OF_USER, user, limit, after)

    async def public(self, user: str, limit: int, after: str | None) -> list[RoomView]:
        """Public rooms, by id."""
        return await self._views(_PUBLIC, user, limit, after)

    async def members(self, room: str, limit: int, after: str | None) -> list[Member]:
        """Members, by user id."""
        (rows,) = await self._reader.row(_MEMBERS, (room, after or "", limit))
        return [Member(*row) for row in orjson.loads(rows)]

    async def named(self, room: str, users: list[str]) -> list[Member]:
        """Those of `users` who are members."""
        (rows,) = await self._reader.row(_NAMED, (room, orjson.dumps(users).decode()))
        return [Member(*row) for row in orjson.loads(rows)]

    async def join(self, user: str, room: str) -> RoomView:
        """Makes `user` a member."""
        return await self._writer.change(lambda tx: membership.join(tx, user, room))

    async def add(self, actor: str, room: str, users: list[str]) -> int:
        """Makes many members."""
        return await self._writer.change(lambda tx: membership.add(tx, actor, room, users))

    async def leave(self, user: str, room: str) -> None:
        """Ends a membership."""
        await self._writer.change(lambda tx: membership.leave(tx, user, room))

    async def invite(self, actor: str, room: str, user: str) -> None:
        """Invites `user`."""
        await self._writer.change(lambda tx: membership.invite(tx, actor, room, user))

    async def set_role(self, actor: str, room: str, user: str, role: Role) -> None:
        """Gives a member a role."""
        await self._writer.change(lambda tx: membership.set_role(tx, actor, room, user, role))

    async def kick(self, actor: str, room: str, user: str) -> None:
        """Puts a member out."""
        await self._writer.change(lambda tx: membership.kick(tx, actor, room, user))

    async def ban(self, actor: str, room: str, user: str) -> None:
        """Keeps somebody out."""
        await self._writer.change(lambda tx: membership.ban(tx, actor, room, user))

    async def unban(self, actor: str, room: str, user: str) -> None:
        """Lets somebody in again."""
        await self._writer.change(lambda tx: membership.unban(tx, actor, room, user))

    async def _views(self, sql: str, user: str, limit: int, after: str | None) -> list[RoomView]:
        (rows,) = await self._reader.row(sql, (user, after or "", limit))
        return [as_view(row) for row in orjson.loads(rows)]
