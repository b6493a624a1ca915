"""A gateway that writes down what it is told, for tests without sockets."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chatrooms.domain.errors import Refusal
from chatrooms.domain.event import Run
from chatrooms.ports.gateway import Ack, Attach, Connection, Welcome


@dataclass
class RecordingGateway:
    """Implements the Gateway port; each list holds the answers of one kind in order."""

    runs: list[Run] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    send_refusals: list[tuple[Connection, int, str, Refusal]] = field(default_factory=list)
    attached: list[Attach] = field(default_factory=list)
    welcomed: list[Welcome] = field(default_factory=list)
    refused: list[tuple[Connection, int, Refusal, str | None]] = field(default_factory=list)
    replies: list[tuple[Connection, int, str]] = field(default_factory=list)
    authorized: list[tuple[Connection, int, str, int]] = field(default_factory=list)
    moves: list[tuple[Connection, str, str, int]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    deliveries: int = 0

    def deliver(
        self,
        runs: Sequence[Run],
        acks: Sequence[Ack],
        refusals: Sequence[tuple[Connection, int, str, Refusal]],
    ) -> None:
        """Keeps runs, acks and refusals, and counts the call."""
        self.deliveries += 1
        self.runs.extend(runs)
        self.acks.extend(acks)
        self.send_refusals.extend(refusals)

    def attach(self, answers: Sequence[Attach]) -> None:
        """Keeps answers to `sub`."""
        self.attached.extend(answers)

    def welcome(self, answers: Sequence[Welcome]) -> None:
        """Keeps answers to `hello`."""
        self.welcomed.extend(answers)

    def refuse(
        self,
        connection: Connection,
        id: int,  # noqa: A002 -- the port's name
        why: Refusal,
        room: str | None,
    ) -> None:
        """Keeps a refusal."""
        self.refused.append((connection, id, why, room))

    def reply(self, connection: Connection, id: int, fields: str) -> None:  # noqa: A002
        """Keeps a reply."""
        self.replies.append((connection, id, fields))

    def authorize(
        self,
        connection: Connection,
        id: int,  # noqa: A002
        session: str,
        expires_ms: int,
    ) -> None:
        """Keeps a renewal."""
        self.authorized.append((connection, id, session, expires_ms))

    def marked(self, moves: Sequence[tuple[Connection, str, str, int]]) -> None:
        """Keeps moved marks."""
        self.moves.extend(moves)

    def end_session(self, session: str) -> None:
        """Keeps the id of an ended session."""
        self.ended.append(session)

    def drain(self, window_ms: int) -> None:
        """There is nobody to drain."""

    def open_connections(self) -> int:
        """None is open."""
        return 0

    def codes(self) -> list[str]:
        """The codes of all refusals, in order."""
        return [why.code.value for _, _, why, _ in self.refused]
