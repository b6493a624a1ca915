"""A lane: work of one class in flight, with its own bound and the answers owed for it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from chatrooms.domain.errors import Code, Refusal
from chatrooms.ingress.once import AnswerOnce, Asked

_log = structlog.get_logger(__name__)

_CONNECTIONS_LOGGED: Final = 8


class Lane:
    """At most `batches_max` batches and `items_max` items; full, the queue behind it fills up.

    Every item is answered: by the work itself, or here with `timeout`, with the Refusal that the
    work raised, or with `internal`. A timeout cancels nothing.
    """

    def __init__(
        self,
        name: str,
        answers: AnswerOnce,
        *,
        batches_max: int,
        items_max: int,
        timeout_seconds: float,
        freed: Callable[[], None],
    ) -> None:
        self.name = name
        self.timeouts = 0
        self.failures = 0
        self._answers = answers
        self._batches_max = batches_max
        self._items_max = items_max
        self._timeout_seconds = timeout_seconds
        self._freed = freed
        self._items = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def items(self) -> int:
        """Items at work now."""
        return self._items

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """Batches at work now."""
        return frozenset(self._tasks)

    def space(self) -> int:
        """How many items may start now; 0 when the lane is full."""
        if len(self._tasks) >= self._batches_max:
            return 0
        return self._items_max - self._items

    def run(
        self,
        work: Callable[[], Awaitable[object]],
        items: int,
        asked: Callable[[], Iterable[Asked]],
    ) -> None:
        """Starts `work` for `items` items; `asked` names them, called only when one is needed."""
        self._items += items
        task = asyncio.get_running_loop().create_task(self._watch(work, items, asked))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _watch(
        self,
        work: Callable[[], Awaitable[object]],
        items: int,
        asked: Callable[[], Iterable[Asked]],
    ) -> None:
        expired = False

        def expire() -> None:
            nonlocal expired
            expired = True
            waiting = list(asked())
            self.timeouts += len(waiting)
            self._answers.expire(waiting)

        timer = asyncio.get_running_loop().call_later(self._timeout_seconds, expire)
        try:
            await work()
        except Refusal as why:
            self._answers.fail(asked(), why)
        except Exception:  # noqa: BLE001 -- whatever it was, each item gets an answer
            waiting = list(asked())
            self.failures += items
            connections = [ask.connection for ask in waiting[:_CONNECTIONS_LOGGED]]
            _log.exception("work failed", lane=self.name, items=items, connections=connections)
            self._answers.fail(waiting, Refusal(Code.INTERNAL, "the server failed"))
        finally:
            timer.cancel()
            self._items -= items
            if expired:
                self._answers.settle(asked())

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._freed()
