"""End the session that a refresh token belongs to."""

from dataclasses import dataclass

from chatrooms.app.secret import sha256
from chatrooms.ports.gateway import Gateway
from chatrooms.ports.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Logout:
    """The store first, then the sockets, so that nobody comes back in between."""

    sessions: Sessions
    gateway: Gateway

    async def __call__(self, refresh_token: str) -> None:
        """Does the same for a token nobody knows (RFC 7009 section 2.2)."""
        session = await self.sessions.end_by_refresh(sha256(refresh_token))
        if session is not None:
            self.gateway.end_session(session.id)
