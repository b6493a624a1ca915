"""Sessions: a login on a device, its refresh tokens, and its end."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Session(NamedTuple):
    """A login; `ended_ms` None while it lives."""

    id: str
    user: str
    client: str
    created_ms: int
    seen_ms: int
    ended_ms: int | None


class Rotation(NamedTuple):
    """What presenting a refresh token came to.

    `verdict`: "rotated" (the new token counts now), "grace" (the old one was rotated less than 10 s
    ago: `successor` is the sealed pair that was given then), "reused" (an older one: the session
    was ended by this call), "unknown" (never issued, expired, or its session has ended).
    """

    verdict: str
    session: Session | None
    successor: str | None


class Sessions(Protocol):
    """Tokens are stored as SHA-256 only; each method is atomic."""

    async def start(
        self, user: str, client: str, refresh_sha256: bytes | None, refresh_expires_ms: int
    ) -> Session:
        """A new session; no refresh token for those of the CLI."""
        ...

    async def start_many(self, users: Sequence[str], client: str) -> list[Session]:
        """As `start` without refresh tokens, in few transactions, for load tests."""
        ...

    async def rotate(
        self, old_sha256: bytes, new_sha256: bytes, sealed: str, expires_ms: int, grace_ms: int
    ) -> Rotation:
        """Exchanges a refresh token; 20 parallel calls make one successor."""
        ...

    async def alive(self, sessions: Sequence[str]) -> list[bool]:
        """For each id whether it lives and its account is not disabled, in one read."""
        ...

    async def of_user(self, user: str) -> list[Session]:
        """The living sessions of a user, newest first."""
        ...

    async def end(self, user: str, session: str) -> bool:
        """Ends a living session of `user`; False when there is none."""
        ...

    async def end_by_refresh(self, refresh_sha256: bytes) -> Session | None:
        """Ends the session a refresh token belongs to (logout); None for an unknown token."""
        ...


class Tickets(Protocol):
    """One-time tickets for the WebSocket URL; of many parallel uses one wins, on any node."""

    async def issue(self, sha256: bytes, user: str, session: str, expires_ms: int) -> None:
        """Keeps a ticket; expired ones are removed on the way."""
        ...

    async def redeem(self, sha256: Sequence[bytes]) -> list[tuple[str, str] | None]:
        """For each: (user, session) the first time within its life, else None; one transaction."""
        ...


class SigningKeys(Protocol):
    """Keys that sign access tokens; they live in the store, so that all nodes accept them."""

    async def all(self) -> list[tuple[str, bytes, int]]:
        """(kid, private key in PKCS#8 DER, created ms), newest first; empty in a new database."""
        ...

    async def add(self, kid: str, private_der: bytes, *, first: bool = True) -> None:
        """Adds a key. `first`: only to an empty table, so that of many new nodes one makes it."""
        ...
