"""One answer to each op: after a `timeout` was said, a late answer is dropped, not sent."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import Run
from chatrooms.ports.gateway import Ack, Attach, Connection, Gateway, Welcome

Key: TypeAlias = tuple[Connection, int]


class Asked(NamedTuple):
    """An op that waits for its answer; `room` as the client named it, None where it named none."""

    connection: Connection
    id: int
    room: str | None


class AnswerOnce:
    """A Gateway that lets through all but late answers.

    `expired` holds what was answered `timeout` and is still at work; it is as bounded as the work
    in flight, and empty as a rule, which is what makes the check free.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._expired: set[Key] = set()

    def expire(self, asked: Iterable[Asked]) -> None:
        """Answers `timeout` to all of them; what they started goes on and is told as usual."""
        why = Refusal(Code.TIMEOUT, "no answer in time; it may still happen")
        for ask in asked:
            self._gateway.refuse(ask.connection, ask.id, why, ask.room)
            self._expired.add((ask.connection, ask.id))

    def fail(self, asked: Iterable[Asked], why: Refusal) -> None:
        """Refuses those of `asked` that were not answered `timeout` before."""
        for ask in asked:
            self.refuse(ask.connection, ask.id, why, ask.room)

    def settle(self, asked: Iterable[Asked]) -> None:
        """Their work has ended: no later answer can come."""
        self._expired.difference_update((ask.connection, ask.id) for ask in asked)

    def deliver(
        self,
        runs: Sequence[Run],
        acks: Sequence[Ack],
        refusals: Sequence[tuple[Connection, int, str, Refusal]],
    ) -> None:
        """Events always pass: a send that timed out and was stored is still an event."""
        if self._expired:
            acks = [ack for ack in acks if (ack[0], ack[1]) not in self._expired]
            refusals = [item for item in refusals if (item[0], item[1]) not in self._expired]
        self._gateway.deliver(runs, acks, refusals)

    def attach(self, answers: Sequence[Attach]) -> None:
        """A late one is dropped: the client was told that it is not subscribed."""
        if self._expired:
            answers = [item for item in answers if (item[0], item[1]) not in self._expired]
        self._gateway.attach(answers)

    def welcome(self, answers: Sequence[Welcome]) -> None:
        """A late one is dropped: the core closed the connection at the timeout."""
        if self._expired:
            answers = [item for item in answers if (item[0], item[1]) not in self._expired]
        self._gateway.welcome(answers)

    def refuse(self, connection: Connection, id: int, why: Refusal, room: str | None) -> None:  # noqa: A002
        """As the port says."""
        if (connection, id) not in self._expired:
            self._gateway.refuse(connection, id, why, room)

    def reply(self, connection: Connection, id: int, fields: str) -> None:  # noqa: A002
        """As the port says."""
        if (connection, id) not in self._expired:
            self._gateway.reply(connection, id, fields)

    def authorize(
        self,
        connection: Connection,
        id: int,  # noqa: A002
        session: str,
        expires_ms: int,
    ) -> None:
        """As the port says."""
        if (connection, id) not in self._expired:
            self._gateway.authorize(connection, id, session, expires_ms)

    def marked(self, moves: Sequence[tuple[Connection, str, str, int]]) -> None:
        """No answer, but news: passes."""
        self._gateway.marked(moves)

    def end_session(self, session: str) -> None:
        """Passes."""
        self._gateway.end_session(session)

    def drain(self, window_ms: int) -> None:
        """Passes."""
        self._gateway.drain(window_ms)

    def open_connections(self) -> int:
        """Passes."""
        return self._gateway.open_connections()
