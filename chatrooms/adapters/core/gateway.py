"""Gateway port over the core: domain objects become tuples here and nowhere else.

NamedTuples of the port have the core's field order and pass as they are; what costs Python time
per event is one tuple a run and one list of its lines, whatever the number of subscribers.
"""

import time
from collections.abc import Sequence
from typing import TypeAlias

from chatrooms import _core
from chatrooms.domain.errors import Refusal
from chatrooms.domain.event import Run
from chatrooms.ports.gateway import Ack, Attach, Connection, Welcome

_Refused: TypeAlias = tuple[int, int, str | None, str, str | None, str | None, int | None]
_Me: TypeAlias = tuple[int, int, int, tuple[str, int] | None, list[str] | None]
_Resumed: TypeAlias = tuple[str, int, int, int, str | None, tuple[str, int], list[str] | None]
_Welcomed: TypeAlias = tuple[int, int, str, str, int, int, _Me, list[_Resumed]]


class CoreGateway:
    """As the port says; calls block, without the GIL, only while a shard's mailbox is full."""

    def __init__(self, core: _core.Core) -> None:
        self._core = core

    def deliver(
        self,
        runs: Sequence[Run],
        acks: Sequence[Ack],
        refusals: Sequence[tuple[Connection, int, str, Refusal]],
    ) -> None:
        """One crossing for a commit."""
        self._core.deliver(
            [
                (
                    run.room,
                    run.events[0].seq,
                    [event.line for event in run.events],
                    [
                        (event.seq, change.action.value, change.role, list(change.users))
                        for event in run.events
                        if (change := event.change) is not None
                    ],
                )
                for run in runs
            ],
            acks,
            [_refused(connection, id_, room, why) for connection, id_, room, why in refusals],
        )

    def attach(self, answers: Sequence[Attach]) -> None:
        """One crossing for a batch."""
        self._core.attach(answers)

    def welcome(self, answers: Sequence[Welcome]) -> None:
        """One crossing for a batch; the core knows the private log by its place."""
        self._core.welcome([_welcomed(answer) for answer in answers])

    def refuse(self, connection: Connection, id: int, why: Refusal, room: str | None) -> None:  # noqa: A002
        """As the port says."""
        self._core.refuse([_refused(connection, id, room, why)])

    def reply(self, connection: Connection, id: int, fields: str) -> None:  # noqa: A002
        """As the port says."""
        self._core.reply([(connection, id, fields)])

    def authorize(
        self,
        connection: Connection,
        id: int,  # noqa: A002
        session: str,
        expires_ms: int,
    ) -> None:
        """As the port says."""
        now_ms = time.time_ns() // 1_000_000
        self._core.authorize(connection, id, session, expires_ms, now_ms)

    def marked(self, moves: Sequence[tuple[Connection, str, str, int]]) -> None:
        """As the port says."""
        self._core.marked(moves)

    def end_session(self, session: str) -> None:
        """As the port says."""
        self._core.end_session(session)

    def drain(self, window_ms: int) -> None:
        """As the port says."""
        self._core.drain(window_ms)

    def open_connections(self) -> int:
        """As the port says."""
        return self._core.open_connections()


def _refused(connection: int, id_: int, room: str | None, why: Refusal) -> _Refused:
    return (connection, id_, room, why.code.value, str(why), why.field, why.retry_after_ms)


def _welcomed(answer: Welcome) -> _Welcomed:
    me = answer.me
    return (
        answer.connection,
        answer.id,
        answer.user,
        answer.session,
        answer.expires_ms,
        answer.now_ms,
        (me.head, me.n, me.read, me.since, me.lines),
        [
            (room.room, room.head, room.n, room.read, room.role, room.since, room.lines)
            for room in answer.rooms
            if room.since is not None  # a room of a `hello` always names a position
        ],
    )
