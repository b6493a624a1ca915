"""Exchange a password for a session and its first pair of tokens."""

from dataclasses import dataclass

from chatrooms.app.lifetimes import Lifetimes
from chatrooms.app.pair import TokenPair
from chatrooms.app.secret import new_secret, sha256
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.accounts import Account, Accounts
from chatrooms.ports.clock import Clock
from chatrooms.ports.credentials import Passwords, Tokens
from chatrooms.ports.limits import LoginFailures
from chatrooms.ports.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Login:
    """Unknown, disabled and password-less accounts look and last like a wrong password."""

    accounts: Accounts
    passwords: Passwords
    sessions: Sessions
    tokens: Tokens
    failures: LoginFailures
    clock: Clock
    lifetimes: Lifetimes

    async def __call__(self, username: str, password: str, client: str) -> TokenPair:
        """The pair; `unauthorized`, `rate_limited` after ten failures, `overloaded`."""
        name = username.casefold()
        wait_ms = await self.failures.begin(name)
        if wait_ms is not None:
            raise Refusal(
                Code.RATE_LIMITED, "Too many failed logins.", retry_after_ms=max(wait_ms, 1)
            )
        failed = False
        try:
            account = await self._judge(name, password)
            failed = account is None
        finally:
            await self.failures.end(name, failed=failed)
        if account is None:
            raise Refusal(Code.UNAUTHORIZED, "Wrong username or password.")
        return await self._start(account.id, client)

    async def _judge(self, name: str, password: str) -> Account | None:
        account = await self.accounts.by_username(name)
        usable = account if account is not None and not account.disabled else None
        right, stale = await self.passwords.verify(
            password, usable.password_hash if usable is not None else None
        )
        if usable is None or not right:
            return None
        if stale:
            await self.accounts.rehash(usable.id, await self.passwords.hash(password))
        return usable

    async def _start(self, user: str, client: str) -> TokenPair:
        refresh = new_secret()
        now_ms = self.clock.now_ms()
        expires_ms = now_ms + self.lifetimes.refresh_seconds * 1000
        session = await self.sessions.start(user, client, sha256(refresh), expires_ms)
        access_seconds = self.lifetimes.access_seconds
        access = self.tokens.issue(user, session.id, access_seconds)
        return TokenPair(access, refresh, access_seconds)
