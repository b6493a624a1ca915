"""What connections ask of the control plane: the tuples of the core by name, and who answers.

Field order is that of the core's `take_asks` and `take_auths` after the kind, so an ask is made
by `SubAsk(*item[1:])`. Every answer goes through the Gateway port, never by a return value.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class SubAsk(NamedTuple):
    """`sub`; `held_from` is the lowest seq the hub holds up to now in memory, 0 for none."""

    connection: int
    id: int
    user: str
    room: str
    since: tuple[str, int] | None
    want: int
    held_from: int


class HistAsk(NamedTuple):
    """`hist`; `anchor` is "newest", "before", "after" or "around", `limit` 1..100 events."""

    connection: int
    id: int
    user: str
    room: str
    anchor: str
    anchor_seq: int
    limit: int
    epoch: str | None


class ReadAsk(NamedTuple):
    """`read`: the user has read `n` messages of the room."""

    connection: int
    id: int
    user: str
    room: str
    n: int


class WhoAsk(NamedTuple):
    """`who`: the hub knows who is subscribed, the store knows their names and roles."""

    connection: int
    id: int
    user: str
    room: str
    online: int
    users: list[str]
    next_cursor: str | None


class RepairAsk(NamedTuple):
    """The hub misses events after+1..upto of a log (a room id or `me:<user>`)."""

    log: str
    after: int
    upto: int


class ResumeAsk(NamedTuple):
    """One room of a `hello`: the position the client has, and what the hub holds."""

    room: str
    epoch: str
    seq: int
    held_from: int


class HelloAsk(NamedTuple):
    """`hello`; `kind` is "token" or "ticket", `rooms` hold ResumeAsk tuples."""

    connection: int
    id: int
    kind: str
    credential: str
    rooms: Sequence[tuple[str, str, int, int]]
    client: str | None
    address: str


class AuthAsk(NamedTuple):
    """`auth`: a new access token for a connection of `user` and `session`."""

    connection: int
    id: int
    token: str
    user: str
    session: str


@dataclass(frozen=True, slots=True)
class Asks:
    """Who answers what; none raises for bad input, and what else is raised was not answered.

    The batched ones take what one wake brought: each is a fixed number of store reads however
    many asks there are, and answers each ask exactly once.
    """

    welcome_many: Callable[[Sequence[HelloAsk]], Awaitable[None]]
    subscribe_many: Callable[[Sequence[SubAsk]], Awaitable[None]]
    mark_many: Callable[[Sequence[ReadAsk]], Awaitable[None]]
    history: Callable[[HistAsk], Awaitable[None]]
    who: Callable[[WhoAsk], Awaitable[None]]
    repair: Callable[[RepairAsk], Awaitable[None]]
    reauthorize: Callable[[AuthAsk], Awaitable[None]]
