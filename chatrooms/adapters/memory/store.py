"""The memory store: every port of the store over one state that ends with the process."""

from collections.abc import Callable
from typing import Final

from chatrooms.adapters.memory.log import MemoryLog, MemoryMarks, MemoryPositions
from chatrooms.adapters.memory.people import (
    MemoryAccounts,
    MemorySessions,
    MemorySigningKeys,
    MemoryTickets,
)
from chatrooms.adapters.memory.rooms import MemoryRooms
from chatrooms.adapters.memory.world import World


class MemoryStore:
    """As SqliteStore, without a file; `clock` gives ms since 1970."""

    def __init__(self, clock: Callable[[], int] | None = None) -> None:
        world = World(clock)
        self.log: Final = MemoryLog(world)
        self.rooms: Final = MemoryRooms(world)
        self.positions: Final = MemoryPositions(world)
        self.marks: Final = MemoryMarks(world)
        self.accounts: Final = MemoryAccounts(world)
        self.sessions: Final = MemorySessions(world)
        self.tickets: Final = MemoryTickets(world)
        self.keys: Final = MemorySigningKeys(world)

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to close."""

    async def ping(self) -> None:
        """Memory always answers."""
