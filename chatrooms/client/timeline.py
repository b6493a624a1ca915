"""One consumer's view of one room: durable events exactly once, in order. Pure.

The log is the truth and can be read again, so whatever does not reach the consumer by the
socket (a `gap`, a lost step, a consumer that reads too slowly) is one and the same thing here:
a hole between what was delivered and what is known to exist, to be closed by reading history.
That is also the policy for slow consumers: the socket is always read, so acks and pings flow
and nothing can deadlock; durable events that find the inbox full are dropped here and fetched
from history when there is space; passing events (typing, presence, …) are simply shed.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chatrooms.client.events import Durable, EpochChanged, Event, Gap, Position

FETCH_EVENTS_MAX = 100
PENDING_EVENTS_MAX = 256
STALLS_MAX = 5


class Inbox:
    """The bounded queue in front of one consumer; `on_ready` is called when it fills."""

    def __init__(self, events_max: int, on_ready: Callable[[], None] = lambda: None) -> None:
        """`events_max`: how many events may wait."""
        self.events_max = events_max
        self.on_ready = on_ready
        self._events: deque[Event] = deque()

    def __len__(self) -> int:
        """Count the waiting events."""
        return len(self._events)

    @property
    def space(self) -> int:
        """How many more durable events fit."""
        return max(0, self.events_max - len(self._events))

    def push(self, event: Event) -> None:
        """Queue an event; callers look at `space` first.

        Only `Gap` and `EpochChanged`, which are rare and must not be lost, go beyond the bound.
        """
        self._events.append(event)
        self.on_ready()

    def offer(self, event: Event) -> None:
        """Queue a passing event, or shed it when there is no space."""
        if self.space:
            self.push(event)

    def pop(self) -> Event | None:
        """Take the oldest event, or None."""
        return self._events.popleft() if self._events else None


@dataclass(frozen=True, slots=True)
class Fetch:
    """A history read the timeline asks for: `limit` events after `after`, exclusive."""

    room: str
    epoch: str
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class Page:
    """What a history read returned; `first` is the oldest seq the log still holds."""

    events: Sequence[Durable]
    first: int


class Timeline:
    """Orders, dedupes and completes the events of one room for one inbox."""

    def __init__(self, room: str, inbox: Inbox) -> None:
        """Nothing is delivered before `start` says where to begin."""
        self.room = room
        self.inbox = inbox
        self.position: Position | None = None
        self._known = 0
        self._pending: dict[int, Durable] = {}
        self._fetch: Fetch | None = None
        self._stalls = 0
        self._refused = False

    @property
    def complete(self) -> bool:
        """Whether everything known to exist has been put into the inbox."""
        return self.position is None or self.position.seq >= self._known

    @property
    def progressed(self) -> bool:
        """Whether the last page brought the consumer anything."""
        return self._stalls == 0

    def start(self, position: Position) -> None:
        """Begin after `position`."""
        self.position = position
        self._known = position.seq
        self._forget()

    def handle_event(self, event: Durable) -> None:
        """Take a durable event from the socket or from history, in any order, any times."""
        seq = event.seq
        if self.position is None or seq is None or seq <= self.position.seq:
            return
        self._known = max(self._known, seq)
        if len(self._pending) < PENDING_EVENTS_MAX or seq == self.position.seq + 1:
            self._pending[seq] = event
        self._settle()

    def handle_gap(self, last: int) -> None:
        """Note that events up to `last` exist and were not sent."""
        if self.position is not None:
            self._known = max(self._known, last)
            self._settle()

    def handle_epoch(self, position: Position) -> None:
        """The log was replaced: tell the consumer, and go on after `position`."""
        self.start(position)
        self.inbox.push(EpochChanged(self.room, position.epoch, position.seq))

    def handle_space(self) -> None:
        """The consumer took an event: move up what waited for space."""
        self._settle()

    def poll_fetch(self) -> Fetch | None:
        """Return the history read to make now; at most one is under way.

        A new read begins only with half the inbox free, so that a slow consumer costs the
        server one page per half inbox and not one per event.
        """
        at = self.position
        if at is None or self._fetch or self._refused or self.complete:
            return None
        roomy = self.inbox.space * 2 >= self.inbox.events_max
        if at.seq + 1 in self._pending or not roomy:
            return None
        limit = max(1, min(FETCH_EVENTS_MAX, self.inbox.space))
        self._fetch = Fetch(self.room, at.epoch, at.seq, limit)
        return self._fetch

    def handle_page(self, fetch: Fetch, page: Page) -> None:
        """Take the answer to `fetch`; what the log itself no longer holds becomes a `Gap`."""
        if fetch is not self._fetch or self.position is None:
            return
        self._fetch = None
        before = self.position.seq
        if page.first > before + 1:
            self._skip_to(page.first)
            self._settle()
        cursor = fetch.after
        for event in page.events:
            seq = event.seq or 0
            if seq > cursor + 1 and self.position.seq == cursor:
                self._skip_to(seq)
            self.handle_event(event)
            cursor = seq
        if self.position.seq > before or not self.inbox.space:
            self._stalls = 0
            return
        self._stalls += 1
        if self._stalls >= STALLS_MAX:
            self._stalls = 0
            self._skip_to(self._known + 1)
            self._settle()

    def handle_failure(self, fetch: Fetch) -> None:
        """`fetch` brought nothing (lost, timed out): it may be asked again."""
        if fetch is self._fetch:
            self._fetch = None

    def handle_refusal(self, fetch: Fetch) -> None:
        """History may not be read any more: holes become `Gap`s, the rest is delivered."""
        if fetch is self._fetch:
            self._fetch = None
            self._refused = True
            self._settle()

    def abandon(self) -> None:
        """No history will be read any more: what is still missing ends as one `Gap`."""
        self._forget()
        if self.position is not None and not self.complete:
            self._skip_to(self._known + 1)

    def _forget(self) -> None:
        self._pending.clear()
        self._fetch = None
        self._stalls = 0
        self._refused = False

    def _advance(self, seq: int) -> None:
        if self.position is not None:
            self.position = Position(self.position.epoch, seq)

    def _skip_to(self, seq: int) -> None:
        """Give up what is missing before `seq`, or before the first that is here; say so."""
        seq = min((seq, *self._pending))
        if self.position is None or seq <= self.position.seq + 1:
            return
        first = self.position.seq + 1
        self.inbox.push(Gap(self.room, first, seq - 1))
        self._advance(seq - 1)
        self._known = max(self._known, seq - 1)

    def _settle(self) -> None:
        """Move the run that continues the delivered events into the inbox."""
        while self.position is not None and self.inbox.space:
            event = self._pending.pop(self.position.seq + 1, None)
            if event is not None:
                self._advance(self.position.seq + 1)
                self.inbox.push(event)
            elif self._refused and not self.complete:
                self._skip_to(self._known + 1)
            else:
                return
