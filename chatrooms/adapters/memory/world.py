"""The state of the memory store, and what its ports share: time, ids, one commit at a time."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import Event, MemberChange, Run, encode_member, encode_private
from chatrooms.domain.ids import RANDOM_BYTES, sortable_id
from chatrooms.domain.membership import Seat
from chatrooms.domain.room import Kind, Role, private_log
from chatrooms.ports.accounts import Account
from chatrooms.ports.log import Commit, Outcome, Post


@dataclass(slots=True)
class Member:
    """Somebody in a room: when they came (seq) and how many messages they have read."""

    role: Role
    joined: int
    read: int


@dataclass(slots=True)
class Place:
    """A room; `kind` None is a private log."""

    id: str
    kind: Kind | None
    name: str | None
    created_ms: int
    n: int = 0
    events: list[Event] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    invited: set[str] = field(default_factory=set)
    banned: set[str] = field(default_factory=set)

    def seat(self, user: str) -> Seat:
        """What `user` is here."""
        member = self.members.get(user)
        role = None if member is None else member.role
        return Seat(role, user in self.invited, user in self.banned)


class World:
    """Every method runs to its end on the event loop, so each change is atomic and in order."""

    def __init__(self, clock: Callable[[], int] | None) -> None:
        self.now_ms = clock or (lambda: time.time_ns() // 1_000_000)
        self.rooms: dict[str, Place] = {}
        self.pairs: dict[str, str] = {}
        self.accounts: dict[str, Account] = {}
        self.keys: dict[tuple[str, str, str], str] = {}
        self.order: list[str] = []
        self.listener: Callable[[Commit], None] | None = None
        self._count = itertools.count(1)
        self._written: dict[str, list[Event]] = {}
        self.epoch = self.fresh_id()

    def fresh_id(self) -> str:
        """A new id; counted, not drawn, so that a test repeats."""
        return sortable_id(self.now_ms(), next(self._count).to_bytes(RANDOM_BYTES, "big"))

    def place(self, room: str) -> Place | None:
        """The room, unless it is a private log or not there."""
        place = self.rooms.get(room)
        return None if place is None or place.kind is None else place

    def require_accounts(self, users: Sequence[str], named: str) -> None:
        """Refusal `not_found` unless all of `users` are accounts."""
        if not all(user in self.accounts for user in users):
            raise Refusal(Code.NOT_FOUND, "no such user", field=named)

    def write(self, place: Place, event: Event) -> None:
        """Puts the next event into a log."""
        place.events.append(event)
        self.order.append(place.id)
        self._written.setdefault(place.id, []).append(event)

    def write_member(self, place: Place, actor: str, change: MemberChange) -> None:
        """Puts a `member` event into a log."""
        seq = len(place.events) + 1
        line = encode_member(place.id, seq, self.now_ms(), actor, change)
        self.write(place, Event(seq, line, None, change))

    def tell(self, users: Sequence[str], kind: str, fields: dict[str, str | int]) -> None:
        """Puts an event into the private log of each of `users`."""
        for user in users:
            log = private_log(user)
            place = self.rooms.setdefault(log, Place(log, None, None, self.now_ms()))
            seq = len(place.events) + 1
            self.write(place, Event(seq, encode_private(seq, self.now_ms(), kind, fields)))

    def commit(self, outcomes: Sequence[tuple[Post, Outcome]] = ()) -> None:
        """Tells the listener what was written since the last commit."""
        runs = tuple(Run(room, tuple(events)) for room, events in self._written.items())
        self._written = {}
        if self.listener is not None:
            self.listener(Commit(runs, tuple(outcomes), 0.0))
