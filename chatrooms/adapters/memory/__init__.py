"""The store in memory: for tests, and the model that other stores are held against."""

from chatrooms.adapters.memory.store import MemoryStore

__all__ = ["MemoryStore"]
