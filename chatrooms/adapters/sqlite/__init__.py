"""The store on SQLite: one file, one writer thread, group commits, reads beside them."""

from chatrooms.adapters.sqlite.failures import StoreUnusable
from chatrooms.adapters.sqlite.store import SqliteStore, open_store
from chatrooms.adapters.sqlite.store import open_store as open  # noqa: A004 -- sqlite.open(...)

__all__ = ["SqliteStore", "StoreUnusable", "open", "open_store"]
