"""Store a message that came over REST; the commit listener fans it out like any other."""

from dataclasses import dataclass

from chatrooms.app.visibility import is_room, unknown_room
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.log import Log, Post, Stored


@dataclass(frozen=True, slots=True)
class PostMessage:
    """Membership and the cid are judged inside the transaction of the append."""

    log: Log

    async def __call__(
        self, user: str, room: str, cid: str, body: str, thread: int | None
    ) -> Stored:
        """Where the message stands; `body` is a judged JSON object, exactly as received."""
        if room == "me":
            raise Refusal(Code.FORBIDDEN, "Nobody can post here.")
        if not is_room(room):
            raise unknown_room()
        [outcome] = await self.log.append([Post(room, user, cid, body, thread, None)])
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome
