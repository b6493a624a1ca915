"""The one thread that writes: what waits when it is free becomes one transaction (group commit).

Bounds: EVENTS_WAITING_MAX messages or changes and BYTES_WAITING_MAX of bodies wait, else
`overloaded`; a transaction takes EVENTS_MAX messages and BATCH_BYTES_MAX. After every transaction
the event loop is woken once: it tells the commit to the listener, then answers the callers.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

from chatrooms.adapters.sqlite.append import EVENTS_MAX, append, append_apart
from chatrooms.adapters.sqlite.failpoints import (
    AFTER_COMMIT,
    BEFORE_COMMIT,
    MID_COMMIT,
    Failpoints,
)
from chatrooms.adapters.sqlite.failures import RETRY_AFTER_MS, as_refusal
from chatrooms.adapters.sqlite.savepoints import reraise_io, within_savepoint
from chatrooms.adapters.sqlite.schema import connect
from chatrooms.adapters.sqlite.transaction import Transaction
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.log import Commit, Outcome, Post

T = TypeVar("T")
Change = Callable[[Transaction], Any]
_Future = asyncio.Future[Any]

BATCH_BYTES_MAX: Final = 1024 * 1024
EVENTS_WAITING_MAX: Final = 16_384
BYTES_WAITING_MAX: Final = 32 * 1024 * 1024

_log = logging.getLogger(__name__)


class _Job(NamedTuple):
    """Posts to append, or a change to run; either is what one caller waits for."""

    posts: Sequence[Post]
    change: Change | None
    future: _Future
    events: int
    body_bytes: int


class _Closed(NamedTuple):
    """Put behind the last job: the thread ends when it comes to it."""


class Writer:
    """Owns the writing connection. All methods but the thread's own run on the event loop."""

    def __init__(
        self,
        path: Path,
        *,
        synchronous: str,
        now_ms: Callable[[], int],
        failpoints: Failpoints,
    ) -> None:
        self._path = path
        self._synchronous = synchronous
        self.now_ms = now_ms
        self._failpoints = failpoints
        self._queue: queue.SimpleQueue[_Job | _Closed] = queue.SimpleQueue()
        self._held: _Job | _Closed | None = None
        self._db: sqlite3.Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._events_waiting = 0
        self._bytes_waiting = 0
        self._closing = False
        self.listener: Callable[[Commit], None] | None = None
        self.committed_at = 0.0  # monotonic seconds of the last transaction that went well
        self.commits = 0
        self.checkpoint_due = False  # set by housekeeping

    def start(self) -> None:
        """Starts the thread; commits are told on the loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """Writes what waits, then ends the thread; later calls are refused."""
        if self._closing:
            return
        self._closing = True
        self._queue.put(_Closed())
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        await asyncio.sleep(0)  # the last commit is told

    async def append(self, posts: Sequence[Post]) -> list[Outcome]:
        """The outcomes of `posts`, cut into as many jobs as the bounds of a transaction ask for."""
        parts = _cut(posts)
        sizes = [sum([len(post.body) for post in part]) for part in parts]
        self._admit(len(posts), sum(sizes))
        futures = [
            self._put(_Job(part, None, self._future(), len(part), size))
            for part, size in zip(parts, sizes, strict=True)
        ]
        if len(futures) == 1:
            return cast("list[Outcome]", await futures[0])
        done = await asyncio.gather(*futures)
        return [outcome for outcomes in done for outcome in outcomes]

    async def change(self, change: Callable[[Transaction], T]) -> T:
        """Runs `change` in a transaction of its turn; it may run twice, so it touches only `tx`."""
        self._admit(1, 0)
        return cast("T", await self._put(_Job((), change, self._future(), 1, 0)))

    def _admit(self, events: int, body_bytes: int) -> None:
        if self._closing or self._loop is None:
            raise Refusal(Code.UNAVAILABLE, "the store is closed", retry_after_ms=RETRY_AFTER_MS)
        if (
            self._events_waiting + events > EVENTS_WAITING_MAX
            or self._bytes_waiting + body_bytes > BYTES_WAITING_MAX
        ):
            raise Refusal(Code.OVERLOADED, "the store is busy", retry_after_ms=RETRY_AFTER_MS)

    def _future(self) -> _Future:
        return cast("asyncio.AbstractEventLoop", self._loop).create_future()

    def _put(self, job: _Job) -> _Future:
        self._events_waiting += job.events
        self._bytes_waiting += job.body_bytes
        self._queue.put(job)
        return job.future

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            batch = self._take()
            if not batch:
                break
            self._execute(batch)
        if self._db is not None:
            self._db.close()

    def _take(self, *, wait: bool = True) -> list[_Job]:
        """Everything that waits, within the bounds of a transaction; empty at the end."""
        try:
            job = self._held if self._held is not None else self._queue.get(block=wait)
        except queue.Empty:
            return []
        self._held = None
        batch: list[_Job] = []
        events = body_bytes = 0
        while isinstance(job, _Job):
            events += job.events
            body_bytes += job.body_bytes
            if batch and (events > EVENTS_MAX or body_bytes > BATCH_BYTES_MAX):
                break
            batch.append(job)
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return batch
        self._held = job
        return batch

    def _execute(self, batch: list[_Job]) -> None:
        begun = time.perf_counter()
        try:
            try:
                tx, results = self._transact(batch, careful=False)
            except Exception as error:  # noqa: BLE001 -- a row is to blame, or the disk
                self._roll_back()
                reraise_io(error)
                tx, results = self._transact(batch, careful=True)
        except Exception as error:  # noqa: BLE001 -- everyone who waits is told
            self._roll_back()
            self._fail(batch, error)
            return
        self.committed_at = time.monotonic()
        self.commits += 1
        commit = Commit(
            runs=tx.runs(),
            outcomes=tuple(
                [
                    pair
                    for job, result in zip(batch, results, strict=True)
                    if job.change is None
                    for pair in zip(job.posts, result, strict=True)
                ]
            ),
            seconds=time.perf_counter() - begun,
        )
        self._call(self._tell, commit, batch, results)
        self._bound_wal()

    def _transact(self, batch: list[_Job], *, careful: bool) -> tuple[Transaction, list[Any]]:
        posting = any(job.posts for job in batch)
        if posting and not careful:
            self._failpoints.pass_by(BEFORE_COMMIT)
        db = self._connected()
        db.execute("BEGIN IMMEDIATE")
        tx = Transaction(db, self.now_ms())
        results: list[Any] = []
        start = 0
        while start < len(batch):
            job = batch[start]
            if job.change is not None:
                results.append(_attempt(tx, job.change))
                start += 1
                continue
            end = start
            while end < len(batch) and batch[end].change is None:
                end += 1
            results += _append_jobs(tx, batch[start:end], careful=careful)
            start = end
        if posting:
            self._failpoints.pass_by(MID_COMMIT)
        db.execute("COMMIT")
        if posting:
            self._failpoints.pass_by(AFTER_COMMIT)
        return tx, results

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = connect(self._path, synchronous=self._synchronous)
        return self._db

    def _roll_back(self) -> None:
        """Ends a failed transaction; a connection that cannot even do that is opened anew."""
        if self._db is None:
            return
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            self._db.close()
            self._db = None

    def _fail(self, batch: list[_Job], error: Exception) -> None:
        why = as_refusal(error)
        if why.code is Code.UNAVAILABLE:
            batch += self._drain()
        _log.error("the store refused %d jobs: %s", len(batch), error)
        self._call(self._tell, None, batch, [why] * len(batch))

    def _drain(self) -> list[_Job]:
        """All that waits: in an outage it would wait for the same failure a second time."""
        jobs: list[_Job] = []
        while batch := self._take(wait=False):
            jobs += batch
        return jobs

    def _bound_wal(self) -> None:
        """Completes the checkpoint in the background, which cannot catch up while others write."""
        if not self.checkpoint_due or self._db is None:
            return
        self.checkpoint_due = False
        try:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            _log.warning("checkpoint failed: %s", error)

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        try:
            cast("asyncio.AbstractEventLoop", self._loop).call_soon_threadsafe(callback, *args)
        except RuntimeError:
            _log.warning("the event loop ended before the store was closed")

    # --- on the loop again ---------------------------------------------------------------------

    def _tell(self, commit: Commit | None, batch: list[_Job], results: list[Any]) -> None:
        for job in batch:
            self._events_waiting -= job.events
            self._bytes_waiting -= job.body_bytes
        if commit is not None and self.listener is not None:
            try:
                self.listener(commit)
            except Exception:  # noqa: BLE001 -- callers are answered whatever it does
                _log.exception("the commit listener failed")
        for job, result in zip(batch, results, strict=True):
            if job.future.done():
                continue
            if isinstance(result, Exception):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)


def _attempt(tx: Transaction, change: Change) -> Any:  # noqa: ANN401 -- each change has its own
    """The result of a change, or the Refusal that it came to; it fails alone."""
    try:
        return within_savepoint(tx, lambda: change(tx))
    except Refusal as refusal:
        return refusal
    except Exception as error:  # noqa: BLE001 -- whatever a change can cause
        reraise_io(error)
        _log.exception("a change of the store failed")
        return as_refusal(error)


def _append_jobs(tx: Transaction, jobs: list[_Job], *, careful: bool) -> list[list[Outcome]]:
    posts = [post for job in jobs for post in job.posts]
    if not posts:
        return [[] for _ in jobs]
    outcomes = append_apart(tx, posts) if careful else append(tx, posts)
    results: list[list[Outcome]] = []
    start = 0
    for job in jobs:
        results.append(outcomes[start : start + len(job.posts)])
        start += len(job.posts)
    return results


def _cut(posts: Sequence[Post]) -> list[list[Post]]:
    parts: list[list[Post]] = [[]]
    body_bytes = 0
    for post in posts:
        body_bytes += len(post.body)
        if len(parts[-1]) == EVENTS_MAX or (parts[-1] and body_bytes > BATCH_BYTES_MAX):
            parts.append([])
            body_bytes = len(post.body)
        parts[-1].append(post)
    return parts
