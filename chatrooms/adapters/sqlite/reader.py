"""A small pool of threads that read, each with its own connection in a snapshot of its own.

Bound: READS_WAITING_MAX reads run or wait, else `overloaded`.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from chatrooms.adapters.sqlite.failures import RETRY_AFTER_MS, as_refusal
from chatrooms.adapters.sqlite.schema import connect
from chatrooms.domain.errors import Code, Refusal

T = TypeVar("T")
THREADS: Final = 2
READS_WAITING_MAX: Final = 1_024


class Reader:
    """Runs reads off the event loop; a read sees every commit told before it began."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="store-reader")
        self._waiting = 0

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `query`; Refusal `unavailable` when the file cannot be read."""
        if self._waiting >= READS_WAITING_MAX:
            raise Refusal(Code.OVERLOADED, "the store is busy", retry_after_ms=RETRY_AFTER_MS)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, query)
        except sqlite3.Error as error:
            raise as_refusal(error) from error
        except RuntimeError as error:
            raise Refusal(
                Code.UNAVAILABLE, "the store is closed", retry_after_ms=RETRY_AFTER_MS
            ) from error
        finally:
            self._waiting -= 1

    async def row(self, sql: str, parameters: tuple[Any, ...]) -> Any:  # noqa: ANN401 -- a row's shape is the query's
        """The first row of a query, or None."""
        return await self.read(lambda db: db.execute(sql, parameters).fetchone())

    async def close(self) -> None:
        """Waits for running reads and closes the connections."""
        await asyncio.to_thread(self._pool.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = connect(self._path, read_only=True)
            self._connections.append(connection)
            self._own.connection = connection
        return query(connection)
