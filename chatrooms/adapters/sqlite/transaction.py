"""One open transaction of the writer: its connection, its time, and the events it has written."""

import sqlite3
from collections.abc import Callable
from typing import Final

import orjson

from chatrooms.domain.event import Event, MemberChange, Run, encode_member, encode_private
from chatrooms.domain.room import PRIVATE_LOG_PREFIX, private_log

_HEAD: Final = "UPDATE rooms SET head = head + 1 WHERE num = ? RETURNING head"
_EVENT: Final = "INSERT INTO events (room, seq, line) VALUES (?, ?, ?)"
_PRIVATE_HEADS: Final = """
    INSERT INTO rooms (id, kind, created_ms, head)
    SELECT value, 'me', ?2, 1 FROM json_each(?1) WHERE true
    ON CONFLICT (id) DO UPDATE SET head = head + 1
    RETURNING json_array(num, id, head)"""
_PRIVATE_EVENTS: Final = """
    INSERT INTO events (room, seq, line)
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)"""


class Transaction:
    """What changes use. Heads are read from the database each time, so any process may write."""

    def __init__(self, db: sqlite3.Connection, now_ms: int) -> None:
        self.db = db
        self.now_ms = now_ms
        self.written: list[tuple[str, Event]] = []

    def add_event(
        self,
        num: int,
        room: str,
        encode: Callable[[int, int], str],
        change: MemberChange | None = None,
    ) -> None:
        """Writes one event that is no message; `encode` gets (seq, ts_ms)."""
        (seq,) = self.db.execute(_HEAD, (num,)).fetchone()
        line = encode(seq, self.now_ms)
        self.db.execute(_EVENT, (num, seq, line))
        self.written.append((room, Event(seq, line, None, change)))

    def add_member_event(self, num: int, room: str, actor: str, change: MemberChange) -> None:
        """Writes a `member` event."""
        self.add_event(
            num, room, lambda seq, ts: encode_member(room, seq, ts, actor, change), change
        )

    def tell(self, users: list[str], kind: str, fields: dict[str, str | int]) -> None:
        """Writes an event to the private log of each of `users`, made where it is absent."""
        logs = orjson.dumps([private_log(user) for user in users]).decode()
        heads = self.db.execute(_PRIVATE_HEADS, (logs, self.now_ms)).fetchall()
        rows: list[tuple[int, int, str]] = []
        for (head,) in heads:
            num, log, seq = orjson.loads(head)
            line = encode_private(seq, self.now_ms, kind, fields)
            rows.append((num, seq, line))
            self.written.append((log, Event(seq, line)))
        self.db.execute(_PRIVATE_EVENTS, (orjson.dumps(rows).decode(),))

    def runs(self) -> tuple[Run, ...]:
        """What was written, one run a room, rooms in the order they were first written to."""
        events: dict[str, list[Event]] = {}
        for room, event in self.written:
            if room in events:
                events[room].append(event)
            else:
                events[room] = [event]
        return tuple([Run(room, tuple(run)) for room, run in events.items()])


def is_private(log: str) -> bool:
    """Whether a log is somebody's own, to which nobody posts."""
    return log.startswith(PRIVATE_LOG_PREFIX) or log == "me"
