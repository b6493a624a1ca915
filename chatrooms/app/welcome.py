"""Let connections in: credentials, sessions, standings and missed events, each in one read."""

from collections.abc import Sequence
from dataclasses import dataclass

from chatrooms.app.asks import HelloAsk, ResumeAsk
from chatrooms.app.authenticate import Authenticate, unauthorized
from chatrooms.app.lifetimes import Lifetimes
from chatrooms.app.resume import Missed, missed_lines, within_hello
from chatrooms.app.secret import sha256
from chatrooms.app.visibility import is_room, judge
from chatrooms.domain.errors import Refusal
from chatrooms.domain.position import Position
from chatrooms.domain.room import private_log
from chatrooms.ports.clock import Clock
from chatrooms.ports.credentials import Claims
from chatrooms.ports.gateway import Gateway, Resume
from chatrooms.ports.gateway import Welcome as Answer
from chatrooms.ports.log import Log
from chatrooms.ports.positions import Positions, Standing
from chatrooms.ports.sessions import Tickets


@dataclass(frozen=True, slots=True)
class _Guest:
    """A `hello` whose credential is good: `rooms` without `me`, whose position stands apart."""

    ask: HelloAsk
    claims: Claims
    me: ResumeAsk | None
    rooms: list[ResumeAsk]


@dataclass(frozen=True, slots=True)
class Welcome:
    """A reconnect storm costs reads per batch, never per connection."""

    authenticate: Authenticate
    tickets: Tickets
    positions: Positions
    log: Log
    gateway: Gateway
    clock: Clock
    lifetimes: Lifetimes

    async def many(self, asks: Sequence[HelloAsk]) -> None:
        """Answers each `hello` once; the core closes those refused."""
        try:
            verdicts = await self._identify(asks)
            guests = [
                _guest(ask, claims)
                for ask, claims in zip(asks, verdicts, strict=True)
                if not isinstance(claims, Refusal)
            ]
            answers = await self._place(guests) if guests else []
        except Refusal as refusal:
            verdicts, answers = [refusal] * len(asks), []
        for ask, verdict in zip(asks, verdicts, strict=True):
            if isinstance(verdict, Refusal):
                self.gateway.refuse(ask.connection, ask.id, verdict, None)
        if answers:
            self.gateway.welcome(answers)

    async def _identify(self, asks: Sequence[HelloAsk]) -> list[Claims | Refusal]:
        verdicts: list[Claims | Refusal] = [unauthorized()] * len(asks)
        tickets = [place for place, ask in enumerate(asks) if ask.kind == "ticket"]
        if tickets:
            redeemed = await self.tickets.redeem([sha256(asks[at].credential) for at in tickets])
            expires_ms = self.clock.now_ms() + self.lifetimes.access_seconds * 1000
            for place, owner in zip(tickets, redeemed, strict=True):
                if owner is not None:
                    verdicts[place] = Claims(*owner, expires_ms)
        tokens = [place for place, ask in enumerate(asks) if ask.kind == "token"]
        verified = await self.authenticate.verify_many([asks[at].credential for at in tokens])
        for place, verdict in zip(tokens, verified, strict=True):
            verdicts[place] = verdict
        return await self.authenticate.living(verdicts)

    async def _place(self, guests: Sequence[_Guest]) -> list[Answer]:
        wants: list[tuple[str, str]] = []
        for guest in guests:
            user = guest.claims.user
            wants.append((user, private_log(user)))
            wants.extend((user, room.room) for room in guest.rooms)
        looked = iter(await self.positions.look(wants))
        standings = [[next(looked) for _ in range(1 + len(guest.rooms))] for guest in guests]
        missed = [
            ask
            for guest, found in zip(guests, standings, strict=True)
            for ask in _missed(guest, found)
        ]
        lines = iter(await missed_lines(self.log, missed))
        now_ms = self.clock.now_ms()
        return [
            _answer(guest, found, within_hello([next(lines) for _ in found]), now_ms)
            for guest, found in zip(guests, standings, strict=True)
        ]


def _guest(ask: HelloAsk, claims: Claims) -> _Guest:
    rooms = [ResumeAsk(*room) for room in ask.rooms]
    me = next((room for room in rooms if room.room == "me"), None)
    return _Guest(ask, claims, me, [room for room in rooms if room.room != "me"])


def _position(room: ResumeAsk | None) -> Position | None:
    return None if room is None else Position(room.epoch, room.seq)


def _admitted(room: ResumeAsk, standing: Standing) -> bool:
    return is_room(room.room) and judge(standing) is None


def _missed(guest: _Guest, standings: Sequence[Standing]) -> list[Missed]:
    held_from = 0 if guest.me is None else guest.me.held_from
    me = Missed(private_log(guest.claims.user), _position(guest.me), standings[0].head, held_from)
    return [me] + [
        Missed(
            room.room,
            _position(room) if _admitted(room, standing) else None,
            standing.head,
            room.held_from,
        )
        for room, standing in zip(guest.rooms, standings[1:], strict=True)
    ]


def _answer(
    guest: _Guest, standings: Sequence[Standing], lines: Sequence[list[str] | None], now_ms: int
) -> Answer:
    mine = standings[0]
    me = Resume("me", mine.head, mine.n, mine.read, "owner", _position(guest.me), lines[0])
    rooms = [
        Resume(room.room, standing.head, standing.n, standing.read, standing.role, since, missed)
        if _admitted(room, standing)
        else Resume(room.room, 0, 0, 0, None, since, None)
        for room, since, standing, missed in zip(
            guest.rooms, map(_position, guest.rooms), standings[1:], lines[1:], strict=True
        )
    ]
    claims = guest.claims
    return Answer(
        connection=guest.ask.connection,
        id=guest.ask.id,
        user=claims.user,
        session=claims.session,
        expires_ms=claims.expires_ms,
        now_ms=now_ms,
        me=me,
        rooms=rooms,
    )
