"""The Log port: appends go to the writer, reads bring one row of text a page."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import orjson

from chatrooms.adapters.sqlite.reader import Reader
from chatrooms.adapters.sqlite.verify import walk
from chatrooms.adapters.sqlite.writer import Writer
from chatrooms.domain.page import PAGE_BYTES_MAX, fit, more, window
from chatrooms.ports.log import Anchor, Commit, Outcome, Page, Post

CHANGED_EVENTS_MAX: Final = 100_000
_SEPARATOR: Final = "\x1e"  # no line holds a control character: JSON escapes them

_HEAD: Final = "SELECT num, head FROM rooms WHERE id = ?"
# Logs have no gaps, so a page is a range of the index, in its order.
_LINES: Final = """
    SELECT group_concat(line, char(10)) FROM (
        SELECT line FROM events INDEXED BY events_seq
        WHERE room = ? AND seq BETWEEN ? AND ? ORDER BY seq)"""
_SINCE: Final = """
    WITH wanted AS (
        SELECT j.key AS i, r.num, j.value ->> 1 AS low, j.value ->> 2 AS high
        FROM json_each(?1) j CROSS JOIN rooms r ON r.id = j.value ->> 0)
    SELECT group_concat(i || char(10) || coalesce((
        SELECT group_concat(line, char(10)) FROM (
            SELECT line FROM events INDEXED BY events_seq
            WHERE room = num AND seq BETWEEN low AND high ORDER BY seq)), ''), char(30))
    FROM wanted
    WHERE ?2 >= (
        SELECT coalesce(sum(length(CAST(line AS BLOB))), 0) FROM events INDEXED BY events_seq
        WHERE room = num AND seq BETWEEN low AND high)"""
_CHANGED: Final = """
    SELECT json_group_array(json_array(r.id, c.head)), (
        SELECT min(coalesce(max(pos), ?1), ?1 + ?2) FROM events)
    FROM (SELECT room, max(seq) AS head FROM events
          WHERE pos > ?1 AND pos <= ?1 + ?2 GROUP BY room) c
    JOIN rooms r ON r.num = c.room"""


class SqliteLog:
    """Implements chatrooms.ports.log.Log."""

    def __init__(self, writer: Writer, reader: Reader, epoch: str) -> None:
        self._writer = writer
        self._reader = reader
        self._epoch = epoch

    @property
    def epoch(self) -> str:
        """The identity of this database's logs."""
        return self._epoch

    def on_commit(self, listener: Callable[[Commit], None]) -> None:
        """Sets the listener."""
        self._writer.listener = listener

    async def append(self, posts: Sequence[Post]) -> list[Outcome]:
        """Stores posts in the next group commits."""
        return await self._writer.append(posts)

    async def page(
        self, room: str, anchor: Anchor, limit: int, bytes_max: int = PAGE_BYTES_MAX
    ) -> Page:
        """A stretch of the log; lines never change, so head and lines need no common snapshot."""
        return await self._reader.read(lambda db: self._page(db, room, anchor, limit, bytes_max))

    def _page(
        self, db: sqlite3.Connection, room: str, anchor: Anchor, limit: int, bytes_max: int
    ) -> Page:
        found = db.execute(_HEAD, (room,)).fetchone()
        if found is None:
            return Page(self._epoch, [], 0, 0, more=False)
        num, head = found
        span = window(anchor.kind, anchor.seq, limit, head)
        text = None
        if span.low <= span.high:
            (text,) = db.execute(_LINES, (num, *span)).fetchone()
        lines = [] if text is None else text.split("\n")
        sizes = [len(line.encode()) for line in lines]
        kept = fit(anchor.kind, anchor.seq, span, sizes, bytes_max)
        lines = lines[kept.low - span.low : len(lines) - (span.high - kept.high)]
        return Page(self._epoch, lines, min(1, head), head, more(anchor.kind, kept, head))

    async def since(
        self, wants: Sequence[tuple[str, int, int]], events_max: int, bytes_max: int
    ) -> list[list[str] | None]:
        """Missed events of many rooms in one read; what is too much is not read."""
        answers: list[list[str] | None] = [None] * len(wants)
        places: list[int] = []
        ranges: list[tuple[str, int, int]] = []
        for index, (room, after, upto) in enumerate(wants):
            if upto <= after:
                answers[index] = []
            elif upto - after <= events_max:
                places.append(index)
                ranges.append((room, after + 1, upto))
        if not ranges:
            return answers
        (text,) = await self._reader.row(_SINCE, (orjson.dumps(ranges).decode(), bytes_max))
        for part in [] if text is None else text.split(_SEPARATOR):
            place, *lines = part.split("\n")
            answers[places[int(place)]] = [line for line in lines if line]
        return answers

    async def changed_since(self, cursor: int) -> tuple[list[tuple[str, int]], int]:
        """What the next CHANGED_EVENTS_MAX rows after the cursor touched."""
        rows, after = await self._reader.row(_CHANGED, (cursor, CHANGED_EVENTS_MAX))
        return [(room, head) for room, head in orjson.loads(rows)], max(cursor, after)

    def walk(self) -> AsyncIterator[tuple[str, int, int, int, list[str]]]:
        """Every room's log, looked at for `verify`."""
        return walk(self._reader)
