"""Changes of rooms and members, each a function of an open transaction; they raise Refusal."""

from collections.abc import Sequence
from itertools import islice
from typing import Final

import orjson

from chatrooms.adapters.sqlite.records import (
    Place,
    find_room,
    find_seat,
    find_view,
    fresh_id,
    require_accounts,
)
from chatrooms.adapters.sqlite.transaction import Transaction
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import Action, MemberChange, encode_room
from chatrooms.domain.membership import refuse_action, refuse_entry, refuse_outsider
from chatrooms.domain.permissions import Operation
from chatrooms.domain.room import Kind, Role
from chatrooms.ports.rooms import RoomView

USERS_PER_EVENT_MAX: Final = 500

_CREATE: Final = """
    INSERT INTO rooms (id, kind, name, pair, created_ms) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING RETURNING num"""
_SEAT_MANY: Final = """
    INSERT INTO members (room, user, role, joined, read)
    SELECT ?2, value, ?3, r.head, r.n FROM json_each(?1), rooms r WHERE r.num = ?2"""
_UNSEAT: Final = "DELETE FROM members WHERE room = ? AND user = ?"
_INVITE: Final = "INSERT INTO invitations VALUES (?, ?, ?, ?)"
_UNINVITE: Final = """
    DELETE FROM invitations WHERE room = ?2 AND user IN (SELECT value FROM json_each(?1))"""
_BAN: Final = "INSERT INTO bans VALUES (?, ?, ?, ?)"
_UNBAN: Final = "DELETE FROM bans WHERE room = ? AND user = ?"
_SET_ROLE: Final = "UPDATE members SET role = ?3 WHERE room = ?1 AND user = ?2"
_OTHER_OWNERS: Final = """
    SELECT count(*) FROM members WHERE room = ? AND role = 'owner' AND user <> ?"""
_HEIR: Final = """
    SELECT user FROM members WHERE room = ? AND user <> ?
    ORDER BY role <> 'moderator', joined, user LIMIT 1"""
_NEW_ONES: Final = """
    SELECT json_group_array(value) FROM (
        SELECT DISTINCT value FROM json_each(?1)
        WHERE NOT EXISTS (SELECT 1 FROM members WHERE room = ?2 AND user = value)
        AND NOT EXISTS (SELECT 1 FROM bans WHERE room = ?2 AND user = value) ORDER BY value)"""


def create(
    tx: Transaction, actor: str, kind: Kind, name: str | None, room_id: str | None
) -> RoomView:
    """A public or private room with its creator as owner."""
    if kind is Kind.DIRECT:
        raise Refusal(Code.INVALID, "a direct room is opened with a user", field="kind")
    place = _make(tx, actor, room_id or fresh_id(tx.now_ms), kind, name, None)
    _seat(tx, place, actor, [actor], Role.OWNER)
    return _seen(tx, actor, place)


def direct(tx: Transaction, actor: str, other: str) -> tuple[RoomView, bool]:
    """The room of a pair; whoever left it is a member again."""
    if actor == other:
        raise Refusal(Code.INVALID, "a direct room needs two people", field="user")
    require_accounts(tx.db, [other], "user")
    pair = " ".join(sorted((actor, other)))
    row = tx.db.execute("SELECT id FROM rooms WHERE pair = ?", (pair,)).fetchone()
    place = None if row is None else find_room(tx.db, row[0])
    made = place is None
    if place is None:
        place = _make(tx, actor, fresh_id(tx.now_ms), Kind.DIRECT, None, pair)
    absent = [user for user in (actor, other) if find_seat(tx.db, place.num, user).role is None]
    if absent:
        _seat(tx, place, actor, absent, Role.OWNER)
    return _seen(tx, actor, place), made


def join(tx: Transaction, user: str, room: str) -> RoomView:
    """A stranger becomes a member of a public room, an invited one of a private room."""
    place = find_room(tx.db, room)
    seat = find_seat(tx.db, place.num if place else 0, user)
    why = refuse_entry(place.kind if place else None, seat)
    if why is not None:
        raise why
    assert place is not None  # noqa: S101 -- refuse_entry has refused an unknown room
    if seat.role is None:
        _seat(tx, place, user, [user], Role.MEMBER)
    return _seen(tx, user, place)


def add(tx: Transaction, actor: str, room: str, users: Sequence[str]) -> int:
    """Many become members at once; the banned are left out."""
    place = _judge(tx, actor, room, Operation.UPDATE_ROOM)
    require_accounts(tx.db, users, "users")
    asked = orjson.dumps(users).decode()
    fresh = iter(orjson.loads(tx.db.execute(_NEW_ONES, (asked, place.num)).fetchone()[0]))
    count = 0
    while chunk := list(islice(fresh, USERS_PER_EVENT_MAX)):
        _seat(tx, place, actor, chunk, Role.MEMBER)
        count += len(chunk)
    return count


def leave(tx: Transaction, user: str, room: str) -> None:
    """A member goes; before the last owner does, the strongest and oldest member becomes one."""
    place = find_room(tx.db, room)
    seat = find_seat(tx.db, place.num if place else 0, user)
    why = refuse_outsider(place.kind if place else None, seat)
    if why is not None:
        raise why
    assert place is not None  # noqa: S101 -- refuse_outsider has refused an unknown room
    if seat.role is Role.OWNER and not _others_own(tx, place, user):
        heir = tx.db.execute(_HEIR, (place.num, user)).fetchone()
        if heir is not None:
            _set_role(tx, place, user, heir[0], Role.OWNER)
    _unseat(tx, place, user, Action.LEAVE, user)


def invite(tx: Transaction, actor: str, room: str, user: str) -> None:
    """A member invites somebody; who is invited or a member already stays what they are."""
    place = _judge(tx, actor, room, Operation.INVITE)
    require_accounts(tx.db, [user], "user")
    seat = find_seat(tx.db, place.num, user)
    if seat.banned:
        raise Refusal(Code.BANNED, "this user is banned from the room", field="user")
    if seat.invited or seat.role is not None:
        return
    tx.db.execute(_INVITE, (place.num, user, actor, tx.now_ms))
    tx.add_member_event(place.num, place.id, actor, MemberChange(Action.INVITE, (user,)))
    tx.tell([user], "invite", {"of": place.id, "from": actor})


def set_role(tx: Transaction, actor: str, room: str, user: str, role: Role) -> None:
    """Gives a member another role; a room keeps an owner."""
    place, present = _target(tx, actor, room, user, Operation.SET_ROLE)
    if present is role:
        return
    if present is Role.OWNER and not _others_own(tx, place, user):
        raise Refusal(Code.CONFLICT, "a room needs an owner", field="role")
    _set_role(tx, place, actor, user, role)


def kick(tx: Transaction, actor: str, room: str, user: str) -> None:
    """A member is put out and may come back."""
    place, _ = _target(tx, actor, room, user, Operation.KICK)
    if user == actor:
        raise Refusal(Code.FORBIDDEN, "to go, leave the room", field="user")
    _unseat(tx, place, actor, Action.KICK, user)


def ban(tx: Transaction, actor: str, room: str, user: str) -> None:
    """Somebody is put out and kept out; strangers are just kept out."""
    place = _place(tx, actor, room)
    seat = find_seat(tx.db, place.num, user)
    _judge(tx, actor, room, Operation.BAN, seat.role)
    if user == actor:
        raise Refusal(Code.FORBIDDEN, "to go, leave the room", field="user")
    require_accounts(tx.db, [user], "user")
    if seat.banned:
        return
    tx.db.execute(_BAN, (place.num, user, actor, tx.now_ms))
    tx.db.execute(_UNINVITE, (orjson.dumps([user]).decode(), place.num))
    tx.db.execute(_UNSEAT, (place.num, user))
    tx.add_member_event(place.num, place.id, actor, MemberChange(Action.BAN, (user,)))
    if seat.role is not None:
        tx.tell([user], "room_removed", {"of": place.id})


def unban(tx: Transaction, actor: str, room: str, user: str) -> None:
    """Somebody banned may come in again."""
    place = _judge(tx, actor, room, Operation.UNBAN)
    if not find_seat(tx.db, place.num, user).banned:
        raise Refusal(Code.NOT_FOUND, "this user is not banned", field="user")
    tx.db.execute(_UNBAN, (place.num, user))
    tx.add_member_event(place.num, place.id, actor, MemberChange(Action.UNBAN, (user,)))


def _make(
    tx: Transaction, actor: str, room_id: str, kind: Kind, name: str | None, pair: str | None
) -> Place:
    row = tx.db.execute(_CREATE, (room_id, kind, name, pair, tx.now_ms)).fetchone()
    if row is None:
        raise Refusal(Code.CONFLICT, "a room of this id exists", field="id")
    place = Place(row[0], room_id, kind, 0)
    tx.add_event(
        place.num,
        room_id,
        lambda seq, ts: encode_room(room_id, seq, ts, actor, "create", name, kind),
    )
    return place


def _seat(tx: Transaction, place: Place, actor: str, users: list[str], role: Role) -> None:
    """Makes strangers members: their mark is the room's n, an invitation of theirs is used up."""
    asked = orjson.dumps(users).decode()
    tx.db.execute(_SEAT_MANY, (asked, place.num, role))
    tx.db.execute(_UNINVITE, (asked, place.num))
    change = MemberChange(Action.JOIN, tuple(users), role)
    tx.add_member_event(place.num, place.id, actor, change)
    tx.tell(users, "room_added", {"of": place.id})


def _unseat(tx: Transaction, place: Place, actor: str, action: Action, user: str) -> None:
    tx.db.execute(_UNSEAT, (place.num, user))
    tx.add_member_event(place.num, place.id, actor, MemberChange(action, (user,)))
    tx.tell([user], "room_removed", {"of": place.id})


def _set_role(tx: Transaction, place: Place, actor: str, user: str, role: Role) -> None:
    tx.db.execute(_SET_ROLE, (place.num, user, role))
    tx.add_member_event(place.num, place.id, actor, MemberChange(Action.ROLE, (user,), role))


def _others_own(tx: Transaction, place: Place, user: str) -> bool:
    return bool(tx.db.execute(_OTHER_OWNERS, (place.num, user)).fetchone()[0])


def _place(tx: Transaction, actor: str, room: str) -> Place:
    """The room, which `actor` must be a member of."""
    place = find_room(tx.db, room)
    seat = find_seat(tx.db, place.num if place else 0, actor)
    why = refuse_outsider(place.kind if place else None, seat)
    if why is not None:
        raise why
    assert place is not None  # noqa: S101 -- refuse_outsider has refused an unknown room
    return place


def _judge(
    tx: Transaction, actor: str, room: str, operation: Operation, target: Role | None = None
) -> Place:
    place = _place(tx, actor, room)
    why = refuse_action(place.kind, find_seat(tx.db, place.num, actor), operation, target)
    if why is not None:
        raise why
    return place


def _target(
    tx: Transaction, actor: str, room: str, user: str, operation: Operation
) -> tuple[Place, Role]:
    """The room and the role of the member that `actor` may act on."""
    place = _place(tx, actor, room)
    role = find_seat(tx.db, place.num, user).role
    if role is None:
        raise Refusal(Code.NOT_FOUND, "no such member", field="user")
    _judge(tx, actor, room, operation, role)
    return place, role


def _seen(tx: Transaction, user: str, place: Place) -> RoomView:
    view = find_view(tx.db, user, place.id)
    assert view is not None  # noqa: S101 -- it has just been read or made
    return view
