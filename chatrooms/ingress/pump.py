"""Takes batches from the core whenever it wakes the loop, and starts the use case of each.

Sends, asks and auths have each their own lane: a slow `hist` holds up no send, and a hello storm
no history. A full lane is not taken from, so that the core stops reading the sockets behind it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from chatrooms.app.asks import (
    Asks,
    AuthAsk,
    HelloAsk,
    HistAsk,
    ReadAsk,
    RepairAsk,
    SubAsk,
    WhoAsk,
)
from chatrooms.domain.errors import Refusal
from chatrooms.ingress.inbox import Inbox
from chatrooms.ingress.lane import Lane
from chatrooms.ingress.once import AnswerOnce, Asked
from chatrooms.ports.log import Log, Post

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Every bound of the pump, with its unit."""

    batch_items_max: int = 512
    batch_bytes_max: int = 1_048_576
    send_batches_max: int = 4
    sends_max: int = 4_096
    asks_max: int = 1_024
    reads_at_once_max: int = 16
    hello_batches_max: int = 4
    hellos_max: int = 1_024
    timeout_seconds: float = 5.0


class Pump:
    """Between the inbox and the use cases; everything runs on the loop that `start` was called on.

    A batch of sends is one `append` and is not awaited: the next may be taken while it commits.
    """

    def __init__(
        self, inbox: Inbox, log: Log, asks: Asks, answers: AnswerOnce, bounds: Bounds | None = None
    ) -> None:
        self._inbox = inbox
        self._store = log
        self._asks = asks
        self._bounds = bounds or Bounds()
        limits = self._bounds
        self._sends = self._lane("sends", answers, limits.send_batches_max, limits.sends_max)
        self._reads = self._lane("asks", answers, limits.asks_max, limits.asks_max)
        self._auths = self._lane("auths", answers, limits.hello_batches_max, limits.hellos_max)
        self._slots = asyncio.Semaphore(limits.reads_at_once_max)
        # By log, after which seq: as bounded as the lane they are in.
        self._repairing: dict[str, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled: asyncio.Handle | None = None

    @property
    def lanes(self) -> tuple[Lane, Lane, Lane]:
        """Sends, asks, auths: for metrics and for draining."""
        return (self._sends, self._reads, self._auths)

    def start(self) -> None:
        """Watches the inbox from now on."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._inbox.wake_fd(), self._wake)
        self._schedule()

    async def settle(self, timeout_seconds: float) -> None:
        """Waits until what was taken has been answered, at most `timeout_seconds`."""
        tasks = [task for lane in self.lanes for task in lane.tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_seconds)

    async def stop(self) -> None:
        """Watches no more and cancels what is still at work."""
        if self._loop is None:
            return
        loop, self._loop = self._loop, None
        loop.remove_reader(self._inbox.wake_fd())
        if self._scheduled is not None:
            self._scheduled.cancel()
        tasks = [task for lane in self.lanes for task in lane.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _lane(self, name: str, answers: AnswerOnce, batches_max: int, items_max: int) -> Lane:
        return Lane(
            name,
            answers,
            batches_max=batches_max,
            items_max=items_max,
            timeout_seconds=self._bounds.timeout_seconds,
            freed=self._schedule,
        )

    def _schedule(self) -> None:
        """One wake soon: at the start, when a lane was freed, and after each that took anything."""
        if self._loop is not None and self._scheduled is None:
            self._scheduled = self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        if self._loop is None:
            return
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        # Cleared first: what is put in after this rings again, what was before is taken now.
        self._inbox.clear_wake()
        if self._take_sends() + self._take_asks() + self._take_auths():
            self._schedule()

    def _take_sends(self) -> int:
        space = min(self._sends.space(), self._bounds.batch_items_max)
        if space <= 0:
            return 0
        items = self._inbox.take_sends(space, self._bounds.batch_bytes_max)
        if items:
            posts = list(map(Post._make, items))
            self._sends.run(
                partial(self._store.append, posts), len(posts), partial(_senders, posts)
            )
        return len(items)

    def _take_asks(self) -> int:
        space = min(self._reads.space(), self._bounds.batch_items_max)
        if space <= 0:
            return 0
        items = self._inbox.take_asks(space)
        kinds = _by_kind(items)
        if subs := [SubAsk(*fields) for fields in kinds.pop("sub", ())]:
            self._start(self._reads, partial(self._asks.subscribe_many, subs), subs)
        if reads := [ReadAsk(*fields) for fields in kinds.pop("read", ())]:
            self._start(self._reads, partial(self._asks.mark_many, reads), reads)
        for fields in kinds.pop("hist", ()):
            hist = HistAsk(*fields)
            self._start(
                self._reads, partial(self._in_turn, partial(self._asks.history, hist)), [hist]
            )
        for fields in kinds.pop("who", ()):
            who = WhoAsk(*fields)
            self._start(self._reads, partial(self._in_turn, partial(self._asks.who, who)), [who])
        for fields in kinds.pop("repair", ()):
            self._start_repair(RepairAsk(*fields))
        _complain(kinds)
        return len(items)

    def _take_auths(self) -> int:
        space = min(self._auths.space(), self._bounds.batch_items_max)
        if space <= 0:
            return 0
        items = self._inbox.take_auths(space)
        kinds = _by_kind(items)
        if hellos := [HelloAsk(*fields) for fields in kinds.pop("hello", ())]:
            asked = [Asked(ask.connection, ask.id, None) for ask in hellos]
            self._auths.run(partial(self._asks.welcome_many, hellos), len(hellos), asked.copy)
        for fields in kinds.pop("auth", ()):
            auth = AuthAsk(*fields)
            once = [Asked(auth.connection, auth.id, None)]
            self._auths.run(partial(self._asks.reauthorize, auth), 1, once.copy)
        _complain(kinds)
        return len(items)

    def _start(
        self,
        lane: Lane,
        work: Callable[[], Awaitable[None]],
        asks: Sequence[SubAsk | ReadAsk | HistAsk | WhoAsk],
    ) -> None:
        lane.run(work, len(asks), lambda: [Asked(ask.connection, ask.id, ask.room) for ask in asks])

    async def _in_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Pages are large: only so many are in memory at once."""
        async with self._slots:
            await work()

    def _start_repair(self, ask: RepairAsk) -> None:
        """One at a time of a log, or a store that hangs would collect them: the hub asks again."""
        under_way = self._repairing.get(ask.log)
        if under_way is None or ask.after < under_way:
            self._repairing[ask.log] = ask.after
            self._reads.run(partial(self._repair, ask), 1, list)

    async def _repair(self, ask: RepairAsk) -> None:
        """Tried once; the hub holds back what comes later in this log and asks again."""
        try:
            await self._asks.repair(ask)
        except Exception as why:  # noqa: BLE001 -- the hub asks again, whatever it was
            expected = isinstance(why, Refusal)
            _log.warning("repair failed", log=ask.log, after=ask.after, exc_info=not expected)
        finally:
            self._repairing.pop(ask.log, None)


def _senders(posts: Sequence[Post]) -> Iterable[Asked]:
    for post in posts:
        tag: Any = post.tag
        yield Asked(tag[0], tag[1], post.room)


def _by_kind(items: Sequence[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    kinds: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for item in items:
        kinds[item[0]].append(item[1:])
    return kinds


def _complain(kinds: dict[str, list[tuple[Any, ...]]]) -> None:
    """A kind that nobody here knows is a defect of the core: said, not passed over."""
    for kind, items in kinds.items():
        _log.error("unknown ask", kind=kind, items=len(items))
