"""List where somebody is logged in."""

from dataclasses import dataclass

from chatrooms.ports.sessions import Session, Sessions


@dataclass(frozen=True, slots=True)
class ListSessions:
    """Only one's own."""

    sessions: Sessions

    async def __call__(self, user: str) -> list[Session]:
        """The living sessions, newest first."""
        return await self.sessions.of_user(user)
