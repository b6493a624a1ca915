"""Parts of a transaction that fail alone."""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from chatrooms.adapters.sqlite.failures import unavailable
from chatrooms.adapters.sqlite.transaction import Transaction

T = TypeVar("T")


def within_savepoint(tx: Transaction, part: Callable[[], T]) -> T:
    """Runs `part`; what it wrote, events included, is undone when it raises."""
    events = len(tx.written)
    tx.db.execute("SAVEPOINT part")
    try:
        result = part()
    except BaseException:
        del tx.written[events:]
        if tx.db.in_transaction:  # SQLite itself rolls all back when the disk is full
            tx.db.execute("ROLLBACK TO part")
            tx.db.execute("RELEASE part")
        raise
    tx.db.execute("RELEASE part")
    return result


def reraise_io(error: Exception) -> None:
    """Lets a failure of disk, file or lock end the whole transaction."""
    if isinstance(error, sqlite3.Error) and unavailable(error) is not None:
        raise error
