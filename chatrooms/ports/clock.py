"""Time as the application asks for it."""

from typing import Protocol


class Clock(Protocol):
    """Wall time for people and tokens, monotonic time for limits and timeouts."""

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...
