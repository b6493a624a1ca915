"""Passwords and access tokens."""

from typing import NamedTuple, Protocol


class Claims(NamedTuple):
    """What a good access token says."""

    user: str
    session: str
    expires_ms: int


class Passwords(Protocol):
    """argon2id (RFC 9106) in a bounded pool; `overloaded` when its queue is full."""

    async def hash(self, password: str) -> str:
        """The encoded hash."""
        ...

    async def verify(self, password: str, password_hash: str | None) -> tuple[bool, bool]:
        """(right, worth rehashing); None takes as long as a real one and is wrong."""
        ...


class Tokens(Protocol):
    """Access tokens: JWT (RFC 7519), alg Ed25519, `kid`, iss, aud, sub, sid, iat, exp."""

    def issue(
        self,
        user: str,
        session: str,
        ttl_seconds: int,
        *,
        issued_ms: int | None = None,
        token_id: str | None = None,
    ) -> str:
        """A signed token; a negative `ttl_seconds` makes an expired one.

        The same `issued_ms` (default now) and `token_id` (`jti`, default random) give the same
        token again, which the grace time of a refresh needs.
        """
        ...

    def verify(self, token: str) -> Claims:
        """Raises Refusal `token_expired` for one that is good but old, else `unauthorized`."""
        ...
