"""Move read marks and tell a user's other devices."""

from collections.abc import Sequence
from dataclasses import dataclass

from chatrooms.app.asks import ReadAsk
from chatrooms.domain.errors import Refusal
from chatrooms.domain.room import log_room
from chatrooms.ports.gateway import Gateway
from chatrooms.ports.marks import Marks


@dataclass(frozen=True, slots=True)
class MarkRead:
    """All marks of a batch are one commit."""

    marks: Marks
    gateway: Gateway

    async def many(self, asks: Sequence[ReadAsk]) -> None:
        """Answers each `read` with `unread`, then says which marks moved."""
        wants = [(ask.user, log_room(ask.room, ask.user), ask.n) for ask in asks]
        try:
            results = await self.marks.advance(wants)
        except Refusal as refusal:
            results = [refusal] * len(asks)
        moves: list[tuple[int, str, str, int]] = []
        for ask, result in zip(asks, results, strict=True):
            if isinstance(result, Refusal):
                self.gateway.refuse(ask.connection, ask.id, result, ask.room)
                continue
            self.gateway.reply(ask.connection, ask.id, f'"unread":{max(result.n - result.read, 0)}')
            if result.moved:
                moves.append((ask.connection, ask.user, ask.room, result.read))
        if moves:
            self.gateway.marked(moves)
