"""The Accounts port."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import orjson

from chatrooms.adapters.sqlite.reader import Reader
from chatrooms.adapters.sqlite.records import fresh_id
from chatrooms.adapters.sqlite.transaction import Transaction
from chatrooms.adapters.sqlite.writer import Writer
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.accounts import Account

ENSURED_AT_ONCE: Final = 1_000

_COLUMNS: Final = "id, username, display_name, password_hash, created_ms, disabled"
_CREATE: Final = """
    INSERT INTO accounts (id, username, display_name, password_hash, created_ms)
    VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"""
_ENSURE: Final = """
    INSERT INTO accounts (id, username, display_name, created_ms)
    SELECT value ->> 0, value ->> 1, value ->> 1, ?2 FROM json_each(?1) WHERE true
    ON CONFLICT DO NOTHING"""
_BY_NAMES: Final = f"""
    SELECT json_group_array(json_array({_COLUMNS}))
    FROM accounts WHERE username IN (SELECT value FROM json_each(?))"""  # noqa: S608 -- constant
_WITH_PREFIX: Final = f"""
    SELECT json_group_array(json(account)) FROM (
        SELECT json_array({_COLUMNS}) AS account FROM accounts
        WHERE username >= ?1 AND username < ?2 AND username > ?3
        ORDER BY username LIMIT ?4)"""  # noqa: S608 -- constant
_BY_ID: Final = f"SELECT {_COLUMNS} FROM accounts WHERE id = ?"  # noqa: S608 -- constant
_BY_NAME: Final = f"SELECT {_COLUMNS} FROM accounts WHERE username = ?"  # noqa: S608 -- constant
_REHASH: Final = "UPDATE accounts SET password_hash = ? WHERE id = ?"
_SHARE: Final = """
    SELECT EXISTS (SELECT 1 FROM members a JOIN members b ON b.room = a.room AND b.user = ?2
                   WHERE a.user = ?1)"""
_PAST_ASCII: Final = "\x7f"  # sorts behind every character a username may have


class SqliteAccounts:
    """Implements chatrooms.ports.accounts.Accounts."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def create(self, username: str, display_name: str, password_hash: str | None) -> Account:
        """A new account."""
        return await self._writer.change(
            lambda tx: _create(tx, username, display_name, password_hash)
        )

    async def ensure(self, usernames: Sequence[str]) -> list[Account]:
        """The accounts of these names, ENSURED_AT_ONCE a transaction."""
        accounts: list[Account] = []
        for start in range(0, len(usernames), ENSURED_AT_ONCE):
            chunk = usernames[start : start + ENSURED_AT_ONCE]
            accounts += await self._writer.change(partial(_ensure, usernames=chunk))
        return accounts

    async def by_id(self, user: str) -> Account | None:
        """The account of an id."""
        return _account(await self._reader.row(_BY_ID, (user,)))

    async def by_username(self, username: str) -> Account | None:
        """The account of a name."""
        return _account(await self._reader.row(_BY_NAME, (username,)))

    async def with_prefix(self, prefix: str, limit: int, after: str | None) -> list[Account]:
        """Accounts by name."""
        (rows,) = await self._reader.row(
            _WITH_PREFIX, (prefix, prefix + _PAST_ASCII, after or "", limit)
        )
        return _accounts(rows)

    async def rehash(self, user: str, password_hash: str) -> None:
        """Replaces a hash."""
        await self._writer.change(lambda tx: _rehash(tx, user, password_hash))

    async def share_room(self, user: str, other: str) -> bool:
        """Whether two people meet in some room."""
        return bool((await self._reader.row(_SHARE, (user, other)))[0])


def _create(
    tx: Transaction, username: str, display_name: str, password_hash: str | None
) -> Account:
    user = fresh_id(tx.now_ms)
    row = tx.db.execute(
        _CREATE, (user, username, display_name, password_hash, tx.now_ms)
    ).fetchone()
    if row is None:
        raise Refusal(Code.CONFLICT, "this username is taken", field="username")
    return Account(user, username, display_name, password_hash, tx.now_ms, disabled=False)


def _ensure(tx: Transaction, usernames: Sequence[str]) -> list[Account]:
    fresh = orjson.dumps([(fresh_id(tx.now_ms), name) for name in usernames]).decode()
    tx.db.execute(_ENSURE, (fresh, tx.now_ms))
    asked = orjson.dumps(list(usernames)).decode()
    found = {
        account.username: account
        for account in _accounts(tx.db.execute(_BY_NAMES, (asked,)).fetchone()[0])
    }
    return [found[name] for name in usernames]


def _rehash(tx: Transaction, user: str, password_hash: str) -> None:
    tx.db.execute(_REHASH, (password_hash, user))


def _account(row: tuple[Any, ...] | None) -> Account | None:
    if row is None:
        return None
    user, username, display_name, password_hash, created_ms, disabled = row
    return Account(user, username, display_name, password_hash, created_ms, bool(disabled))


def _accounts(rows: str) -> list[Account]:
    return [account for row in orjson.loads(rows) if (account := _account(row))]
