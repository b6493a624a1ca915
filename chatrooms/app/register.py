"""Make an account."""

from dataclasses import dataclass

from chatrooms.domain import names
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.accounts import Account, Accounts
from chatrooms.ports.credentials import Passwords


@dataclass(frozen=True, slots=True)
class Register:
    """Names and passwords are judged by the domain; a taken name costs no hashing."""

    accounts: Accounts
    passwords: Passwords

    async def __call__(self, username: str, password: str, display_name: str | None) -> Account:
        """The new account; `invalid` with its field, `conflict` when the name is taken."""
        name = names.username(username)
        shown = names.display_name(display_name if display_name is not None else username)
        secret = names.password(password, name)
        if await self.accounts.by_username(name) is not None:
            raise Refusal(Code.CONFLICT, "This username is taken.", field="username")
        return await self.accounts.create(name, shown, await self.passwords.hash(secret))
