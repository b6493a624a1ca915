"""The sockets as the application sees them; the only door through which events reach people."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

from chatrooms.domain.errors import Refusal
from chatrooms.domain.event import Run
from chatrooms.domain.position import Position

Connection: TypeAlias = int  # handle given by the core; never reused while it may be named


class Ack(NamedTuple):
    """The answer to a `send`."""

    connection: Connection
    id: int
    received_us: int  # the core's monotonic receipt time, given back for its histogram
    seq: int
    n: int
    ts_ms: int
    dup: bool


class Attach(NamedTuple):
    """The answer to `sub`; `lines` are the missed events where memory did not have them."""

    connection: Connection
    id: int
    room: str
    head: int
    n: int
    read: int
    role: str
    since: Position | None
    want: int
    lines: list[str] | None


class Resume(NamedTuple):
    """One room of a `hello`; `role` None is denied, `since` None (only `me`) is live from now."""

    room: str
    head: int
    n: int
    read: int
    role: str | None
    since: Position | None
    lines: list[str] | None


class Welcome(NamedTuple):
    """The answer to a good `hello`; `me` is the private log (room `me:<user>`)."""

    connection: Connection
    id: int
    user: str
    session: str
    expires_ms: int
    now_ms: int
    me: Resume
    rooms: list[Resume]


class Gateway(Protocol):
    """Calls enter each shard's mailbox as one entry and return at once; a full mailbox blocks.

    An answer to a connection that has gone is dropped silently.
    """

    def deliver(
        self,
        runs: Sequence[Run],
        acks: Sequence[Ack],
        refusals: Sequence[tuple[Connection, int, str, Refusal]],
    ) -> None:
        """Durable events in commit order, replies first; refusals: (conn, id, room, why)."""
        ...

    def attach(self, answers: Sequence[Attach]) -> None:
        """Answers `sub`: ok, missed events and live list in one step of the hub."""
        ...

    def welcome(self, answers: Sequence[Welcome]) -> None:
        """Answers `hello`."""
        ...

    def refuse(self, connection: Connection, id: int, why: Refusal, room: str | None) -> None:  # noqa: A002
        """Answers any op with `err`; for a `hello` the core closes 4001 or 4101 after it."""
        ...

    def reply(self, connection: Connection, id: int, fields: str) -> None:  # noqa: A002
        """Answers with `{"t":"ok","id":id,<fields>}`; `fields` is JSON without braces."""
        ...

    def authorize(
        self,
        connection: Connection,
        id: int,  # noqa: A002
        session: str,
        expires_ms: int,
    ) -> None:
        """Answers `auth`; the connection is of `session`, until `expires_ms`, from now on."""
        ...

    def marked(self, moves: Sequence[tuple[Connection, str, str, int]]) -> None:
        """(connection that read, user, room, n): `mark` to other devices, `receipt` to the room."""
        ...

    def end_session(self, session: str) -> None:
        """Closes every connection of a session with 4003."""
        ...

    def drain(self, window_ms: int) -> None:
        """Stops accepting, says `notice`, closes each with 4110 when its sends are answered."""
        ...

    def open_connections(self) -> int:
        """How many sockets are open now."""
        ...
