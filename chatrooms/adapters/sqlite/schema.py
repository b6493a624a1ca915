"""Tables, their versions, and the checks before a database is used."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from chatrooms.adapters.sqlite.failures import StoreUnusable
from chatrooms.domain.ids import sortable_id

DATABASE: Final = "chat.db"
APPLICATION_ID: Final = 0x63686174  # "chat" in `file chat.db` and `PRAGMA application_id`
BUSY_TIMEOUT_MS: Final = 1_500
SQLITE_MIN: Final = (3, 38, 0)  # the first with ->>; RETURNING and STRICT are older
QUICK_CHECK_BYTES_MAX: Final = 256 * 1024 * 1024

# `rooms` also heads the private logs (kind "me"). Events name rooms by number: the index over
# (room, seq) is half the size and dirties fewer pages a commit. They have no foreign key, which
# would cost a lookup a row; the append has just read the room. The index for dedupe begins with the
# cid because time-ordered cids (UUIDv7) then go to its end.
_VERSION_1: Final = (
    """CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE rooms (
        num INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL CHECK (kind IN ('public', 'private', 'direct', 'me')),
        name TEXT,
        pair TEXT UNIQUE,
        created_ms INTEGER NOT NULL,
        head INTEGER NOT NULL DEFAULT 0,
        n INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    "CREATE INDEX rooms_public ON rooms (id) WHERE kind = 'public'",
    """CREATE TABLE events (
        pos INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        n INTEGER,
        sender TEXT,
        cid TEXT,
        line TEXT NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX events_seq ON events (room, seq)",
    "CREATE UNIQUE INDEX events_cid ON events (cid, room, sender) WHERE cid IS NOT NULL",
    """CREATE TABLE members (
        room INTEGER NOT NULL REFERENCES rooms,
        user TEXT NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('owner', 'moderator', 'member')),
        joined INTEGER NOT NULL,
        read INTEGER NOT NULL,
        PRIMARY KEY (room, user)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX members_user ON members (user, room)",
    """CREATE TABLE bans (
        room INTEGER NOT NULL REFERENCES rooms,
        user TEXT NOT NULL,
        actor TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        PRIMARY KEY (room, user)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE invitations (
        room INTEGER NOT NULL REFERENCES rooms,
        user TEXT NOT NULL,
        actor TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        PRIMARY KEY (room, user)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX invitations_user ON invitations (user, room)",
    """CREATE TABLE accounts (
        id TEXT PRIMARY KEY,
        username TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL,
        password_hash TEXT,
        created_ms INTEGER NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    """CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        user TEXT NOT NULL,
        client TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL,
        ended_ms INTEGER,
        expires_ms INTEGER
    ) STRICT""",
    "CREATE INDEX sessions_user ON sessions (user) WHERE ended_ms IS NULL",
    """CREATE TABLE refresh_tokens (
        sha256 BLOB PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions,
        expires_ms INTEGER NOT NULL,
        rotated_ms INTEGER,
        sealed TEXT
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX refresh_tokens_session ON refresh_tokens (session)",
    """CREATE TABLE tickets (
        sha256 TEXT PRIMARY KEY,
        user TEXT NOT NULL,
        session TEXT NOT NULL,
        expires_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX tickets_expiry ON tickets (expires_ms)",
    """CREATE TABLE signing_keys (
        kid TEXT PRIMARY KEY,
        private_der BLOB NOT NULL,
        created_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
)

# One tuple of statements a version; what has been released is never edited, only added to.
MIGRATIONS: Final = (_VERSION_1,)


def connect(
    path: Path, *, synchronous: str = "FULL", read_only: bool = False
) -> sqlite3.Connection:
    """A connection in autocommit mode with the settings that every connection shares."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        cached_statements=256,
        timeout=BUSY_TIMEOUT_MS / 1000,
        check_same_thread=not read_only,  # a reader is closed by another thread than its own
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    # A reader leans on the page cache of the system: what it keeps itself counts once a thread.
    cache_kib = 2_048 if read_only else 32_768
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def prepare(path: Path, now_ms: int) -> str:
    """Makes or migrates the database and checks that it is whole; answers its epoch.

    Raises StoreUnusable when the file is damaged, newer than this program, or not ours.
    """
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        raise StoreUnusable(
            f"The database {path} needs SQLite {'.'.join(map(str, SQLITE_MIN))} or newer; this "
            f"Python has {sqlite3.sqlite_version}."
        )
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = connect(path)
        try:
            _check_owner(connection, path)
            _check_integrity(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            _migrate(connection, now_ms)
            row = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise StoreUnusable(f"The database {path} cannot be opened: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise StoreUnusable(
            f"The database {path} is damaged or not a database ({error}); restore a backup."
        ) from error
    except OSError as error:
        raise StoreUnusable(f"The database {path} cannot be opened: {error.strerror}.") from error
    if row is None:
        raise StoreUnusable(f"The database {path} is damaged (no epoch); restore a backup.")
    return str(row[0])


def draw_epoch(path: Path, now_ms: int) -> str:
    """Gives the database a new epoch, so that clients drop what they remember of the old log."""
    epoch = sortable_id(now_ms, os.urandom(7))
    connection = connect(path)
    try:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (epoch,))
    finally:
        connection.close()
    return epoch


def _check_owner(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise StoreUnusable(f"The database {path} belongs to another program.")
    if version > len(MIGRATIONS):
        raise StoreUnusable(
            f"The database {path} was written by a newer chatrooms (schema {version}, this one "
            f"knows {len(MIGRATIONS)}); upgrade chatrooms or restore a backup."
        )


def _check_integrity(connection: sqlite3.Connection, path: Path) -> None:
    """Checks every page of a small database; of a big one all but the events (`verify` does)."""
    if path.stat().st_size <= QUICK_CHECK_BYTES_MAX:
        checks = ["PRAGMA quick_check(1)"]
    else:
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'events'"
        )
        checks = [f"PRAGMA quick_check('{name}')" for (name,) in names]
    for check in checks:
        finding = connection.execute(check).fetchone()[0]
        if finding != "ok":
            raise StoreUnusable(
                f"The database {path} is damaged ({' '.join(finding.split())}); restore a backup."
            )


def _migrate(connection: sqlite3.Connection, now_ms: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if version == 0:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(
            "INSERT INTO meta VALUES ('epoch', ?)", (sortable_id(now_ms, os.urandom(7)),)
        )
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")
