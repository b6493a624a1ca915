"""The clock port over the machine's clocks."""

import time


class SystemClock:
    """Wall time from CLOCK_REALTIME, monotonic time from CLOCK_MONOTONIC."""

    def now_ms(self) -> int:
        """As the port says."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """As the port says."""
        return time.monotonic()
