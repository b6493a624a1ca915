"""People: accounts by id and by username."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Account(NamedTuple):
    """An account; `password_hash` None for one that cannot log in by password."""

    id: str
    username: str
    display_name: str
    password_hash: str | None
    created_ms: int
    disabled: bool


class Accounts(Protocol):
    """Usernames are unique after case folding; every method is one transaction or one read."""

    async def create(self, username: str, display_name: str, password_hash: str | None) -> Account:
        """`conflict` (field username) when taken."""
        ...

    async def ensure(self, usernames: Sequence[str]) -> list[Account]:
        """Accounts of these names in order, made without password where absent."""
        ...

    async def by_id(self, user: str) -> Account | None:
        """The account, or None."""
        ...

    async def by_username(self, username: str) -> Account | None:
        """The account of a case-folded username, or None."""
        ...

    async def with_prefix(self, prefix: str, limit: int, after: str | None) -> list[Account]:
        """Accounts whose username starts with `prefix`, by username, after `after`."""
        ...

    async def rehash(self, user: str, password_hash: str) -> None:
        """Replaces the stored hash (stronger parameters at login)."""
        ...

    async def share_room(self, user: str, other: str) -> bool:
        """Whether both are members of some room."""
        ...
