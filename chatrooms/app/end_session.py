"""End one of one's own sessions: its tokens at once, its sockets within a second."""

from dataclasses import dataclass

from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.gateway import Gateway
from chatrooms.ports.sessions import Sessions


@dataclass(frozen=True, slots=True)
class EndSession:
    """The store first, then the sockets, so that nobody comes back in between."""

    sessions: Sessions
    gateway: Gateway

    async def __call__(self, user: str, session: str) -> None:
        """`not_found` for one that has ended or is somebody else's."""
        if not await self.sessions.end(user, session):
            raise Refusal(Code.NOT_FOUND, "No such session.")
        self.gateway.end_session(session)
