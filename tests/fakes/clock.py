"""A clock that stands until a test moves it."""


class ManualClock:
    """Implements the Clock port; starts at a fixed wall time."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = now_ms
        self._begun_ms = now_ms

    def now_ms(self) -> int:
        """Wall time."""
        return self._now_ms

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return (self._now_ms - self._begun_ms) / 1000

    def pass_seconds(self, seconds: float) -> None:
        """Lets time pass."""
        self._now_ms += round(seconds * 1000)
