"""The SQLite store: one data directory, opened, served and closed."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

from chatrooms.adapters.sqlite.accounts import SqliteAccounts
from chatrooms.adapters.sqlite.credentials import SqliteSigningKeys, SqliteTickets
from chatrooms.adapters.sqlite.datadir import (
    HIGH_WATER,
    HighWater,
    Lock,
    read_high_water,
    write_high_water,
)
from chatrooms.adapters.sqlite.failpoints import Failpoints
from chatrooms.adapters.sqlite.failures import StoreUnusable
from chatrooms.adapters.sqlite.housekeeping import Housekeeping
from chatrooms.adapters.sqlite.log import SqliteLog
from chatrooms.adapters.sqlite.positions import SqliteMarks, SqlitePositions
from chatrooms.adapters.sqlite.reader import Reader
from chatrooms.adapters.sqlite.rooms import SqliteRooms
from chatrooms.adapters.sqlite.schema import DATABASE, connect, draw_epoch, prepare
from chatrooms.adapters.sqlite.sessions import SqliteSessions
from chatrooms.adapters.sqlite.transaction import Transaction
from chatrooms.adapters.sqlite.writer import Writer

Synchronous: TypeAlias = Literal["FULL", "NORMAL"]
PING_SECONDS: Final = 1.0
_PING: Final = """
    INSERT INTO meta VALUES ('pinged', ?) ON CONFLICT DO UPDATE SET value = excluded.value"""


def now_ms() -> int:
    """Wall time in ms since 1970."""
    return time.time_ns() // 1_000_000


class SqliteStore:
    """Implements every port of the store over DATA_DIR/chat.db; made by `open_store`."""

    def __init__(
        self,
        path: Path,
        epoch: str,
        lock: Lock,
        mark: HighWater | None,
        *,
        synchronous: Synchronous,
        failpoints: Mapping[str, tuple[str, int]],
        clock: Callable[[], int],
    ) -> None:
        self._lock = lock
        self._writer = Writer(
            path, synchronous=synchronous, now_ms=clock, failpoints=Failpoints(failpoints)
        )
        self._reader = Reader(path)
        self._housekeeping = Housekeeping(path, epoch, self._writer, mark)
        self._closed = False
        self.log: Final = SqliteLog(self._writer, self._reader, epoch)
        self.rooms: Final = SqliteRooms(self._writer, self._reader)
        self.positions: Final = SqlitePositions(self._reader)
        self.marks: Final = SqliteMarks(self._writer)
        self.accounts: Final = SqliteAccounts(self._writer, self._reader)
        self.sessions: Final = SqliteSessions(self._writer, self._reader)
        self.tickets: Final = SqliteTickets(self._writer)
        self.keys: Final = SqliteSigningKeys(self._writer, self._reader)

    async def start(self) -> None:
        """Starts the threads; commits are told on the running loop."""
        self._writer.start()
        self._housekeeping.start()

    async def close(self) -> None:
        """Writes what waits, ends the threads and frees the data directory; idempotent."""
        if self._closed:
            return
        self._closed = True
        await self._writer.close()
        await self._reader.close()
        await asyncio.to_thread(self._housekeeping.close)
        self._lock.release()

    async def ping(self) -> None:
        """Proves that the store can write, by a commit of the last second or one of its own.

        Raises Refusal `unavailable` or `overloaded`.
        """
        if time.monotonic() - self._writer.committed_at > PING_SECONDS:
            await self._writer.change(_ping)


def open_store(
    directory: Path,
    *,
    synchronous: Synchronous = "FULL",
    accept_rollback: bool = False,
    shared: bool = False,
    failpoints: Mapping[str, tuple[str, int]] | None = None,
    clock: Callable[[], int] = now_ms,
) -> SqliteStore:
    """Locks the data directory, makes, migrates and checks its database; blocks meanwhile.

    `synchronous`: FULL syncs each commit; NORMAL may lose acked messages with the power (tests).
    `accept_rollback`: serves a database older than DATA_DIR/high-water, under a new epoch.
    `shared`: several processes may hold the directory. `failpoints`: see failpoints.py.
    Raises StoreUnusable.
    """
    lock = Lock(directory, shared=shared)
    try:
        path = directory / DATABASE
        epoch, mark = _admit(directory, path, clock(), accept_rollback=accept_rollback)
    except BaseException:
        lock.release()
        raise
    return SqliteStore(
        path,
        epoch,
        lock,
        mark,
        synchronous=synchronous,
        failpoints=failpoints or {},
        clock=clock,
    )


def _admit(
    directory: Path, path: Path, now: int, *, accept_rollback: bool
) -> tuple[str, HighWater | None]:
    """The epoch to serve, after the database was held against the high-water mark."""
    epoch = prepare(path, now)
    connection = connect(path)
    try:
        pos = connection.execute("SELECT coalesce(max(pos), 0) FROM events").fetchone()[0]
    finally:
        connection.close()
    try:
        mark = read_high_water(directory)
        behind = mark is not None and pos < mark.pos
    except StoreUnusable:
        if not accept_rollback:
            raise
        mark, behind = None, True
    if behind and not accept_rollback:
        raise StoreUnusable(
            f"The database {path} ends at position {pos}, but {HIGH_WATER} says that "
            f"{mark.pos if mark else 0} was stored: messages are missing; restore the newest "
            "backup, or start once with --accept-rollback to go on without them."
        )
    if behind:
        epoch = draw_epoch(path, now)
        mark = HighWater(epoch, pos)
        try:
            write_high_water(directory, mark)
        except OSError as error:
            raise StoreUnusable(
                f"The file {directory / HIGH_WATER} cannot be written: {error.strerror}."
            ) from error
    return epoch, mark


def _ping(tx: Transaction) -> None:
    tx.db.execute(_PING, (str(tx.now_ms),))
