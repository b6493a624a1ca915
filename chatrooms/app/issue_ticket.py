"""Give a one-time ticket for the WebSocket URL, for clients that can set no header."""

from dataclasses import dataclass

from chatrooms.app.lifetimes import Lifetimes
from chatrooms.app.secret import new_secret, sha256
from chatrooms.ports.clock import Clock
from chatrooms.ports.credentials import Claims
from chatrooms.ports.sessions import Tickets


@dataclass(frozen=True, slots=True)
class IssueTicket:
    """A ticket stands for the session that asked for it and lives for at most 30 s."""

    tickets: Tickets
    clock: Clock
    lifetimes: Lifetimes

    async def __call__(self, claims: Claims) -> tuple[str, int]:
        """The ticket and its life in seconds."""
        ticket = new_secret()
        seconds = self.lifetimes.ticket_seconds
        expires_ms = self.clock.now_ms() + seconds * 1000
        await self.tickets.issue(sha256(ticket), claims.user, claims.session, expires_ms)
        return ticket, seconds
