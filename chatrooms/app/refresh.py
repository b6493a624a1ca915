"""Exchange a refresh token for the next pair; an old one used again ends its session.

RFC 9700 section 4.14.2 (refresh token rotation). Within the grace time a client that lost the
answer gets the same pair once more: it is kept sealed under the old token, so that the store
alone can use neither.
"""

import json
import secrets
from dataclasses import dataclass

from chatrooms.app.lifetimes import Lifetimes
from chatrooms.app.pair import TokenPair
from chatrooms.app.secret import new_secret, sha256
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.clock import Clock
from chatrooms.ports.credentials import Tokens
from chatrooms.ports.gateway import Gateway
from chatrooms.ports.sealing import Seals
from chatrooms.ports.sessions import Session, Sessions


@dataclass(frozen=True, slots=True)
class Refresh:
    """Rotation is one atomic step of the store; the pair is rebuilt from what was sealed."""

    sessions: Sessions
    tokens: Tokens
    seals: Seals
    gateway: Gateway
    clock: Clock
    lifetimes: Lifetimes

    async def __call__(self, refresh_token: str) -> TokenPair:
        """The next pair, or the same one again in the grace time; else `unauthorized`."""
        now_ms = self.clock.now_ms()
        successor, issued_ms, token_id = new_secret(), now_ms, secrets.token_urlsafe(12)
        sealed = self.seals.seal(refresh_token, json.dumps([successor, issued_ms, token_id]))
        rotation = await self.sessions.rotate(
            sha256(refresh_token),
            sha256(successor),
            sealed,
            now_ms + self.lifetimes.refresh_seconds * 1000,
            self.lifetimes.refresh_grace_ms,
        )
        session = rotation.session
        if rotation.verdict == "reused" and session is not None:
            self.gateway.end_session(session.id)
        if session is None or rotation.verdict not in {"rotated", "grace"}:
            raise _unusable()
        if rotation.verdict == "grace":
            successor, issued_ms, token_id = self._given(refresh_token, rotation.successor)
        await self._require_alive(session)
        access_seconds = self.lifetimes.access_seconds
        access = self.tokens.issue(
            session.user, session.id, access_seconds, issued_ms=issued_ms, token_id=token_id
        )
        return TokenPair(access, successor, access_seconds)

    def _given(self, refresh_token: str, sealed: str | None) -> tuple[str, int, str]:
        if sealed is None:
            raise _unusable()
        successor, issued_ms, token_id = json.loads(self.seals.unseal(refresh_token, sealed))
        return successor, issued_ms, token_id

    async def _require_alive(self, session: Session) -> None:
        [alive] = await self.sessions.alive([session.id])
        if not alive:
            raise _unusable()


def _unusable() -> Refusal:
    return Refusal(Code.UNAUTHORIZED, "This refresh token is not valid.")
