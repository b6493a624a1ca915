"""A pump between a fake inbox and a log and use cases that end when the test says so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from chatrooms.app.asks import Asks
from chatrooms.domain.errors import Refusal
from chatrooms.ingress.once import AnswerOnce
from chatrooms.ingress.pump import Bounds, Pump
from chatrooms.ports.log import Outcome, Post
from tests.fakes.inbox import FakeInbox


@dataclass
class Call:
    """One call that waits for its end: `done.set_result(...)` or `set_exception(...)`."""

    name: str
    items: Sequence[Any]
    done: "asyncio.Future[Any]"


@dataclass
class Rig:
    """The pump's surroundings; `answers` is what connections were told, in order."""

    inbox: FakeInbox = field(default_factory=FakeInbox)
    calls: list[Call] = field(default_factory=list)
    answers: list[tuple[Any, ...]] = field(default_factory=list)
    pump: Pump = field(init=False)
    once: AnswerOnce = field(init=False)

    async def append(self, posts: Sequence[Post]) -> list[Outcome]:
        """The log's `append`."""
        outcomes: list[Outcome] = await self._called("append", posts)
        return outcomes

    def many(self, name: str) -> Callable[[Sequence[Any]], Awaitable[None]]:
        """A use case that takes a batch."""

        async def called(asks: Sequence[Any]) -> None:
            await self._called(name, asks)

        return called

    def one(self, name: str) -> Callable[[Any], Awaitable[None]]:
        """A use case that takes one ask."""

        async def called(ask: Any) -> None:
            await self._called(name, [ask])

        return called

    async def turn(self) -> None:
        """Lets the loop go round until what is ready has run."""
        for _ in range(8):
            await asyncio.sleep(0)

    async def until(self, happened: Callable[[], bool]) -> None:
        """Goes round the loop until `happened`."""
        async with asyncio.timeout(10):
            while not happened():  # noqa: ASYNC110 -- the condition is the test's own
                await asyncio.sleep(0.001)

    def named(self, name: str) -> list[Call]:
        """The calls of one use case, in order."""
        return [call for call in self.calls if call.name == name]

    async def _called(self, name: str, items: Sequence[Any]) -> Any:
        done = asyncio.get_running_loop().create_future()
        self.calls.append(Call(name, items, done))
        return await done

    # The Gateway port, as far as answers go.

    def deliver(self, runs: Any, acks: Any, refusals: Any) -> None:
        """Records events and answers."""
        self.answers.append(("deliver", list(runs), list(acks), list(refusals)))

    def attach(self, answers: Any) -> None:
        """Records."""
        self.answers.append(("attach", list(answers)))

    def welcome(self, answers: Any) -> None:
        """Records."""
        self.answers.append(("welcome", list(answers)))

    def refuse(self, connection: int, id: int, why: Refusal, room: str | None) -> None:  # noqa: A002
        """Records."""
        self.answers.append(("refuse", connection, id, why.code, room))

    def reply(self, connection: int, id: int, fields: str) -> None:  # noqa: A002
        """Records."""
        self.answers.append(("reply", connection, id, fields))

    def authorize(
        self,
        connection: int,
        id: int,  # noqa: A002
        session: str,
        expires_ms: int,
    ) -> None:
        """Records."""
        self.answers.append(("authorize", connection, id, session, expires_ms))

    def marked(self, moves: Any) -> None:
        """Records."""
        self.answers.append(("marked", list(moves)))

    def end_session(self, session: str) -> None:
        """Records."""
        self.answers.append(("end_session", session))

    def drain(self, window_ms: int) -> None:
        """Records."""
        self.answers.append(("drain", window_ms))

    def open_connections(self) -> int:
        """None."""
        return 0


@pytest.fixture
def bounds() -> Bounds:
    """The real bounds; a test file overrides them."""
    return Bounds()


@pytest.fixture
async def rig(bounds: Bounds) -> AsyncIterator[Rig]:
    """A started pump."""
    made = Rig()
    asks = Asks(
        welcome_many=made.many("welcome"),
        subscribe_many=made.many("subscribe"),
        mark_many=made.many("mark"),
        history=made.one("history"),
        who=made.one("who"),
        repair=made.one("repair"),
        reauthorize=made.one("reauthorize"),
    )
    made.once = AnswerOnce(made)
    log: Any = made
    made.pump = Pump(made.inbox, log, asks, made.once, bounds)
    made.pump.start()
    yield made
    await made.pump.stop()
    made.inbox.close()
