"""The walk of `verify`: every log gapless, every seq and cid once, every line in its place."""

import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, TypeAlias

from chatrooms.adapters.sqlite.reader import Reader
from chatrooms.domain.room import PRIVATE_LOG_PREFIX

Finding: TypeAlias = tuple[str, int, int, int, list[str]]
ROOMS_AT_ONCE: Final = 64
PROBLEMS_MAX: Final = 20

_ROOMS: Final = "SELECT num, id, head, n FROM rooms WHERE num > ? ORDER BY num LIMIT ?"
_ORPHANS: Final = """
    SELECT room, count(*), count(DISTINCT seq) FROM events
    WHERE room NOT IN (SELECT num FROM rooms) GROUP BY room LIMIT ?"""
_COUNTS: Final = """
    SELECT count(*), count(DISTINCT seq), count(n), coalesce(max(n), 0)
    FROM events WHERE room = ?1"""
# These go by the index over (room, seq); integrity_check has held it against the table.
_GAPS: Final = """
    SELECT was + 1, seq - 1 FROM (
        SELECT seq, lag(seq, 1, 0) OVER (ORDER BY seq) AS was
        FROM events WHERE room = ?1)
    WHERE seq > was + 1 LIMIT ?2"""
_TWICE: Final = """
    SELECT seq, count(*) FROM events WHERE room = ?1
    GROUP BY seq HAVING count(*) > 1 LIMIT ?2"""
_CIDS: Final = """
    SELECT min(seq), max(seq) FROM events WHERE room = ?1 AND cid IS NOT NULL
    GROUP BY cid, sender HAVING count(*) > 1 LIMIT ?2"""
_LINES: Final = """
    SELECT seq FROM events
    WHERE room = ?1 AND CASE WHEN json_valid(line) THEN
        line ->> '$.seq' IS NOT seq OR line ->> '$.n' IS NOT n OR line ->> '$.room' IS NOT ?3
        OR line ->> '$.cid' IS NOT cid OR instr(line, char(10)) > 0
        ELSE true END
    LIMIT ?2"""


async def walk(reader: Reader) -> AsyncIterator[Finding]:
    """(room, head, count, distinct seqs, problems); damage of the file itself has room ""."""
    damage = await reader.read(_damage)
    if damage:
        yield "", 0, 0, 0, damage
    after = 0
    while True:
        findings, after = await reader.read(partial(_look, after=after))
        for finding in findings:
            yield finding
        if len(findings) < ROOMS_AT_ONCE:
            break
    for finding in await reader.read(_orphans):
        yield finding


def _damage(db: sqlite3.Connection) -> list[str]:
    rows = db.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})").fetchall()
    return [f"the file is damaged: {row[0]}" for row in rows if row[0] != "ok"]


def _orphans(db: sqlite3.Connection) -> list[Finding]:
    return [
        (f"#{num}", 0, count, distinct, [f"{count} events of a room that does not exist"])
        for num, count, distinct in db.execute(_ORPHANS, (PROBLEMS_MAX,)).fetchall()
    ]


def _look(db: sqlite3.Connection, after: int) -> tuple[list[Finding], int]:
    """Looks at some rooms in one snapshot, so that appends meanwhile are no findings."""
    db.execute("BEGIN")
    try:
        findings: list[Finding] = []
        for num, room, head, n in db.execute(_ROOMS, (after, ROOMS_AT_ONCE)).fetchall():
            after = num
            count, distinct, messages, n_max = db.execute(_COUNTS, (num,)).fetchone()
            problems = _problems(db, num, room)
            if not count == distinct == head:
                problems.append(f"head {head}, {count} events, {distinct} different seqs")
            if not messages == n_max == n:
                problems.append(f"n {n}, {messages} messages, the last has n {n_max}")
            findings.append((room, head, count, distinct, problems))
        return findings, after
    finally:
        db.execute("COMMIT")


def _problems(db: sqlite3.Connection, num: int, room: str) -> list[str]:
    shown = "me" if room.startswith(PRIVATE_LOG_PREFIX) else room
    asked = (num, PROBLEMS_MAX)
    return [
        *[f"seq {low} to {high} missing" for low, high in db.execute(_GAPS, asked)],
        *[f"seq {seq} stored {count} times" for seq, count in db.execute(_TWICE, asked)],
        *[f"one cid stored twice, seq {low} and {high}" for low, high in db.execute(_CIDS, asked)],
        *[f"seq {seq} does not hold its line" for (seq,) in db.execute(_LINES, (*asked, shown))],
    ]
