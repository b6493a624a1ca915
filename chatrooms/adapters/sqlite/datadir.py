"""The data directory beside the database: its lock, and the high-water mark of the log."""

import fcntl
import json
import os
from pathlib import Path
from typing import Final, NamedTuple

from chatrooms.adapters.sqlite.failures import StoreUnusable

LOCK: Final = "lock"
HIGH_WATER: Final = "high-water"


class HighWater(NamedTuple):
    """The largest log position known to be stored, and the epoch of that log."""

    epoch: str
    pos: int


class Lock:
    """`flock(2)` on DATA_DIR/lock; the kernel frees it with the process, kill -9 included."""

    def __init__(self, directory: Path, *, shared: bool) -> None:
        """Raises StoreUnusable when a node holds the directory."""
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = (directory / LOCK).open("a+", encoding="ascii")
        except OSError as error:
            raise StoreUnusable(
                f"The data directory {directory} cannot be used: {error.strerror}."
            ) from error
        try:
            fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(20).strip() or "unknown"
            self._file.close()
            raise StoreUnusable(
                f"The data directory {directory} is in use by another node (process {holder})."
            ) from error
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Frees the directory."""
        self._file.close()


def read_high_water(directory: Path) -> HighWater | None:
    """The mark, or None in a new directory. Raises StoreUnusable when it cannot be read."""
    path = directory / HIGH_WATER
    try:
        mark = json.loads(path.read_text(encoding="utf-8"))
        return HighWater(str(mark["epoch"]), int(mark["pos"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreUnusable(
            f"The file {path} cannot be read, so a rolled-back database would go unnoticed; start "
            "once with --accept-rollback to write it anew."
        ) from error


def write_high_water(directory: Path, mark: HighWater) -> None:
    """Replaces the mark atomically and durably; OSError when the disk says no."""
    path = directory / HIGH_WATER
    fresh = path.with_name(f"{HIGH_WATER}.{os.getpid()}")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(mark._asdict(), file)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
