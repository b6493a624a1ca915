"""How often somebody may try: kept per node today, shared by nodes when a bus is configured."""

from typing import Protocol

from chatrooms.domain.rate import Rate, Spent


class LoginFailures(Protocol):
    """Failed logins per account name, existing or not, within a sliding window.

    Attempts under way count as if they failed, so that parallel guesses are no way round; they
    delay others instead of refusing them. Every `begin` that gave None is followed by `end`.
    """

    async def begin(self, account: str) -> int | None:
        """None to go on, perhaps after others have ended; ms to wait after too many failures."""
        ...

    async def end(self, account: str, *, failed: bool) -> None:
        """The password was wrong; or it was right, or never judged."""
        ...


class RequestRates(Protocol):
    """GCRA buckets by name (`address`, `user`, `login` …) and key; memory is bounded."""

    def rate(self, bucket: str) -> Rate:
        """The rate of a bucket, for the RateLimit-Policy field."""
        ...

    async def spend(self, bucket: str, key: str) -> Spent:
        """Counts one event of `key` now."""
        ...
