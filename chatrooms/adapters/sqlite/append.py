"""The hot path: many messages into the log by a fixed number of crossings into SQLite.

sqlite3 drops and retakes the GIL at every step of a statement, so statements are few and wide: rows
travel as one multi-row VALUES (half the time of json_each with its escapes, measured), padded with
NULLs to a power of two so that ten prepared statements serve every size, and what is read comes
back as one row of JSON.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from chatrooms.adapters.sqlite.failures import as_refusal
from chatrooms.adapters.sqlite.savepoints import reraise_io, within_savepoint
from chatrooms.adapters.sqlite.transaction import Transaction, is_private
from chatrooms.domain.content import compare
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import Event, encode_message
from chatrooms.domain.membership import Seat, refuse_outsider
from chatrooms.domain.room import Kind
from chatrooms.ports.log import Outcome, Post, Stored

EVENTS_MAX: Final = 512  # a transaction holds no more messages than this
_SIZES: Final = tuple(1 << power for power in range(EVENTS_MAX.bit_length()))


def _values(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)


# For each message what the transaction must know. A room that does not exist yields no row.
_LOOKUP: Final = {
    size: f"""
    WITH asked (i, room, user, cid) AS (VALUES {_values(4, size)})
    SELECT json_group_array(json_array(
        a.i, r.num, r.head, r.n, m.role, e.line,
        CASE WHEN m.role IS NULL THEN json_array(r.kind,
            EXISTS (SELECT 1 FROM invitations v WHERE v.room = r.num AND v.user = a.user),
            EXISTS (SELECT 1 FROM bans b WHERE b.room = r.num AND b.user = a.user)) END))
    FROM asked a
    CROSS JOIN rooms r ON r.id = a.room
    LEFT JOIN members m ON m.room = r.num AND m.user = a.user
    LEFT JOIN events e ON e.cid = a.cid AND e.room = r.num AND e.sender = a.user"""  # noqa: S608 -- placeholders only
    for size in _SIZES
}
_INSERT: Final = {
    size: f"""
    INSERT INTO events (room, seq, n, sender, cid, line)
    SELECT * FROM (VALUES {_values(6, size)}) WHERE column1 IS NOT NULL"""  # noqa: S608 -- the same
    for size in _SIZES
}
_HEADS: Final = {
    size: f"""
    UPDATE rooms SET head = u.column2, n = u.column3
    FROM (VALUES {_values(3, size)}) AS u WHERE num = u.column1"""  # noqa: S608 -- the same
    for size in _SIZES
}


class _Found(NamedTuple):
    """A row of _LOOKUP."""

    i: int
    num: int
    head: int
    n: int
    role: str | None
    line: str | None
    outsider: tuple[str, int, int] | None


def append(tx: Transaction, posts: Sequence[Post]) -> list[Outcome]:
    """Stores at most EVENTS_MAX posts; outcomes in order. sqlite3.Error leaves the rest undone."""
    found = _look_up(tx.db, posts)
    outcomes: list[Outcome] = []
    heads: dict[int, list[int]] = {}
    fresh: dict[tuple[int, str, str], str] = {}
    watch = len({post.cid for post in posts}) < len(posts)
    rows: list[Any] = []
    written = tx.written
    now_ms = tx.now_ms
    for post, row in zip(posts, found, strict=True):
        if row is None or row[4] is None:
            outcomes.append(_refuse(post, row))
            continue
        room, user, cid, body, thread, _ = post
        num = row[1]
        first = row[5]
        if watch and first is None:
            first = fresh.get((num, user, cid))
        if first is not None:
            outcomes.append(_repeat(post, first))
            continue
        head = heads.get(num)
        if head is None:
            head = heads[num] = [row[2], row[3]]
        head[0] = seq = head[0] + 1
        head[1] = n = head[1] + 1
        if "\n" in body or "\r" in body:  # blanks between tokens only: strings escape them
            body = body.replace("\n", " ").replace("\r", " ")
        line = encode_message(room, seq, n, user, cid, now_ms, body, thread)
        if watch:
            fresh[num, user, cid] = line
        rows += (num, seq, n, user, cid, line)
        written.append((room, Event(seq, line, n)))
        outcomes.append(Stored(seq, n, now_ms, dup=False))
    if rows:
        _write(tx.db, _INSERT, rows, 6)
        _write(tx.db, _HEADS, [x for num, head in heads.items() for x in (num, *head)], 3)
    return outcomes


def append_apart(tx: Transaction, posts: Sequence[Post]) -> list[Outcome]:
    """As `append`, room by room and at last post by post, so that a bad row fails alone."""
    rooms: dict[str, list[int]] = {}
    for index, post in enumerate(posts):
        rooms.setdefault(post.room, []).append(index)
    outcomes: dict[int, Outcome] = {}
    for indexes in rooms.values():
        try:
            done = within_savepoint(tx, partial(append, tx, [posts[index] for index in indexes]))
            outcomes.update(zip(indexes, done, strict=True))
        except Exception as error:  # noqa: BLE001 -- whatever a row can cause
            reraise_io(error)
            outcomes.update({index: _append_alone(tx, posts[index]) for index in indexes})
    return [outcomes[index] for index in range(len(posts))]


def _append_alone(tx: Transaction, post: Post) -> Outcome:
    try:
        return within_savepoint(tx, partial(append, tx, [post]))[0]
    except Exception as error:  # noqa: BLE001 -- the row that failed
        reraise_io(error)
        return as_refusal(error)


def _look_up(db: sqlite3.Connection, posts: Sequence[Post]) -> list[_Found | None]:
    asked: list[Any] = []
    for index, post in enumerate(posts):
        asked += (index, post.room, post.user, post.cid)
    size = 1 << (len(posts) - 1).bit_length()
    asked += [None] * (4 * size - len(asked))
    (answer,) = db.execute(_LOOKUP[size], asked).fetchone()
    found: list[_Found | None] = [None] * len(posts)
    for row in orjson.loads(answer):
        found[row[0]] = row
    return found


def _write(
    db: sqlite3.Connection, statements: dict[int, str], rows: list[Any], columns: int
) -> None:
    size = 1 << (len(rows) // columns - 1).bit_length()
    rows += [None] * (columns * size - len(rows))
    db.execute(statements[size], rows)


def _refuse(post: Post, row: _Found | None) -> Refusal:
    if is_private(post.room):
        return Refusal(Code.FORBIDDEN, "nobody posts to a private log", field="room")
    kind, seat = None, Seat()
    if row is not None and row[6] is not None:
        name, invited, banned = row[6]
        kind, seat = Kind(name), Seat(None, bool(invited), bool(banned))
    return refuse_outsider(kind, seat) or Refusal(Code.INTERNAL)


def _repeat(post: Post, line: str) -> Outcome:
    sent = compare(line, post.thread, post.body)
    if not sent.same:
        return Refusal(Code.CID_CONFLICT, "this cid was used for other content", field="cid")
    return Stored(sent.seq, sent.n, sent.ts_ms, dup=True)
