"""How often somebody may try: kept per node today, shared by nodes when a bus is configured."""

from typing import Protocol

from chatrooms.domain.rate import Rate, Spent


class LoginFailures(Protocol):
    """Failed logins per account name, existing or not, within a sliding window."""

    async def begin(self, account: str) -> int | None:
        """Counts an attempt as failed until forgiven; ms to wait when there were too many."""
        ...

    async def forgive(self, account: str) -> None:
        """Takes back the latest attempt: the password was right, or was never judged."""
        ...


class RequestRates(Protocol):
    """GCRA buckets by name (`address`, `user`, `login` …) and key; memory is bounded."""

    def rate(self, bucket: str) -> Rate:
        """The rate of a bucket, for the RateLimit-Policy field."""
        ...

    async def spend(self, bucket: str, key: str) -> Spent:
        """Counts one event of `key` now."""
        ...
