"""What the pump takes from: the pulling side of the data plane, nothing of its sending side."""

from typing import Protocol, TypeAlias

SendItem: TypeAlias = tuple[str, str, str, str, int | None, tuple[int, int, int]]
"""(room, user, cid, body, thread, (connection, id, received_us)): the fields of Post in order."""


class Inbox(Protocol):
    """Bounded queues filled by I/O threads; all methods return at once.

    Whoever puts something in rings `wake_fd`; the pump clears it before it looks into all three
    queues, so no ring is lost, and looks again on its own account when it left something behind.
    A queue that is not taken from fills up, and then the core stops reading the sockets behind it.
    """

    def wake_fd(self) -> int:
        """An eventfd (eventfd(2), non-blocking); it stays the same while the core lives."""
        ...

    def clear_wake(self) -> None:
        """Makes it unreadable; the core never does that by itself."""
        ...

    def take_sends(self, items_max: int, bytes_max: int) -> list[SendItem]:
        """Sends in order of receipt."""
        ...

    def take_asks(self, items_max: int) -> list[tuple[object, ...]]:
        """Asks that need a read or a mark, each headed by its kind (chatrooms.app.asks)."""
        ...

    def take_auths(self, items_max: int) -> list[tuple[object, ...]]:
        """`hello` and `auth`, each headed by its kind (chatrooms.app.asks)."""
        ...
