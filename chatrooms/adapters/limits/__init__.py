"""The limits ports in the memory of one node; a bus-backed pair comes with the cluster."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from chatrooms.domain.rate import FailureTable, Rate, RateTable, Spent
from chatrooms.ports.clock import Clock

LOGIN_FAILURES_MAX: Final = 10
LOGIN_WINDOW_SECONDS: Final = 900.0
KEYS_MAX: Final = 100_000

# Requests a second, then the burst. `address` is for everybody, `login` for what costs a hash.
REQUEST_RATES: Final[Mapping[str, Rate]] = {
    "address": Rate(200.0, 1000),
    "login": Rate(50.0, 300),
    "user": Rate(100.0, 300),
    "post_user": Rate(100.0, 200),
    "post_room": Rate(500.0, 1000),
}


@dataclass(slots=True)
class _Gate:
    """Attempts under way for one account; `moved` is set, and replaced, when one has ended."""

    under_way: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)


class NodeLoginFailures:
    """Ten failures an account in 15 minutes, for the 100,000 names that failed last."""

    def __init__(
        self,
        clock: Clock,
        failures_max: int = LOGIN_FAILURES_MAX,
        window_seconds: float = LOGIN_WINDOW_SECONDS,
    ) -> None:
        self._clock = clock
        self._table = FailureTable(failures_max, window_seconds, KEYS_MAX)
        self._gates: dict[str, _Gate] = {}

    async def begin(self, account: str) -> int | None:
        """As the port says."""
        while True:
            now = self._clock.monotonic()
            closed_for = self._table.closed_for(account, now)
            if closed_for is not None:
                return int(closed_for * 1000) + 1
            gate = self._gates.setdefault(account, _Gate())
            if self._table.count(account, now) + gate.under_way < self._table.failures_max:
                gate.under_way += 1
                return None
            await gate.moved.wait()

    async def end(self, account: str, *, failed: bool) -> None:
        """As the port says."""
        if failed:
            self._table.fail(account, self._clock.monotonic())
        gate = self._gates[account]
        gate.under_way -= 1
        gate.moved.set()
        gate.moved = asyncio.Event()
        if gate.under_way == 0:
            del self._gates[account]


class NodeRequestRates:
    """One GCRA table a bucket."""

    def __init__(self, clock: Clock, rates: Mapping[str, Rate] = REQUEST_RATES) -> None:
        self._clock = clock
        self._tables = {bucket: RateTable(rate, KEYS_MAX) for bucket, rate in rates.items()}

    def rate(self, bucket: str) -> Rate:
        """As the port says."""
        return self._tables[bucket].rate

    async def spend(self, bucket: str, key: str) -> Spent:
        """As the port says."""
        return self._tables[bucket].spend(key, self._clock.monotonic())
