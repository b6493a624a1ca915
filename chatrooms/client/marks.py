"""Read marks on their way to the server: at most one `read` a second a room, the last wins.

Pure; protocol.md rule 9. A mark that was on its way when the connection ended is sent again,
which is harmless because the server keeps the maximum.
"""

from collections.abc import Iterator

INTERVAL_S = 1.0


class ReadMarks:
    """Coalesces read marks per room."""

    def __init__(self) -> None:
        """Start with nothing to send."""
        self._wanted: dict[str, int] = {}
        self._stored: dict[str, int] = {}
        self._sent_at: dict[str, float] = {}

    def note(self, room: str, n: int) -> None:
        """The user has read up to message number `n`; a mark never goes back."""
        if n > max(self._stored.get(room, -1), self._wanted.get(room, -1)):
            self._wanted[room] = n

    def handle_stored(self, room: str, n: int) -> None:
        """The server has `n` (an answer, a `mark` of another device, or the state at `sub`)."""
        self._stored[room] = max(n, self._stored.get(room, -1))
        if self._wanted.get(room, -1) <= self._stored[room]:
            self._wanted.pop(room, None)

    def handle_refused(self, room: str) -> None:
        """The server will not have this mark: forget it."""
        self._wanted.pop(room, None)

    def handle_disconnected(self) -> None:
        """A new connection may send at once what the old one left unanswered."""
        self._sent_at.clear()

    def poll_ready(self, now: float, *, closing: bool = False) -> Iterator[tuple[str, int]]:
        """Yield (room, n) to send now; when `closing`, without waiting for the second to pass.

        A mark not yet answered is asked for again after the interval, no sooner.
        """
        for room, n in list(self._wanted.items()):
            if closing or now >= self._sent_at.get(room, now - INTERVAL_S) + INTERVAL_S:
                self._sent_at[room] = now
                yield room, n

    def poll_deadline(self) -> float | None:
        """Return when the next mark may be sent (s), or None when none waits."""
        dues = [self._sent_at[room] + INTERVAL_S for room in self._wanted if room in self._sent_at]
        return min(dues, default=None)
