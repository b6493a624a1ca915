"""What an operator may ask: tokens, rooms for load tests, drain, verify. Answers are streams."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from chatrooms.domain import names
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.room import Kind
from chatrooms.ports.accounts import Accounts
from chatrooms.ports.credentials import Tokens
from chatrooms.ports.log import Log
from chatrooms.ports.rooms import Rooms
from chatrooms.ports.sessions import Sessions

Item: TypeAlias = Mapping[str, Any]

SYSTEM_USER: Final = "system"
"""The account without password that makes rooms nobody asked for over REST."""
TOKENS_MAX: Final = 100_000
TOKEN_SECONDS_MAX: Final = 31_536_000
_ACCOUNTS_A_STEP: Final = 500
_SIGNATURES_A_STEP: Final = 8
"""Signing takes some 0.1 ms: after these the loop serves others."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Works on the ports, so it is the same beside a running node and on a database at rest."""

    accounts: Accounts
    sessions: Sessions
    rooms: Rooms
    tokens: Tokens
    log: Log
    drain: Callable[[], None] | None = None

    def perform(self, op: str, arguments: Mapping[str, Any]) -> AsyncGenerator[Item]:
        """The answers to one request; Refusal for what makes no sense."""
        match op:
            case "token":
                return self._token(
                    _text(arguments, "user"),
                    _integer(arguments, "count", 0, 0, TOKENS_MAX),
                    _integer(arguments, "ttl", 3_600, -TOKEN_SECONDS_MAX, TOKEN_SECONDS_MAX),
                )
            case "room":
                return self._room(_text(arguments, "name"), _text(arguments, "members_prefix"))
            case "verify":
                return self._verify()
            case "drain":
                return self._drain()
            case _:
                raise Refusal(Code.UNKNOWN_OP, "no such operation")

    async def ensure_room(self, room: str, name: str) -> None:
        """Makes the public `room` unless it exists."""
        actor = await self._system()
        if await self.rooms.view(actor, room) is None:
            await self.rooms.create(actor, Kind.PUBLIC, name, room)

    async def _token(self, user: str, count: int, ttl: int) -> AsyncGenerator[Item]:
        """`count` 0 is one token for `user` itself, else NAME-0 … NAME-(count-1)."""
        wanted = [user] if count == 0 else [f"{user}-{number}" for number in range(count)]
        usernames = [names.username(name) for name in wanted]
        for start in range(0, len(usernames), _ACCOUNTS_A_STEP):
            accounts = await self.accounts.ensure(usernames[start : start + _ACCOUNTS_A_STEP])
            sessions = await self.sessions.start_many(
                [account.id for account in accounts], "chatrooms token"
            )
            for place, session in enumerate(sessions):
                yield {"token": self.tokens.issue(session.user, session.id, ttl)}
                if place % _SIGNATURES_A_STEP == 0:
                    await asyncio.sleep(0)

    async def _room(self, name: str, prefix: str) -> AsyncGenerator[Item]:
        actor = await self._system()
        view = await self.rooms.create(actor, Kind.PUBLIC, names.room_name(name))
        members = 0
        after: str | None = None
        while page := await self.accounts.with_prefix(prefix, _ACCOUNTS_A_STEP, after):
            members += await self.rooms.add(actor, view.room.id, [account.id for account in page])
            after = page[-1].username
        yield {"room": view.room.id, "members": members}

    async def _verify(self) -> AsyncGenerator[Item]:
        """Findings as they come, then the totals."""
        rooms = events = found = 0
        async for room, head, count, distinct, problems in self.log.walk():
            rooms += 1
            events += count
            told = list(problems)
            if not told and not head == count == distinct:
                told = [f"head {head}, {count} events, {distinct} positions"]
            found += len(told)
            for problem in told:
                yield {"finding": {"room": room, "problem": problem}}
        yield {"verified": {"rooms": rooms, "events": events, "findings": found}}

    async def _drain(self) -> AsyncGenerator[Item]:
        if self.drain is None:
            raise Refusal(Code.CONFLICT, "no node is running here")
        self.drain()
        yield {"draining": True}

    async def _system(self) -> str:
        return (await self.accounts.ensure([SYSTEM_USER]))[0].id


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal(Code.BAD_REQUEST, f"{name} must be a text", field=name)
    return value


def _integer(arguments: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = arguments.get(name, default)
    if not isinstance(value, int) or not low <= value <= high:
        raise Refusal(Code.BAD_REQUEST, f"{name} must be {low} to {high}", field=name)
    return value
