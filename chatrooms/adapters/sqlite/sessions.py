"""The Sessions port: logins and their refresh tokens, of which the store knows only SHA-256."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import orjson

from chatrooms.adapters.sqlite.reader import Reader
from chatrooms.adapters.sqlite.records import fresh_id
from chatrooms.adapters.sqlite.transaction import Transaction
from chatrooms.adapters.sqlite.writer import Writer
from chatrooms.ports.sessions import Rotation, Session

STARTED_AT_ONCE: Final = 1_000

_COLUMNS: Final = "id, user, client, created_ms, seen_ms, ended_ms"
_START: Final = "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, ?4, NULL, ?5)"
_START_MANY: Final = """
    INSERT INTO sessions SELECT value ->> 0, value ->> 1, ?2, ?3, ?3, NULL, NULL
    FROM json_each(?1)"""
_KEEP: Final = "INSERT INTO refresh_tokens VALUES (?, ?, ?, NULL, NULL)"
# `living` is the condition of a session that counts: not ended, not expired, account in order.
_LIVING: Final = """s.ended_ms IS NULL AND (s.expires_ms IS NULL OR s.expires_ms > ?2)
    AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = s.user AND a.disabled)"""
_FIND: Final = f"""
    SELECT t.rotated_ms, t.sealed, {", ".join(f"s.{c}" for c in _COLUMNS.split(", "))}
    FROM refresh_tokens t JOIN sessions s ON s.id = t.session
    WHERE t.sha256 = ?1 AND t.expires_ms > ?2 AND {_LIVING}"""  # noqa: S608 -- constant
_ROTATED: Final = "UPDATE refresh_tokens SET rotated_ms = ?2, sealed = ?3 WHERE sha256 = ?1"
_SEEN: Final = "UPDATE sessions SET seen_ms = ?2, expires_ms = ?3 WHERE id = ?1"
# What nobody may present any more goes; a sealed pair is kept no longer than it can be asked for.
_TIDY: Final = "DELETE FROM refresh_tokens WHERE session = ? AND expires_ms <= ?"
_UNSEAL: Final = """
    UPDATE refresh_tokens SET sealed = NULL
    WHERE session = ? AND sealed IS NOT NULL AND rotated_ms <= ?"""
_END: Final = """
    UPDATE sessions SET ended_ms = ?2 WHERE id = ?1 AND ended_ms IS NULL"""
_ALIVE: Final = f"""
    SELECT json_group_array(s.id) FROM json_each(?1) j CROSS JOIN sessions s ON s.id = j.value
    WHERE {_LIVING}"""  # noqa: S608 -- constant
_OF_USER: Final = f"""
    SELECT json_group_array(json(session)) FROM (
        SELECT json_array({_COLUMNS}) AS session FROM sessions s
        WHERE s.user = ?1 AND {_LIVING} ORDER BY s.created_ms DESC, s.id DESC)"""  # noqa: S608 -- constant
_OWNED: Final = f"""
    SELECT id FROM sessions s WHERE s.id = ?1 AND {_LIVING} AND s.user = ?3"""  # noqa: S608 -- constant


class SqliteSessions:
    """Implements chatrooms.ports.sessions.Sessions."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def start(
        self, user: str, client: str, refresh_sha256: bytes | None, refresh_expires_ms: int
    ) -> Session:
        """A new session."""
        return await self._writer.change(
            lambda tx: _start(tx, user, client, refresh_sha256, refresh_expires_ms)
        )

    async def start_many(self, users: Sequence[str], client: str) -> list[Session]:
        """New sessions, STARTED_AT_ONCE a transaction."""
        sessions: list[Session] = []
        for start in range(0, len(users), STARTED_AT_ONCE):
            chunk = users[start : start + STARTED_AT_ONCE]
            sessions += await self._writer.change(partial(_start_many, users=chunk, client=client))
        return sessions

    async def rotate(
        self, old_sha256: bytes, new_sha256: bytes, sealed: str, expires_ms: int, grace_ms: int
    ) -> Rotation:
        """Exchanges a refresh token."""
        return await self._writer.change(
            lambda tx: _rotate(tx, old_sha256, new_sha256, sealed, expires_ms, grace_ms)
        )

    async def alive(self, sessions: Sequence[str]) -> list[bool]:
        """Which of these live."""
        asked = orjson.dumps(list(sessions)).decode()
        (rows,) = await self._reader.row(_ALIVE, (asked, self._writer.now_ms()))
        living = frozenset(orjson.loads(rows))
        return [session in living for session in sessions]

    async def of_user(self, user: str) -> list[Session]:
        """The living sessions of a user."""
        (rows,) = await self._reader.row(_OF_USER, (user, self._writer.now_ms()))
        return [Session(*row) for row in orjson.loads(rows)]

    async def end(self, user: str, session: str) -> bool:
        """Ends a session of a user."""
        return await self._writer.change(lambda tx: _end(tx, user, session))

    async def end_by_refresh(self, refresh_sha256: bytes) -> Session | None:
        """Ends the session of a token."""
        return await self._writer.change(lambda tx: _end_by_refresh(tx, refresh_sha256))


def _start(
    tx: Transaction, user: str, client: str, refresh_sha256: bytes | None, expires_ms: int
) -> Session:
    session = fresh_id(tx.now_ms)
    expiry = None if refresh_sha256 is None else expires_ms
    tx.db.execute(_START, (session, user, client, tx.now_ms, expiry))
    if refresh_sha256 is not None:
        tx.db.execute(_KEEP, (refresh_sha256, session, expires_ms))
    return Session(session, user, client, tx.now_ms, tx.now_ms, None)


def _start_many(tx: Transaction, users: Sequence[str], client: str) -> list[Session]:
    rows = [(fresh_id(tx.now_ms), user) for user in users]
    tx.db.execute(_START_MANY, (orjson.dumps(rows).decode(), client, tx.now_ms))
    return [Session(session, user, client, tx.now_ms, tx.now_ms, None) for session, user in rows]


def _rotate(
    tx: Transaction, old: bytes, new: bytes, sealed: str, expires_ms: int, grace_ms: int
) -> Rotation:
    now = tx.now_ms
    row: tuple[Any, ...] | None = tx.db.execute(_FIND, (old, now)).fetchone()
    if row is None:
        return Rotation("unknown", None, None)
    rotated_ms, successor, *columns = row
    session = Session(*columns)
    if rotated_ms is not None:
        if now - rotated_ms < grace_ms and successor is not None:
            return Rotation("grace", session, successor)
        tx.db.execute(_END, (session.id, now))
        return Rotation("reused", session._replace(ended_ms=now), None)
    tx.db.execute(_TIDY, (session.id, now))
    tx.db.execute(_UNSEAL, (session.id, now - grace_ms))
    tx.db.execute(_ROTATED, (old, now, sealed))
    tx.db.execute(_KEEP, (new, session.id, expires_ms))
    tx.db.execute(_SEEN, (session.id, now, expires_ms))
    return Rotation("rotated", session._replace(seen_ms=now), None)


def _end(tx: Transaction, user: str, session: str) -> bool:
    if tx.db.execute(_OWNED, (session, tx.now_ms, user)).fetchone() is None:
        return False
    tx.db.execute(_END, (session, tx.now_ms))
    return True


def _end_by_refresh(tx: Transaction, refresh_sha256: bytes) -> Session | None:
    row = tx.db.execute(_FIND, (refresh_sha256, tx.now_ms)).fetchone()
    if row is None:
        return None
    session = Session(*row[2:])
    tx.db.execute(_END, (session.id, tx.now_ms))
    return session._replace(ended_ms=tx.now_ms)
