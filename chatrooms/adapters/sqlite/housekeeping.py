"""A thread beside the writer: checkpoints that hold nobody up, and the high-water mark."""

import logging
import sqlite3
import threading
import time
from pathlib import Path
from typing import Final

from chatrooms.adapters.sqlite.datadir import HighWater, write_high_water
from chatrooms.adapters.sqlite.schema import connect
from chatrooms.adapters.sqlite.writer import Writer

TICK_SECONDS: Final = 0.25
HIGH_WATER_SECONDS: Final = 1.0
CHECKPOINT_SECONDS: Final = 30.0
CHECKPOINT_COMMITS: Final = 1_000
WAL_PAGES_MAX: Final = 16_384  # 64 MiB; beyond it the writer pauses to let the WAL start over

_log = logging.getLogger(__name__)


class Housekeeping:
    """Has its own connection; whatever fails here is logged and tried again at the next tick."""

    def __init__(self, path: Path, epoch: str, writer: Writer, written: HighWater | None) -> None:
        self._path = path
        self._epoch = epoch
        self._writer = writer
        self._written = written
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-housekeeping", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread after a last checkpoint and mark; blocks until then."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        db = connect(self._path)
        commits = 0
        marked_at = checkpointed_at = time.monotonic()
        stopping = False
        while not stopping:
            stopping = self._stop.wait(TICK_SECONDS)
            now = time.monotonic()
            waiting = self._writer.commits - commits
            try:
                if stopping or now - marked_at >= HIGH_WATER_SECONDS:
                    marked_at = now
                    self._mark(db)
                if waiting and (
                    stopping
                    or waiting >= CHECKPOINT_COMMITS
                    or now - checkpointed_at >= CHECKPOINT_SECONDS
                ):
                    commits, checkpointed_at = commits + waiting, now
                    self._checkpoint(db)
            except (sqlite3.Error, OSError) as error:
                _log.warning("housekeeping of the store failed: %s", error)
        db.close()

    def _checkpoint(self, db: sqlite3.Connection) -> None:
        _, pages, done = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._writer.checkpoint_due = pages > WAL_PAGES_MAX and done < pages

    def _mark(self, db: sqlite3.Connection) -> None:
        pos = db.execute("SELECT coalesce(max(pos), 0) FROM events").fetchone()[0]
        mark = HighWater(self._epoch, pos)
        if mark != self._written:
            write_high_water(self._path.parent, mark)
            self._written = mark
