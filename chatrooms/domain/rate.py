"""Rates with time as an argument: GCRA per key, and a window of failures per key.

GCRA is the virtual scheduling algorithm of ITU-T I.371 annex A: one number a key, the
theoretical arrival time; no timer, no refill.
"""

from collections import OrderedDict, deque
from typing import NamedTuple


class Rate(NamedTuple):
    """`per_second` events in the long run, at most `burst` at once."""

    per_second: float
    burst: int


class Spent(NamedTuple):
    """What one event came to; times in seconds from now.

    `remaining` events may follow at once; `retry_after` is 0 where allowed; after `reset` the
    whole burst is there again.
    """

    allowed: bool
    remaining: int
    retry_after: float
    reset: float


class RateTable:
    """One GCRA per key for at most `keys_max` keys; the least recently used key is forgotten."""

    def __init__(self, rate: Rate, keys_max: int) -> None:
        self.rate = rate
        self._keys_max = keys_max
        self._interval = 1.0 / rate.per_second
        self._tolerance = self._interval * rate.burst
        self._arrivals: OrderedDict[str, float] = OrderedDict()

    def spend(self, key: str, now: float) -> Spent:
        """Counts one event of `key` at `now` (monotonic seconds); a refused one costs nothing."""
        arrival = max(self._arrivals.get(key, now), now)
        ahead = arrival + self._interval - now
        # A billionth of an interval, so that rounding never refuses the last of a burst.
        if ahead > self._tolerance + self._interval * 1e-9:
            self._arrivals.move_to_end(key)
            return Spent(False, 0, ahead - self._tolerance, arrival - now)
        self._arrivals[key] = arrival + self._interval
        self._arrivals.move_to_end(key)
        if len(self._arrivals) > self._keys_max:
            self._arrivals.popitem(last=False)
        left = int((self._tolerance - ahead) / self._interval + 1e-9)
        return Spent(True, left, 0.0, ahead)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._arrivals)


class FailureTable:
    """At most `failures_max` failures a key within `window_seconds`, for `keys_max` keys."""

    def __init__(self, failures_max: int, window_seconds: float, keys_max: int) -> None:
        self.failures_max = failures_max
        self._window_seconds = window_seconds
        self._keys_max = keys_max
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, key: str, now: float) -> int:
        """Failures of `key` that are still within the window at `now` (monotonic seconds)."""
        times = self._times.get(key)
        if times is None:
            return 0
        while times and times[0] + self._window_seconds <= now:
            times.popleft()
        if not times:
            del self._times[key]
        return len(times)

    def closed_for(self, key: str, now: float) -> float | None:
        """Seconds until one more failure fits into the window; None when it does now."""
        if self.count(key, now) < self.failures_max:
            return None
        return self._times[key][0] + self._window_seconds - now

    def fail(self, key: str, now: float) -> None:
        """Counts a failure; the key that failed least recently is forgotten when full."""
        self._times.setdefault(key, deque(maxlen=self.failures_max)).append(now)
        self._times.move_to_end(key)
        if len(self._times) > self._keys_max:
            self._times.popitem(last=False)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._times)
