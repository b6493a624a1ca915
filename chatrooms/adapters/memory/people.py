"""The Accounts, Sessions, Tickets and SigningKeys ports over the state in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from chatrooms.adapters.memory.world import World
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.accounts import Account
from chatrooms.ports.sessions import Rotation, Session


class MemoryAccounts:
    """Implements chatrooms.ports.accounts.Accounts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._names: dict[str, str] = {}

    async def create(self, username: str, display_name: str, password_hash: str | None) -> Account:
        """A new account."""
        if username in self._names:
            raise Refusal(Code.CONFLICT, "this username is taken", field="username")
        account = self._create(username, display_name, password_hash)
        self._world.commit()
        return account

    async def ensure(self, usernames: Sequence[str]) -> list[Account]:
        """The accounts of these names."""
        accounts = [
            self._world.accounts[self._names[name]]
            if name in self._names
            else self._create(name, name, None)
            for name in usernames
        ]
        self._world.commit()
        return accounts

    async def by_id(self, user: str) -> Account | None:
        """The account of an id."""
        return self._world.accounts.get(user)

    async def by_username(self, username: str) -> Account | None:
        """The account of a name."""
        return self._world.accounts.get(self._names.get(username, ""))

    async def with_prefix(self, prefix: str, limit: int, after: str | None) -> list[Account]:
        """Accounts by name."""
        names = sorted(
            name for name in self._names if name.startswith(prefix) and name > (after or "")
        )
        return [self._world.accounts[self._names[name]] for name in names[:limit]]

    async def rehash(self, user: str, password_hash: str) -> None:
        """Replaces a hash."""
        if user in self._world.accounts:
            account = self._world.accounts[user]
            self._world.accounts[user] = account._replace(password_hash=password_hash)
        self._world.commit()

    async def share_room(self, user: str, other: str) -> bool:
        """Whether two people meet in some room."""
        return any(
            user in place.members and other in place.members for place in self._world.rooms.values()
        )

    def _create(self, username: str, display_name: str, password_hash: str | None) -> Account:
        account = Account(
            self._world.fresh_id(),
            username,
            display_name,
            password_hash,
            self._world.now_ms(),
            disabled=False,
        )
        self._names[username] = account.id
        self._world.accounts[account.id] = account
        return account


@dataclass(slots=True)
class _Token:
    session: str
    expires_ms: int
    rotated_ms: int | None = None
    sealed: str | None = None


class MemorySessions:
    """Implements chatrooms.ports.sessions.Sessions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[str, Session] = {}
        self._expiry: dict[str, int] = {}
        self._tokens: dict[bytes, _Token] = {}

    async def start(
        self, user: str, client: str, refresh_sha256: bytes | None, refresh_expires_ms: int
    ) -> Session:
        """A new session."""
        now = self._world.now_ms()
        session = Session(self._world.fresh_id(), user, client, now, now, None)
        self._sessions[session.id] = session
        if refresh_sha256 is not None:
            self._expiry[session.id] = refresh_expires_ms
            self._tokens[refresh_sha256] = _Token(session.id, refresh_expires_ms)
        self._world.commit()
        return session

    async def start_many(self, users: Sequence[str], client: str) -> list[Session]:
        """New sessions."""
        return [await self.start(user, client, None, 0) for user in users]

    async def rotate(
        self, old_sha256: bytes, new_sha256: bytes, sealed: str, expires_ms: int, grace_ms: int
    ) -> Rotation:
        """Exchanges a refresh token."""
        now = self._world.now_ms()
        token = self._living_token(old_sha256)
        if token is None:
            return Rotation("unknown", None, None)
        session = self._sessions[token.session]
        if token.rotated_ms is not None:
            if now - token.rotated_ms < grace_ms:
                return Rotation("grace", session, token.sealed)
            return Rotation("reused", self._end(session), None)
        token.rotated_ms, token.sealed = now, sealed
        self._tokens[new_sha256] = _Token(session.id, expires_ms)
        self._expiry[session.id] = expires_ms
        session = self._sessions[session.id] = session._replace(seen_ms=now)
        self._world.commit()
        return Rotation("rotated", session, None)

    async def alive(self, sessions: Sequence[str]) -> list[bool]:
        """Which of these live."""
        return [self._lives(session) for session in sessions]

    async def of_user(self, user: str) -> list[Session]:
        """The living sessions of a user."""
        mine = [x for x in self._sessions.values() if x.user == user and self._lives(x.id)]
        return sorted(mine, key=lambda x: (x.created_ms, x.id), reverse=True)

    async def end(self, user: str, session: str) -> bool:
        """Ends a session of a user."""
        found = self._sessions.get(session)
        if found is None or found.user != user or not self._lives(session):
            return False
        self._end(found)
        return True

    async def end_by_refresh(self, refresh_sha256: bytes) -> Session | None:
        """Ends the session of a token."""
        token = self._living_token(refresh_sha256)
        return None if token is None else self._end(self._sessions[token.session])

    def _living_token(self, sha256: bytes) -> _Token | None:
        token = self._tokens.get(sha256)
        if token is None or token.expires_ms <= self._world.now_ms():
            return None
        return token if self._lives(token.session) else None

    def _lives(self, session_id: str) -> bool:
        session = self._sessions.get(session_id)
        if session is None or session.ended_ms is not None:
            return False
        account = self._world.accounts.get(session.user)
        expires_ms = self._expiry.get(session_id)
        expired = expires_ms is not None and expires_ms <= self._world.now_ms()
        return not expired and not (account is not None and account.disabled)

    def _end(self, session: Session) -> Session:
        ended = session._replace(ended_ms=self._world.now_ms())
        self._sessions[session.id] = ended
        self._world.commit()
        return ended


class MemoryTickets:
    """Implements chatrooms.ports.sessions.Tickets."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tickets: dict[bytes, tuple[str, str, int]] = {}

    async def issue(self, sha256: bytes, user: str, session: str, expires_ms: int) -> None:
        """Keeps a ticket."""
        now = self._world.now_ms()
        self._tickets = {key: x for key, x in self._tickets.items() if x[2] > now}
        self._tickets[sha256] = (user, session, expires_ms)
        self._world.commit()

    async def redeem(self, sha256: Sequence[bytes]) -> list[tuple[str, str] | None]:
        """Uses tickets up."""
        now = self._world.now_ms()
        found = [self._tickets.pop(key, None) for key in sha256]
        self._world.commit()
        return [x[:2] if x is not None and x[2] > now else None for x in found]


class MemorySigningKeys:
    """Implements chatrooms.ports.sessions.SigningKeys."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._keys: dict[str, tuple[str, bytes, int]] = {}

    async def all(self) -> list[tuple[str, bytes, int]]:
        """Every key, newest first."""
        return sorted(self._keys.values(), key=lambda key: (-key[2], key[0]))

    async def add(self, kid: str, private_der: bytes, *, first: bool = True) -> None:
        """Keeps a key."""
        if not (first and self._keys):
            self._keys.setdefault(kid, (kid, private_der, self._world.now_ms()))
        self._world.commit()
