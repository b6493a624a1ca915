"""The Rooms port over the state in memory."""

from collections.abc import Callable, Sequence
from itertools import islice

from chatrooms.adapters.memory import world as state
from chatrooms.adapters.memory.world import Place, World
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import Action, Event, MemberChange, encode_room
from chatrooms.domain.membership import Seat, refuse_action, refuse_entry, refuse_outsider
from chatrooms.domain.permissions import Operation
from chatrooms.domain.room import Kind, Role, Room
from chatrooms.ports.rooms import Member, RoomView

USERS_PER_EVENT_MAX = 500


class MemoryRooms:
    """Implements chatrooms.ports.rooms.Rooms. All is judged before anything is changed."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def create(
        self, actor: str, kind: Kind, name: str | None, room_id: str | None = None
    ) -> RoomView:
        """A new public or private room."""
        if kind is Kind.DIRECT:
            raise Refusal(Code.INVALID, "a direct room is opened with a user", field="kind")
        if room_id in self._world.rooms:
            raise Refusal(Code.CONFLICT, "a room of this id exists", field="id")
        place = self._make(actor, room_id or self._world.fresh_id(), kind, name)
        self._seat(place, actor, [actor], Role.OWNER)
        self._world.commit()
        return _view(place, actor)

    async def direct(self, actor: str, other: str) -> tuple[RoomView, bool]:
        """The room of two people, and whether it is new."""
        if actor == other:
            raise Refusal(Code.INVALID, "a direct room needs two people", field="user")
        self._world.require_accounts([other], "user")
        pair = " ".join(sorted((actor, other)))
        made = pair not in self._world.pairs
        if made:
            self._world.pairs[pair] = self._world.fresh_id()
            self._make(actor, self._world.pairs[pair], Kind.DIRECT, None)
        place = self._world.rooms[self._world.pairs[pair]]
        absent = [user for user in (actor, other) if user not in place.members]
        if absent:
            self._seat(place, actor, absent, Role.OWNER)
        self._world.commit()
        return _view(place, actor), made

    async def view(self, user: str, room: str) -> RoomView | None:
        """The room as `user` sees it."""
        place = self._world.place(room)
        return None if place is None else _view(place, user)

    async def of_user(self, user: str, limit: int, after: str | None) -> list[RoomView]:
        """The rooms of a user, by id."""
        return self._views(user, limit, after, lambda place: _concerns(place, user))

    async def public(self, user: str, limit: int, after: str | None) -> list[RoomView]:
        """Public rooms, by id."""
        return self._views(user, limit, after, lambda place: place.kind is Kind.PUBLIC)

    async def members(self, room: str, limit: int, after: str | None) -> list[Member]:
        """Members, by user id."""
        place = self._world.place(room)
        users = sorted(place.members) if place else []
        chosen = islice((user for user in users if user > (after or "")), limit)
        return await self.named(room, list(chosen))

    async def named(self, room: str, users: list[str]) -> list[Member]:
        """Those of `users` who are members."""
        place = self._world.place(room)
        if place is None:
            return []
        found: list[Member] = []
        for user in users:
            if user in place.members:
                account = self._world.accounts.get(user)
                names = (account.username, account.display_name) if account else (user, user)
                found.append(Member(user, *names, place.members[user].role.value))
        return found

    async def join(self, user: str, room: str) -> RoomView:
        """Makes `user` a member."""
        place = self._world.place(room)
        seat = place.seat(user) if place else Seat()
        why = refuse_entry(place.kind if place else None, seat)
        if why is not None or place is None:
            raise why or Refusal(Code.INTERNAL)
        if seat.role is None:
            self._seat(place, user, [user], Role.MEMBER)
        self._world.commit()
        return _view(place, user)

    async def add(self, actor: str, room: str, users: list[str]) -> int:
        """Makes many members."""
        place = self._judge(actor, room, Operation.UPDATE_ROOM)
        self._world.require_accounts(users, "users")
        fresh = sorted(set(users) - place.members.keys() - place.banned)
        for start in range(0, len(fresh), USERS_PER_EVENT_MAX):
            chunk = fresh[start : start + USERS_PER_EVENT_MAX]
            self._seat(place, actor, chunk, Role.MEMBER)
        self._world.commit()
        return len(fresh)

    async def leave(self, user: str, room: str) -> None:
        """Ends a membership."""
        place = self._place(user, room)
        rest = {name: seat for name, seat in place.members.items() if name != user}
        last_owner = place.members[user].role is Role.OWNER and not _owners(rest)
        if last_owner and rest:
            heir = min(rest, key=lambda x: (rest[x].role is not Role.MODERATOR, rest[x].joined, x))
            self._set_role(place, user, heir, Role.OWNER)
        self._unseat(place, user, Action.LEAVE, user)
        self._world.commit()

    async def invite(self, actor: str, room: str, user: str) -> None:
        """Invites `user`."""
        place = self._judge(actor, room, Operation.INVITE)
        self._world.require_accounts([user], "user")
        seat = place.seat(user)
        if seat.banned:
            raise Refusal(Code.BANNED, "this user is banned from the room", field="user")
        if not seat.invited and seat.role is None:
            place.invited.add(user)
            self._world.write_member(place, actor, MemberChange(Action.INVITE, (user,)))
            self._world.tell([user], "invite", {"of": place.id, "from": actor})
        self._world.commit()

    async def set_role(self, actor: str, room: str, user: str, role: Role) -> None:
        """Gives a member a role."""
        place, present = self._target(actor, room, user, Operation.SET_ROLE)
        if present is not role:
            rest = {name: seat for name, seat in place.members.items() if name != user}
            if present is Role.OWNER and not _owners(rest):
                raise Refusal(Code.CONFLICT, "a room needs an owner", field="role")
            self._set_role(place, actor, user, role)
        self._world.commit()

    async def kick(self, actor: str, room: str, user: str) -> None:
        """Puts a member out."""
        place, _ = self._target(actor, room, user, Operation.KICK)
        if user == actor:
            raise Refusal(Code.FORBIDDEN, "to go, leave the room", field="user")
        self._unseat(place, actor, Action.KICK, user)
        self._world.commit()

    async def ban(self, actor: str, room: str, user: str) -> None:
        """Keeps somebody out."""
        seat = self._place(actor, room).seat(user)
        place = self._judge(actor, room, Operation.BAN, seat.role)
        if user == actor:
            raise Refusal(Code.FORBIDDEN, "to go, leave the room", field="user")
        self._world.require_accounts([user], "user")
        if not seat.banned:
            place.banned.add(user)
            place.invited.discard(user)
            place.members.pop(user, None)
            self._world.write_member(place, actor, MemberChange(Action.BAN, (user,)))
            if seat.role is not None:
                self._world.tell([user], "room_removed", {"of": place.id})
        self._world.commit()

    async def unban(self, actor: str, room: str, user: str) -> None:
        """Lets somebody in again."""
        place = self._judge(actor, room, Operation.UNBAN)
        if user not in place.banned:
            raise Refusal(Code.NOT_FOUND, "this user is not banned", field="user")
        place.banned.discard(user)
        self._world.write_member(place, actor, MemberChange(Action.UNBAN, (user,)))
        self._world.commit()

    def _make(self, actor: str, room_id: str, kind: Kind, name: str | None) -> Place:
        now = self._world.now_ms()
        place = self._world.rooms[room_id] = Place(room_id, kind, name, now)
        self._world.write(
            place, Event(1, encode_room(room_id, 1, now, actor, "create", name, kind))
        )
        return place

    def _seat(self, place: Place, actor: str, users: Sequence[str], role: Role) -> None:
        for user in users:
            place.members[user] = state.Member(role, len(place.events), place.n)
            place.invited.discard(user)
        self._world.write_member(place, actor, MemberChange(Action.JOIN, tuple(users), role))
        self._world.tell(users, "room_added", {"of": place.id})

    def _unseat(self, place: Place, actor: str, action: Action, user: str) -> None:
        del place.members[user]
        self._world.write_member(place, actor, MemberChange(action, (user,)))
        self._world.tell([user], "room_removed", {"of": place.id})

    def _set_role(self, place: Place, actor: str, user: str, role: Role) -> None:
        place.members[user].role = role
        self._world.write_member(place, actor, MemberChange(Action.ROLE, (user,), role))

    def _place(self, actor: str, room: str) -> Place:
        place = self._world.place(room)
        why = refuse_outsider(place.kind if place else None, place.seat(actor) if place else Seat())
        if why is not None or place is None:
            raise why or Refusal(Code.INTERNAL)
        return place

    def _judge(
        self, actor: str, room: str, operation: Operation, target: Role | None = None
    ) -> Place:
        place = self._place(actor, room)
        why = refuse_action(place.kind, place.seat(actor), operation, target)
        if why is not None:
            raise why
        return place

    def _target(self, actor: str, room: str, user: str, operation: Operation) -> tuple[Place, Role]:
        role = self._place(actor, room).seat(user).role
        if role is None:
            raise Refusal(Code.NOT_FOUND, "no such member", field="user")
        return self._judge(actor, room, operation, role), role

    def _views(
        self, user: str, limit: int, after: str | None, wanted: Callable[[Place], bool]
    ) -> list[RoomView]:
        places = sorted(
            (x for x in self._world.rooms.values() if x.kind is not None and wanted(x)),
            key=lambda place: place.id,
        )
        return [_view(place, user) for place in places if place.id > (after or "")][:limit]


def _owners(members: dict[str, state.Member]) -> bool:
    return any(member.role is Role.OWNER for member in members.values())


def _concerns(place: Place, user: str) -> bool:
    return user in place.members or user in place.invited


def _view(place: Place, user: str) -> RoomView:
    assert place.kind is not None  # noqa: S101 -- private logs are no rooms
    seat = place.seat(user)
    read = place.members[user].read if seat.role else 0
    room = Room(place.id, place.kind, place.name, place.created_ms, len(place.events), place.n)
    role = None if seat.role is None else seat.role.value
    return RoomView(room, role, read, seat.invited, seat.banned)
