"""Open the one room of two people."""

from dataclasses import dataclass

from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.accounts import Accounts
from chatrooms.ports.rooms import Rooms, RoomView


@dataclass(frozen=True, slots=True)
class OpenDirect:
    """The same pair gets the same room, whoever asks and however often."""

    accounts: Accounts
    rooms: Rooms

    async def __call__(self, user: str, other: str) -> tuple[RoomView, bool]:
        """The room and whether it was made now; `invalid` with oneself, `not_found` nobody."""
        if user == other:
            raise Refusal(Code.INVALID, "Choose somebody else.", field="user")
        account = await self.accounts.by_id(other)
        if account is None or account.disabled:
            raise Refusal(Code.NOT_FOUND, "No such user.", field="user")
        return await self.rooms.direct(user, other)
