"""The queue of sends that are not yet answered: per room in order, each with its cid. Pure.

A send stays here until the server's `ok` or a final refusal. When the outcome is unknown
(connection lost, `timeout`, `internal`, `unavailable`) or the server asks to come back later,
it is sent again with the same cid, which the server stores at most once. One send per room is
under way at a time, so that a retry can never be overtaken by a later message of that room.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from chatrooms.client.backoff import full_jitter_ms
from chatrooms.client.errors import ChatError, ConnectionLost, OutboxFull

RETRIES_MAX = 10
IN_FLIGHT_MAX = 32


@dataclass(frozen=True, slots=True)
class Sent:
    """Where a message was stored; `dup` says that an earlier attempt had stored it."""

    seq: int
    n: int
    ts: int
    dup: bool = False


Outcome: TypeAlias = Sent | ChatError | ConnectionLost


@dataclass(eq=False, slots=True)
class Draft:
    """A send on its way. `body` is encoded JSON; `done` is called once with the outcome."""

    room: str
    cid: str
    body: bytes
    done: Callable[[Outcome], None]
    thread: int | None = None
    refusals: int = 0


class Outbox:
    """Holds drafts per room; the head of each room's queue is the one under way."""

    def __init__(self, drafts_max: int, bytes_max: int) -> None:
        """`drafts_max`, `bytes_max` (of bodies): the bounds over all rooms together."""
        self._drafts_max = drafts_max
        self._bytes_max = bytes_max
        self._rooms: OrderedDict[str, deque[Draft]] = OrderedDict()
        self._in_flight: set[Draft] = set()
        self._not_before: dict[str, float] = {}
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        """Count the drafts that have no outcome yet."""
        return self._count

    def push(self, draft: Draft) -> None:
        """Queue a draft at the end of its room; raises `OutboxFull` and keeps nothing if full."""
        if self._count >= self._drafts_max or self._bytes + len(draft.body) > self._bytes_max:
            raise OutboxFull(
                f"{self._count} messages ({self._bytes} bytes) already wait to be sent"
            )
        self._rooms.setdefault(draft.room, deque()).append(draft)
        self._count += 1
        self._bytes += len(draft.body)

    def poll_ready(self, now: float) -> Iterator[Draft]:
        """Yield the drafts to send now and count them as under way."""
        for room, drafts in list(self._rooms.items()):
            if len(self._in_flight) >= IN_FLIGHT_MAX:
                return
            if drafts[0] in self._in_flight or self._not_before.get(room, now) > now:
                continue
            self._not_before.pop(room, None)
            self._in_flight.add(drafts[0])
            self._rooms.move_to_end(room)
            yield drafts[0]

    def poll_deadline(self) -> float | None:
        """Return when a refused draft may be tried again (s), or None."""
        return min(self._not_before.values(), default=None)

    def handle_sent(self, draft: Draft, sent: Sent) -> None:
        """The server stored the draft."""
        self._finish(draft, sent)

    def handle_refused(self, draft: Draft, err: ChatError, now: float, fraction: float) -> None:
        """The server refused the draft: for good, or to be tried again after a pause."""
        self._in_flight.discard(draft)
        draft.refusals += 1
        if not err.retry or draft.refusals > RETRIES_MAX:
            self._finish(draft, err)
            return
        pause_ms = err.retry_after_ms
        if pause_ms is None:
            pause_ms = full_jitter_ms(draft.refusals - 1, fraction)
        self._not_before[draft.room] = now + pause_ms / 1000

    def handle_disconnected(self) -> None:
        """The connection is gone: everything under way has an unknown outcome, so retry it."""
        self._in_flight.clear()
        self._not_before.clear()

    def withdraw(self, draft: Draft) -> bool:
        """Drop a draft that was not sent yet; one under way cannot be taken back."""
        drafts = self._rooms.get(draft.room, ())
        if draft in self._in_flight or draft not in drafts:
            return False
        self._remove(draft)
        return True

    def fail_all(self, error: ChatError | ConnectionLost) -> None:
        """The client stops: every draft ends with `error`."""
        for drafts in list(self._rooms.values()):
            for draft in list(drafts):
                self._finish(draft, error)

    def _finish(self, draft: Draft, outcome: Outcome) -> None:
        if draft in self._rooms.get(draft.room, ()):
            self._remove(draft)
            draft.done(outcome)

    def _remove(self, draft: Draft) -> None:
        drafts = self._rooms[draft.room]
        drafts.remove(draft)
        self._in_flight.discard(draft)
        self._count -= 1
        self._bytes -= len(draft.body)
        if not drafts:
            del self._rooms[draft.room]
            self._not_before.pop(draft.room, None)
