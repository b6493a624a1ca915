"""What the statements about rooms and people share: one room, one seat, one account."""

import os
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.ids import RANDOM_BYTES, sortable_id
from chatrooms.domain.membership import Seat
from chatrooms.domain.room import Kind, Role, Room
from chatrooms.ports.rooms import RoomView

_ROOM: Final = """
    SELECT num, id, kind, name, created_ms, head, n FROM rooms WHERE id = ? AND kind <> 'me'"""
_SEAT: Final = """
    SELECT (SELECT role FROM members WHERE room = ?1 AND user = ?2),
        EXISTS (SELECT 1 FROM invitations WHERE room = ?1 AND user = ?2),
        EXISTS (SELECT 1 FROM bans WHERE room = ?1 AND user = ?2)"""
_UNKNOWN: Final = """
    SELECT count(*) FROM json_each(?) WHERE value NOT IN (SELECT id FROM accounts)"""
# One room as one user sees it, for views in all lists; `?1` is the user.
VIEW_COLUMNS: Final = """json_array(
    r.id, r.kind, r.name, r.created_ms, r.head, r.n, m.role, coalesce(m.read, 0),
    EXISTS (SELECT 1 FROM invitations i WHERE i.room = r.num AND i.user = ?1),
    EXISTS (SELECT 1 FROM bans b WHERE b.room = r.num AND b.user = ?1))"""
_VIEW: Final = f"""
    SELECT {VIEW_COLUMNS} FROM rooms r LEFT JOIN members m ON m.room = r.num AND m.user = ?1
    WHERE r.id = ?2 AND r.kind <> 'me'"""  # noqa: S608 -- columns are constant


class Place(NamedTuple):
    """A room inside a transaction; `num` is its number in the tables."""

    num: int
    id: str
    kind: Kind
    n: int


def fresh_id(now_ms: int) -> str:
    """A new id in the order of time."""
    return sortable_id(now_ms, os.urandom(RANDOM_BYTES))


def find_room(db: sqlite3.Connection, room: str) -> Place | None:
    """The room, unless it is a private log or not there."""
    row = db.execute(_ROOM, (room,)).fetchone()
    return None if row is None else Place(row[0], row[1], Kind(row[2]), row[6])


def find_seat(db: sqlite3.Connection, num: int, user: str) -> Seat:
    """What `user` is in the room."""
    role, invited, banned = db.execute(_SEAT, (num, user)).fetchone()
    return Seat(None if role is None else Role(role), bool(invited), bool(banned))


def require_accounts(db: sqlite3.Connection, users: Sequence[str], field: str) -> None:
    """Refusal `not_found` unless all of `users` are accounts."""
    asked = orjson.dumps(users).decode()
    if db.execute(_UNKNOWN, (asked,)).fetchone()[0]:
        raise Refusal(Code.NOT_FOUND, "no such user", field=field)


def find_view(db: sqlite3.Connection, user: str, room: str) -> RoomView | None:
    """The room as `user` sees it, or None."""
    row = db.execute(_VIEW, (user, room)).fetchone()
    return None if row is None else as_view(orjson.loads(row[0]))


def as_view(row: list[Any]) -> RoomView:
    """A row of VIEW_COLUMNS."""
    room_id, kind, name, created_ms, head, n, role, read, invited, banned = row
    room = Room(room_id, Kind(kind), name, created_ms, head, n)
    return RoomView(room, role, read, bool(invited), bool(banned))
