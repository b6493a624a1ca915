"""Random histories on SQLite and memory side by side: every answer and every event agree."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chatrooms.adapters import sqlite
from chatrooms.adapters.memory import MemoryStore
from chatrooms.domain.errors import Refusal
from chatrooms.domain.room import Kind, Role, private_log
from chatrooms.ports.log import Anchor, Commit, Post
from tests.contract.scenes import Clock, Store

NAMES = ("anna", "bert", "carl", "dora")
ROOMS = ("pub", "priv", "direct", "nowhere")
who = st.integers(0, len(NAMES) - 1)
where = st.sampled_from(ROOMS)
post = st.tuples(who, where, st.sampled_from("abcdef"), st.sampled_from(["1", "1.0", "true"]))
anchor = st.builds(
    Anchor, st.sampled_from(["newest", "before", "after", "around"]), st.integers(0, 30)
)


class Side:
    """One store with its own ids, and its answers in names instead of ids."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.users: list[str] = []
        self.rooms = {"pub": "pub", "priv": "priv", "nowhere": "nowhere", "direct": "none-yet"}
        self.commits: list[Commit] = []
        self._clock = clock

    async def begin(self) -> None:
        """The same people and rooms on both sides; ids rise with time."""
        await self.store.start()
        for name in NAMES:
            self._clock.now_ms += 1
            (account,) = await self.store.accounts.ensure([name])
            self.users.append(account.id)
        self.store.log.on_commit(self.commits.append)
        await self.store.rooms.create(self.users[0], Kind.PUBLIC, "Pub", "pub")
        await self.store.rooms.create(self.users[0], Kind.PRIVATE, "Priv", "priv")

    def named(self, value: object) -> str:
        """Any answer as text, ids replaced by names, refusals by their codes."""
        if isinstance(value, Refusal):
            return f"{value.code} {value.field}"
        if isinstance(value, (list, tuple)) and any(isinstance(x, Refusal) for x in value):
            return str([self.named(x) for x in value])
        text = str(value)
        for user, name in zip(self.users, NAMES, strict=True):
            text = text.replace(user, name)
        return text.replace(self.rooms["direct"], "direct").replace(self.store.log.epoch, "epoch")

    def told(self) -> list[str]:
        """The runs told since the last look, without the commits' boundaries."""
        runs = [self.named(run) for commit in self.commits for run in commit.runs]
        self.commits.clear()
        return runs


class Stores(RuleBasedStateMachine):
    """Each rule asks both stores the same."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.sides: list[Side] = []

    @initialize()
    def begin(self) -> None:
        """Two fresh stores."""
        clocks = [Clock(), Clock()]
        path = Path(self.directory.name)
        stores: list[Store] = [
            MemoryStore(clocks[0]),
            sqlite.open_store(path, synchronous="NORMAL", clock=clocks[1]),
        ]
        self.sides = [Side(store, clock) for store, clock in zip(stores, clocks, strict=True)]
        for side in self.sides:
            self.runner.run(side.begin())

    def both(self, ask: Callable[[Side], Awaitable[Any]]) -> None:
        """Asks both; answers, refusals and told events must agree."""
        answers = []
        for side in self.sides:
            try:
                answer = self.runner.run(_await(ask(side)))
            except Refusal as refusal:
                answer = refusal
            answers.append(side.named(answer))
        assert answers[0] == answers[1]

    @rule(posts=st.lists(post, max_size=8))
    def append(self, posts: list[tuple[int, str, str, str]]) -> None:
        """Messages with few cids and few contents, so that doubles and conflicts abound."""
        self.both(
            lambda side: side.store.log.append(
                [
                    Post(side.rooms[room], side.users[user], cid, f'{{"v":{body}}}', None, None)
                    for user, room, cid, body in posts
                ]
            )
        )

    @rule(user=who, room=where, change=st.sampled_from(["join", "leave"]))
    def come_and_go(self, user: int, room: str, change: str) -> None:
        """Join and leave."""
        self.both(
            lambda side: getattr(side.store.rooms, change)(side.users[user], side.rooms[room])
        )

    @rule(
        actor=who,
        room=where,
        user=who,
        change=st.sampled_from(["invite", "kick", "ban", "unban"]),
    )
    def act(self, actor: int, room: str, user: int, change: str) -> None:
        """What one does to another."""
        self.both(
            lambda side: getattr(side.store.rooms, change)(
                side.users[actor], side.rooms[room], side.users[user]
            )
        )

    @rule(actor=who, room=where, user=who, role=st.sampled_from(list(Role)))
    def set_role(self, actor: int, room: str, user: int, role: Role) -> None:
        """Roles."""
        self.both(
            lambda side: side.store.rooms.set_role(
                side.users[actor], side.rooms[room], side.users[user], role
            )
        )

    @rule(actor=who, room=where, users=st.lists(who))
    def add(self, actor: int, room: str, users: list[int]) -> None:
        """Many at once."""
        self.both(
            lambda side: side.store.rooms.add(
                side.users[actor], side.rooms[room], [side.users[user] for user in users]
            )
        )

    @rule(actor=st.sampled_from([0, 1]))
    def direct(self, actor: int) -> None:
        """The one direct room of anna and bert."""

        async def open_room(side: Side) -> object:
            view, made = await side.store.rooms.direct(side.users[actor], side.users[1 - actor])
            side.rooms["direct"] = view.room.id
            return view, made

        self.both(open_room)

    @rule(asks=st.lists(st.tuples(who, where, st.integers(0, 12)), max_size=5))
    def read(self, asks: list[tuple[int, str, int]]) -> None:
        """Marks."""
        self.both(
            lambda side: side.store.marks.advance(
                [(side.users[user], side.rooms[room], n) for user, room, n in asks]
            )
        )

    @rule(room=where, anchor=anchor, limit=st.integers(1, 12), bytes_max=st.integers(1, 2_000))
    def page(self, room: str, anchor: Anchor, limit: int, bytes_max: int) -> None:
        """Pages; ids are equally long on both sides, so bytes agree."""
        self.both(lambda side: side.store.log.page(side.rooms[room], anchor, limit, bytes_max))

    @rule(room=where, after=st.integers(0, 20), more=st.integers(0, 10))
    def since(self, room: str, after: int, more: int) -> None:
        """Missed events of logs that are there, up to their heads."""

        async def missed(side: Side) -> object:
            page = await side.store.log.page(side.rooms[room], Anchor("newest"), 1)
            upto = min(after + more, page.last)
            return await side.store.log.since([(side.rooms[room], after, upto)], 8, 1_000)

        self.both(missed)

    @invariant()
    def stores_agree(self) -> None:
        """Standings, lists and the commit feed."""
        if not self.sides:
            return
        told = [side.told() for side in self.sides]
        assert told[0] == told[1]
        self.both(
            lambda side: side.store.positions.look(
                [
                    (user, room)
                    for user in side.users
                    for room in [*side.rooms.values(), private_log(user)]
                ]
            )
        )
        self.both(lambda side: side.store.rooms.members("priv", 9, None))
        self.both(lambda side: side.store.rooms.of_user(side.users[1], 9, None))

    def teardown(self) -> None:
        """Walks the file, then throws both away."""
        for side in self.sides:
            self.runner.run(_close(side))
        self.runner.close()
        self.directory.cleanup()


async def _await(asked: Awaitable[Any]) -> object:
    return await asked


async def _close(side: Side) -> None:
    findings = [finding async for finding in side.store.log.walk()]
    await side.store.close()
    assert all(not problems for *_, problems in findings)


TestStores = Stores.TestCase
TestStores.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
