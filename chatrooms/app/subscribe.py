"""Subscribe connections to rooms: the second step of an order that has no race.

The hub has opened the room and keeps what is delivered; one read tells head, membership and
read mark; `attach` writes the answer, the missed events and the live list in one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chatrooms.app.asks import SubAsk
from chatrooms.app.resume import Missed, missed_lines
from chatrooms.app.visibility import is_room, judge, unknown_room
from chatrooms.domain.errors import Refusal
from chatrooms.domain.position import Position
from chatrooms.domain.room import log_room
from chatrooms.ports.gateway import Attach, Gateway
from chatrooms.ports.log import Log
from chatrooms.ports.positions import Positions, Standing


@dataclass(frozen=True, slots=True)
class Subscribe:
    """One look at all positions and one read of all missed events, however many ask."""

    positions: Positions
    log: Log
    gateway: Gateway

    async def many(self, asks: Sequence[SubAsk]) -> None:
        """Answers each `sub` once."""
        try:
            answers, refused = await self._judge(asks)
        except Refusal as refusal:
            answers, refused = [], [(ask, refusal) for ask in asks]
        for ask, why in refused:
            self.gateway.refuse(ask.connection, ask.id, why, ask.room)
        if answers:
            self.gateway.attach(answers)

    async def _judge(
        self, asks: Sequence[SubAsk]
    ) -> tuple[list[Attach], list[tuple[SubAsk, Refusal]]]:
        refused: list[tuple[SubAsk, Refusal]] = []
        possible: list[SubAsk] = []
        for ask in asks:
            if ask.room == "me" or is_room(ask.room):
                possible.append(ask)
            else:
                refused.append((ask, unknown_room()))
        looked = await self.positions.look(
            [(ask.user, log_room(ask.room, ask.user)) for ask in possible]
        )
        allowed: list[tuple[SubAsk, Standing]] = []
        for ask, standing in zip(possible, looked, strict=True):
            refusal = judge(standing)
            if refusal is None:
                allowed.append((ask, standing))
            else:
                refused.append((ask, refusal))
        lines = await missed_lines(self.log, [_missed(*pair) for pair in allowed])
        answers = [
            _attach(ask, standing, missed)
            for (ask, standing), missed in zip(allowed, lines, strict=True)
        ]
        return answers, refused


def _since(ask: SubAsk) -> Position | None:
    return None if ask.since is None else Position(*ask.since)


def _missed(ask: SubAsk, standing: Standing) -> Missed:
    return Missed(log_room(ask.room, ask.user), _since(ask), standing.head, ask.held_from)


def _attach(ask: SubAsk, standing: Standing, lines: list[str] | None) -> Attach:
    return Attach(
        connection=ask.connection,
        id=ask.id,
        room=ask.room,
        head=standing.head,
        n=standing.n,
        read=standing.read,
        role=standing.role or "",
        since=_since(ask),
        want=ask.want,
        lines=lines,
    )
