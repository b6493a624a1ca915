"""The Positions and Marks ports: where users stand in rooms, in one statement for all of them."""

from collections.abc import Sequence
from typing import Final

import orjson

from chatrooms.adapters.sqlite.reader import Reader
from chatrooms.adapters.sqlite.transaction import Transaction
from chatrooms.adapters.sqlite.writer import Writer
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.membership import Seat, refuse_outsider, shown
from chatrooms.domain.room import Kind, Role, private_log
from chatrooms.ports.marks import Mark
from chatrooms.ports.positions import Standing

_LOOK: Final = """
    SELECT json_group_array(json_array(j.key, r.head, r.n, r.kind, m.role, coalesce(m.read, 0),
        EXISTS (SELECT 1 FROM invitations i WHERE i.room = r.num AND i.user = j.value ->> 0),
        EXISTS (SELECT 1 FROM bans b WHERE b.room = r.num AND b.user = j.value ->> 0)))
    FROM json_each(?) j CROSS JOIN rooms r ON r.id = j.value ->> 1
    LEFT JOIN members m ON m.room = r.num AND m.user = j.value ->> 0"""
_MOVE: Final = """
    UPDATE members SET read = u.n FROM (
        SELECT r.num, j.value ->> 0 AS user, j.value ->> 2 AS n
        FROM json_each(?) j CROSS JOIN rooms r ON r.id = j.value ->> 1) u
    WHERE members.room = u.num AND members.user = u.user"""

_NO_ROOM: Final = (0, 0, 0, "me", None, 0, 0, 0)
_NOWHERE: Final = Standing(0, 0, None, 0, banned=False, known=False)


class SqlitePositions:
    """Implements chatrooms.ports.positions.Positions."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def look(self, asks: Sequence[tuple[str, str]]) -> list[Standing]:
        """The standing of each (user, room)."""
        (rows,) = await self._reader.row(_LOOK, (orjson.dumps(asks).decode(),))
        answers = [
            Standing(0, 0, Role.OWNER.value, 0, banned=False, known=True)
            if room == private_log(user)
            else _NOWHERE
            for user, room in asks
        ]
        for i, head, n, kind, role, read, invited, banned in orjson.loads(rows):
            if kind == "me":
                answers[i] = answers[i]._replace(head=head if answers[i].known else 0)
                continue
            seat = Seat(role and Role(role), bool(invited), bool(banned))
            answers[i] = Standing(head, n, role, read, seat.banned, shown(Kind(kind), seat))
        return answers


class SqliteMarks:
    """Implements chatrooms.ports.marks.Marks."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def advance(self, asks: Sequence[tuple[str, str, int]]) -> list[Mark | Refusal]:
        """Moves marks forward."""
        return await self._writer.change(lambda tx: _advance(tx, asks))


def _advance(tx: Transaction, asks: Sequence[tuple[str, str, int]]) -> list[Mark | Refusal]:
    asked = orjson.dumps([(user, room) for user, room, _ in asks]).decode()
    rows = orjson.loads(tx.db.execute(_LOOK, (asked,)).fetchone()[0])
    found = {row[0]: row for row in rows}
    marks: dict[tuple[str, str], int] = {}
    answers: list[Mark | Refusal] = []
    for i, (user, room, n) in enumerate(asks):
        _, _, room_n, kind, role, read, invited, banned = found.get(i, _NO_ROOM)
        seat = Seat(role and Role(role), bool(invited), bool(banned))
        why = refuse_outsider(None if kind == "me" else Kind(kind), seat)
        if why is None and n > room_n:
            why = Refusal(Code.OUT_OF_RANGE, "more than the room has", field="n")
        if why is not None:
            answers.append(why)
            continue
        mark = marks.get((user, room), read)
        answers.append(Mark(max(mark, n), room_n, n > mark))
        if n > mark:
            marks[user, room] = n
    if marks:
        moves = [(user, room, n) for (user, room), n in marks.items()]
        tx.db.execute(_MOVE, (orjson.dumps(moves).decode(),))
    return answers
