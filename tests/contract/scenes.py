"""What the contract suite works with: a store, three people, a clock to set, and its commits."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from chatrooms.adapters.memory import MemoryStore
from chatrooms.adapters.sqlite import SqliteStore
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.room import Kind
from chatrooms.ports.log import Anchor, Commit, Outcome, Post, Stored

Store: TypeAlias = MemoryStore | SqliteStore
NEWEST = Anchor("newest")
START_MS = 1_790_000_000_000


@dataclass
class Clock:
    """Wall time that stands still until a test moves it."""

    now_ms: int = START_MS

    def __call__(self) -> int:
        """Milliseconds since 1970."""
        return self.now_ms


@dataclass
class Scene:
    """A started store with the accounts anna, bert and carl."""

    store: Store
    clock: Clock
    anna: str = ""
    bert: str = ""
    carl: str = ""
    commits: list[Commit] = field(default_factory=list)
    _cids: Iterator[int] = field(default_factory=itertools.count)

    async def begin(self) -> None:
        """Starts the store, makes the people, listens."""
        await self.store.start()
        people = await self.store.accounts.ensure(["anna", "bert", "carl"])
        self.anna, self.bert, self.carl = (account.id for account in people)
        self.store.log.on_commit(self.commits.append)

    async def room(self, *members: str, kind: Kind = Kind.PUBLIC) -> str:
        """A room of anna's, with members."""
        view = await self.store.rooms.create(self.anna, kind, "a room")
        if members:
            await self.store.rooms.add(self.anna, view.room.id, list(members))
        return view.room.id

    def post(self, room: str, user: str, cid: str | None = None, text: str = "hi") -> Post:
        """A message that no one has sent before, unless `cid` says so."""
        cid = cid or f"cid-{next(self._cids)}"
        return Post(room, user, cid, f'{{"text":"{text}"}}', None, None)

    async def say(self, room: str, count: int = 1) -> list[Outcome]:
        """Messages of anna's."""
        return await self.store.log.append([self.post(room, self.anna) for _ in range(count)])

    async def head(self, room: str) -> int:
        """The last seq of a room."""
        return (await self.store.log.page(room, NEWEST, 1)).last

    async def lines(self, room: str) -> list[str]:
        """The whole log of a room of at most 100 events."""
        return (await self.store.log.page(room, NEWEST, 100)).lines

    def told(self, room: str) -> list[str]:
        """The lines of a room that commits have told, in order."""
        return [
            event.line
            for commit in self.commits
            for run in commit.runs
            if run.room == room
            for event in run.events
        ]


def stored(outcome: Outcome) -> Stored:
    """The outcome, which is no refusal."""
    assert isinstance(outcome, Stored), outcome
    return outcome


def refused(outcome: object) -> Code:
    """The code of a refusal."""
    assert isinstance(outcome, Refusal), outcome
    return outcome.code
