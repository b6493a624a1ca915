"""A real eventfd over plain lists: the inbox of the core without sockets behind it."""

import contextlib
import os
from collections import deque

from chatrooms.ingress.inbox import SendItem


class FakeInbox:
    """Rings when something is put in; the taking side clears, as with the core."""

    def __init__(self) -> None:
        self.sends: deque[SendItem] = deque()
        self.asks: deque[tuple[object, ...]] = deque()
        self.auths: deque[tuple[object, ...]] = deque()
        self.looks = 0
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def wake_fd(self) -> int:
        """The eventfd."""
        return self._fd

    def clear_wake(self) -> None:
        """Reads the eventfd."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._fd)

    def close(self) -> None:
        """Frees the eventfd."""
        os.close(self._fd)

    def ring(self) -> None:
        """Wakes the loop, as an I/O thread does when it has put something in."""
        os.eventfd_write(self._fd, 1)

    def send(self, number: int, room: str = "r", cid: str | None = None) -> None:
        """Puts in a `send` with id `number` of connection 7."""
        body = f'{{"text":"{number}"}}'
        self.sends.append((room, "ada", cid or f"c{number}", body, None, (7, number, 1)))
        self.ring()

    def ask(self, *fields: object) -> None:
        """Puts in an ask, headed by its kind."""
        self.asks.append(fields)
        self.ring()

    def auth(self, *fields: object) -> None:
        """Puts in a `hello` or `auth`, headed by its kind."""
        self.auths.append(fields)
        self.ring()

    def take_sends(self, items_max: int, bytes_max: int) -> list[SendItem]:
        """As the protocol says; sizes are not looked at here."""
        assert bytes_max > 0
        self.looks += 1
        return [self.sends.popleft() for _ in range(min(items_max, len(self.sends)))]

    def take_asks(self, items_max: int) -> list[tuple[object, ...]]:
        """As the protocol says."""
        self.looks += 1
        return [self.asks.popleft() for _ in range(min(items_max, len(self.asks)))]

    def take_auths(self, items_max: int) -> list[tuple[object, ...]]:
        """As the protocol says."""
        self.looks += 1
        return [self.auths.popleft() for _ in range(min(items_max, len(self.auths)))]
