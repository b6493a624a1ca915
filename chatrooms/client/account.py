"""Who the person at the terminal is: signing in, first accounts, remembered passwords.

On a node of this machine a newcomer talks in one step: a name is enough, the account is made
with a drawn password that is remembered in `~/.config/chatrooms/credentials.json` (0600).
"""

import contextlib
import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import orjson

from chatrooms.client.errors import ChatError, ConnectionLost
from chatrooms.client.rest import RestClient, Tokens


class Asker(Protocol):
    """Somebody who can be asked."""

    interactive: bool

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Return the answer, stripped."""


class SignInFailed(Exception):  # noqa: N818 -- a sentence for the user
    """Signing in is not possible; the message is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Remembered passwords by server and name, in one file only its owner may read."""

    path: Path

    @classmethod
    def default(cls) -> "Credentials":
        """The file in the user's configuration folder."""
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return cls(Path(config) / "chatrooms" / "credentials.json")

    def recall(self, server: str, user: str) -> str | None:
        """Return the password of a name on a server, if it is remembered."""
        password = self._read().get(server, {}).get(user)
        return password if isinstance(password, str) else None

    def remember(self, server: str, user: str, password: str) -> None:
        """Keep a password; the file is replaced whole, so that it is never half written."""
        known = self._read()
        known.setdefault(server, {})[user] = password
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(known, option=orjson.OPT_INDENT_2))
        draft.replace(self.path)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            known = orjson.loads(self.path.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        return known if isinstance(known, dict) else {}


def is_loopback(url: str) -> bool:
    """Say whether a URL points at this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


class Account:
    """A signed-in user; `token` is a token source for `ChatClient`."""

    def __init__(self, rest: RestClient, username: str, password: str, tokens: Tokens) -> None:
        """`tokens` come from a login with `username` and `password`."""
        self.username = username
        self._rest = rest
        self._password = password
        self._tokens = tokens
        self._fresh = True

    async def token(self) -> str:
        """Return a new access token: by the refresh token, else by logging in again."""
        if self._fresh:
            self._fresh = False
            return self._tokens.access
        try:
            self._tokens = await self._rest.refresh(self._tokens.refresh)
        except ChatError as error:
            if error.retry:
                raise ConnectionLost(f"no token could be had: {error}") from error
            self._tokens = await self._rest.login(self.username, self._password)
        return self._tokens.access


async def sign_in(
    rest: RestClient,
    server: str,
    asker: Asker,
    credentials: Credentials,
    *,
    user: str | None,
    password: str | None,
) -> Account:
    """Find out who is there; `server` is the REST URL. Raises `SignInFailed` with a sentence."""
    if user is None:
        user = await _ask_name(asker)
    user = user.strip().casefold()
    if password is not None:
        return await _log_in(rest, user, password)
    remembered = credentials.recall(server, user)
    if remembered is not None:
        with contextlib.suppress(SignInFailed):
            return await _log_in(rest, user, remembered)
    if is_loopback(server):
        drawn = secrets.token_urlsafe(18)
        with contextlib.suppress(_NameTaken):
            account = await _sign_up(rest, user, drawn)
            credentials.remember(server, user, drawn)
            return account
    if not asker.interactive:
        raise SignInFailed(
            f"The password of {user} is not known here: set CHATROOMS_PASSWORD, or give --token."
        )
    typed = await asker.ask(f"Password for {user}: ", secret=True)
    try:
        return await _log_in(rest, user, typed)
    except SignInFailed as error:
        if is_loopback(server):
            raise SignInFailed(f"{error} Choose another name, or give --token.") from error
    answer = await asker.ask(f"That is not right. Make a new account {user} with it? [y/N] ")
    if answer.casefold() not in {"y", "yes"}:
        raise SignInFailed("Not signed in.")
    try:
        return await _sign_up(rest, user, typed)
    except _NameTaken as error:
        raise SignInFailed(f"The name {user} is taken and the password is not right.") from error


class _NameTaken(Exception):  # noqa: N818 -- never leaves this file
    """Somebody has that name."""


async def _ask_name(asker: Asker) -> str:
    if not asker.interactive:
        raise SignInFailed("Who are you? Give --user or --token.")
    name = await asker.ask("Your name: ")
    if not name:
        raise SignInFailed("A name is needed to talk.")
    return name


async def _log_in(rest: RestClient, user: str, password: str) -> Account:
    try:
        return Account(rest, user, password, await rest.login(user, password))
    except ChatError as error:
        if error.code == "unauthorized":
            raise SignInFailed(f"The name {user} or its password is not right.") from error
        reason = str(error).rstrip(".")
        raise SignInFailed(f"Signing in as {user} failed: {reason}.") from error


async def _sign_up(rest: RestClient, user: str, password: str) -> Account:
    try:
        await rest.register(user, password)
    except ChatError as error:
        if error.code == "conflict":
            raise _NameTaken from error
        reason = str(error).rstrip(".")
        reason = f"{error.field}: {reason}" if error.field else reason
        raise SignInFailed(f"The account {user} could not be made: {reason}.") from error
    return await _log_in(rest, user, password)
