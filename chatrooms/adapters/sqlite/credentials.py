"""The Tickets and SigningKeys ports."""

from collections.abc import Sequence
from typing import Final

import orjson

from chatrooms.adapters.sqlite.reader import Reader
from chatrooms.adapters.sqlite.transaction import Transaction
from chatrooms.adapters.sqlite.writer import Writer

_TIDY: Final = "DELETE FROM tickets WHERE expires_ms <= ?"
_ISSUE: Final = "INSERT INTO tickets VALUES (?, ?, ?, ?)"
_FIND: Final = """
    SELECT json_group_array(json_array(j.key, t.user, t.session))
    FROM json_each(?1) j CROSS JOIN tickets t ON t.sha256 = j.value WHERE t.expires_ms > ?2"""
_USE: Final = "DELETE FROM tickets WHERE sha256 IN (SELECT value FROM json_each(?))"
_KEYS: Final = "SELECT kid, private_der, created_ms FROM signing_keys ORDER BY created_ms DESC, kid"
_ADD: Final = """
    INSERT INTO signing_keys SELECT ?1, ?2, ?3
    WHERE NOT (?4 AND EXISTS (SELECT 1 FROM signing_keys)) ON CONFLICT DO NOTHING"""


class SqliteTickets:
    """Implements chatrooms.ports.sessions.Tickets."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def issue(self, sha256: bytes, user: str, session: str, expires_ms: int) -> None:
        """Keeps a ticket."""
        await self._writer.change(lambda tx: _issue(tx, sha256, user, session, expires_ms))

    async def redeem(self, sha256: Sequence[bytes]) -> list[tuple[str, str] | None]:
        """Uses tickets up."""
        return await self._writer.change(lambda tx: _redeem(tx, sha256))


class SqliteSigningKeys:
    """Implements chatrooms.ports.sessions.SigningKeys."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def all(self) -> list[tuple[str, bytes, int]]:
        """Every key, newest first."""
        return await self._reader.read(lambda db: db.execute(_KEYS).fetchall())

    async def add(self, kid: str, private_der: bytes, *, first: bool = True) -> None:
        """Keeps a key."""
        await self._writer.change(lambda tx: _add(tx, kid, private_der, first=first))


def _issue(tx: Transaction, sha256: bytes, user: str, session: str, expires_ms: int) -> None:
    tx.db.execute(_TIDY, (tx.now_ms,))
    tx.db.execute(_ISSUE, (sha256.hex(), user, session, expires_ms))


def _redeem(tx: Transaction, sha256: Sequence[bytes]) -> list[tuple[str, str] | None]:
    names = [digest.hex() for digest in sha256]
    asked = orjson.dumps(names).decode()
    rows = orjson.loads(tx.db.execute(_FIND, (asked, tx.now_ms)).fetchone()[0])
    owners = {names[i]: (user, session) for i, user, session in rows}
    tx.db.execute(_USE, (asked,))
    return [owners.pop(name, None) for name in names]


def _add(tx: Transaction, kid: str, private_der: bytes, *, first: bool) -> None:
    tx.db.execute(_ADD, (kid, private_der, tx.now_ms, first))
