"""Show an account to those who may know of it."""

from dataclasses import dataclass

from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.accounts import Account, Accounts


@dataclass(frozen=True, slots=True)
class FindUser:
    """One's own account, and those of people one shares a room with."""

    accounts: Accounts

    async def __call__(self, user: str, other: str) -> Account:
        """`not_found` alike for strangers and for nobody."""
        if user == other or await self.accounts.share_room(user, other):
            account = await self.accounts.by_id(other)
            if account is not None:
                return account
        raise Refusal(Code.NOT_FOUND, "No such user.")
