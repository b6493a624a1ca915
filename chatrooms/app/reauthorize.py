"""Move the expiry of a connection by a new access token."""

from dataclasses import dataclass

from chatrooms.app.asks import AuthAsk
from chatrooms.app.authenticate import Authenticate
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Reauthorize:
    """The connection stays with its user and goes over to the session of the new token."""

    authenticate: Authenticate
    gateway: Gateway

    async def __call__(self, ask: AuthAsk) -> None:
        """Answers `auth`; a token of another user is `forbidden`."""
        try:
            claims = await self.authenticate(ask.token)
        except Refusal as refusal:
            self.gateway.refuse(ask.connection, ask.id, refusal, None)
            return
        if claims.user == ask.user:
            self.gateway.authorize(ask.connection, ask.id, claims.session, claims.expires_ms)
        else:
            other = Refusal(Code.FORBIDDEN, "The token is of another user.", field="token")
            self.gateway.refuse(ask.connection, ask.id, other, None)
