"""What can go wrong with the file, as the operator and as callers are told."""

import sqlite3
from typing import Final

from chatrooms.domain.errors import Code, Refusal

RETRY_AFTER_MS: Final = 1_000

# Primary result codes (https://sqlite.org/rescode.html) that blame disk, file or another process,
# never the row: retrying with fewer rows is pointless, retrying later is not.
_IO: Final[dict[int, str]] = {
    sqlite3.SQLITE_BUSY: "another process holds the database",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk fails",
    sqlite3.SQLITE_LOCKED: "another process holds the database",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_NOTADB: "the file is not a database",
    sqlite3.SQLITE_PERM: "the database file may not be written",
    sqlite3.SQLITE_PROTOCOL: "another process holds the database",
    sqlite3.SQLITE_READONLY: "the database file is read-only",
}


class StoreUnusable(Exception):  # noqa: N818 -- read by an operator as the sentence it carries
    """The data directory cannot be served; the text is one sentence on why and what to do."""


def unavailable(error: sqlite3.Error) -> Refusal | None:
    """The refusal for a failure of disk, file or lock; None when the statement is to blame."""
    reason = _IO.get((getattr(error, "sqlite_errorcode", None) or 0) & 0xFF)
    if reason is None:
        return None
    return Refusal(
        Code.UNAVAILABLE, f"the store cannot be used now: {reason}", retry_after_ms=RETRY_AFTER_MS
    )


def as_refusal(error: Exception) -> Refusal:
    """Any failure of a job as what its caller is told."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, sqlite3.Error):
        why = unavailable(error)
        if why is not None:
            return why
    return Refusal(Code.INTERNAL, "the store could not do this")
