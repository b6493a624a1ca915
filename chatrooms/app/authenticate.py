"""Tell who presents an access token, and whether their session still lives."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.credentials import Claims, Tokens
from chatrooms.ports.sessions import Sessions

# A signature takes about 0.15 ms; a reconnect storm must not hold up the acks of others.
VERIFICATIONS_PER_TURN: Final = 6


@dataclass(frozen=True, slots=True)
class Authenticate:
    """A good signature is not enough: a session that was ended refuses its tokens at once."""

    tokens: Tokens
    sessions: Sessions

    async def __call__(self, token: str) -> Claims:
        """The claims; raises `unauthorized`, or `token_expired` for one that is only old."""
        [verdict] = await self.many([token])
        if isinstance(verdict, Refusal):
            raise verdict
        return verdict

    async def many(self, tokens: Sequence[str]) -> list[Claims | Refusal]:
        """As one call for each, with one read for all sessions."""
        return await self.living(await self.verify_many(tokens))

    async def living(self, verdicts: Sequence[Claims | Refusal]) -> list[Claims | Refusal]:
        """Turns claims of ended sessions into refusals."""
        asked = [verdict.session for verdict in verdicts if isinstance(verdict, Claims)]
        alive = iter(await self.sessions.alive(asked) if asked else [])
        return [
            verdict if isinstance(verdict, Refusal) or next(alive) else unauthorized()
            for verdict in verdicts
        ]

    async def verify_many(self, tokens: Sequence[str]) -> list[Claims | Refusal]:
        """What each token alone says; others on the event loop get their turn in between."""
        verdicts: list[Claims | Refusal] = []
        for place, token in enumerate(tokens, 1):
            verdicts.append(self.verify(token))
            if place % VERIFICATIONS_PER_TURN == 0:
                await asyncio.sleep(0)
        return verdicts

    def verify(self, token: str) -> Claims | Refusal:
        """What the token alone says, without asking for its session."""
        try:
            return self.tokens.verify(token)
        except Refusal as refusal:
            return refusal


def unauthorized() -> Refusal:
    """The same answer whatever is wrong with a credential."""
    return Refusal(Code.UNAUTHORIZED, "The credential is not valid.")
