"""The log of every room: the truth that acks, deliveries, resume and history rest on."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from chatrooms.domain.errors import Refusal
from chatrooms.domain.event import Run
from chatrooms.domain.page import PAGE_BYTES_MAX


class Post(NamedTuple):
    """A message to store; `tag` comes back untouched.

    `body` is the JSON object as received. Line ends between its tokens are stored as blanks, since
    a stored event is one line.
    """

    room: str
    user: str
    cid: str
    body: str
    thread: int | None
    tag: object


class Stored(NamedTuple):
    """Where a message stands; `dup` when the same cid had been stored before with this content."""

    seq: int
    n: int
    ts_ms: int
    dup: bool


Outcome = Stored | Refusal


@dataclass(frozen=True, slots=True)
class Commit:
    """What one transaction made durable: new runs, one a room, and each post's outcome in order."""

    runs: tuple[Run, ...]
    outcomes: tuple[tuple[Post, Outcome], ...]
    seconds: float


class Page(NamedTuple):
    """A stretch of a log: encoded lines in seq order, the log's bounds, and whether more follow."""

    epoch: str
    lines: list[str]
    first: int
    last: int
    more: bool


class Anchor(NamedTuple):
    """Where a page starts: "newest", "before" (exclusive), "after" (exclusive) or "around"."""

    kind: str
    seq: int = 0


class Log(Protocol):
    """Append and read.

    Atomicity: what waits when the writer is free is one transaction (group commit), at most 512
    events and 1 MiB; it is durable before anything of it is told to anyone. An error that is not
    I/O splits the batch by room and retries once, so that a bad row fails alone.
    Order: seq of a room rises by one with no gap; posts of one `append` call to one room get seqs
    in their order, and calls in the order they were made.
    Told once: every commit goes to the listener exactly once, on the event loop, in commit order,
    before the `append` (or room change) that it belongs to returns.
    """

    @property
    def epoch(self) -> str:
        """The identity of this database's logs, one string until a restore."""
        ...

    def on_commit(self, listener: Callable[[Commit], None]) -> None:
        """Sets the one listener; call it before the first append."""
        ...

    async def append(self, posts: Sequence[Post]) -> list[Outcome]:
        """Stores `posts`; the outcomes stand in the same order.

        Outcomes that are refusals stored nothing: `not_found`/`not_member`/`banned` judged inside
        the transaction, then `cid_conflict` (same (room, user, cid), other content).
        Raises Refusal `unavailable` (the store cannot write now: nothing is known to be stored,
        retry with the same cid) or `overloaded` (the queue is full, nothing stored).
        """
        ...

    async def page(
        self, room: str, anchor: Anchor, limit: int, bytes_max: int = PAGE_BYTES_MAX
    ) -> Page:
        """At most `limit` (1..100) events of `room`'s log, ascending, in one read.

        Fewer when they come to more than `bytes_max` bytes (one always stays): what is left out is
        at the far end from the anchor, and `more` says so.

        `more` is meant in the direction asked ("newest" and "before": older ones; "around": newer).
        A read begun after an append returned contains it. An unknown room: an empty page, first
        and last 0.
        """
        ...

    async def since(
        self, wants: Sequence[tuple[str, int, int]], events_max: int, bytes_max: int
    ) -> list[list[str] | None]:
        """For each (room, after, upto) the lines after+1..upto, in one read for all.

        None for a want with more than `events_max` events or `bytes_max` bytes.
        """
        ...

    async def changed_since(self, cursor: int) -> tuple[list[tuple[str, int]], int]:
        """(room, head) of every log that grew after `cursor`, and the new cursor (row order).

        A far cursor comes closer by a bounded number of events a call: ask until it stands still.
        """
        ...

    def walk(self) -> AsyncIterator[tuple[str, int, int, int, list[str]]]:
        """Every room's log for `verify`: (room, head, count, distinct seqs, problems found).

        Damage of the file itself comes first, with the room "".
        """
        ...
