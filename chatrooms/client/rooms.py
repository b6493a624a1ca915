"""The rooms a client follows and who reads them: routes events to timelines. Pure.

A feed is one consumer: the feed of a `Subscription` holds one room, the feed of
`ChatClient.events()` all of them. Each has its own timeline per room, so every consumer sees
every durable event exactly once and none waits for another.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from chatrooms.client.errors import ChatError, ConnectionLost
from chatrooms.client.events import (
    EpochChanged,
    Event,
    Gap,
    Mark,
    MemberEvent,
    Message,
    Position,
    Presence,
    is_durable,
)
from chatrooms.client.timeline import Fetch, Inbox, Timeline

ME = "me"
HELLO_ROOMS_MAX = 256
_PARTING = frozenset({"leave", "kick", "ban"})


class RoomState(Enum):
    """Where a room stands with the server."""

    ASKED = auto()
    LIVE = auto()
    GONE = auto()


@dataclass(eq=False, slots=True)
class Feed:
    """One consumer: its inbox, its timelines by room, and whether more can come."""

    inbox: Inbox
    timelines: dict[str, Timeline] = field(default_factory=dict)
    room: str | None = None
    ended: bool = False
    error: Exception | None = None

    def end(self, error: Exception | None = None) -> None:
        """No more events will come; a reader that waits is woken."""
        if not self.ended:
            self.ended, self.error = True, error
            self.inbox.on_ready()


@dataclass(eq=False, slots=True)
class Room:
    """What is known of a room: `head` is the last durable position heard of."""

    room: str
    want: tuple[str, ...] = ()
    state: RoomState = RoomState.ASKED
    head: Position | None = None
    n: int = 0
    read: int = 0
    online: int = 0
    role: str | None = None
    error: ChatError | None = None
    timelines: list[Timeline] = field(default_factory=list)
    on_settled: Callable[[ChatError | ConnectionLost | None], None] | None = None

    def settle(self, error: ChatError | ConnectionLost | None = None) -> None:
        """Tell whoever waits for the subscription that it stands, or why it does not."""
        if self.on_settled is not None:
            on_settled, self.on_settled = self.on_settled, None
            on_settled(error)

    def take_state(self, reply: Mapping[str, Any]) -> None:
        """Keep the counters of a `sub` reply."""
        for name in ("n", "read", "online"):
            value = reply.get(name)
            if type(value) is int:
                setattr(self, name, value)
        role = reply.get("role")
        self.role = role if isinstance(role, str) else self.role


class Rooms:
    """Registry of rooms and feeds; `user` is this account's id once it is known."""

    def __init__(self) -> None:
        """Start with the private log `me` only, which every connection is subscribed to."""
        self.user: str | None = None
        self.rooms: dict[str, Room] = {ME: Room(ME, state=RoomState.LIVE)}
        self._feeds: list[Feed] = []
        self._incomplete: set[Timeline] = set()
        self._pauses: dict[Timeline, float] = {}

    def follow(self, room: str, want: tuple[str, ...], since: Position | None) -> Room:
        """Add a room that is to be subscribed, for every open feed of all rooms."""
        if (old := self.rooms.get(room)) is not None:
            self.part(old, at_once=True)
        entry = Room(room, want, head=since)
        self.rooms[room] = entry
        for feed in self._feeds:
            if feed.room is None:
                self._attach(feed, entry)
        return entry

    def open_feed(self, events_max: int, on_ready: Callable[[], None], room: Room | None) -> Feed:
        """Add a consumer, of one room or (None) of all rooms and the client's own events."""
        feed = Feed(Inbox(events_max, on_ready), room=room.room if room else None)
        self._feeds.append(feed)
        for entry in [room] if room else list(self.rooms.values()):
            self._attach(feed, entry)
        return feed

    def close_feed(self, feed: Feed) -> None:
        """Remove a consumer."""
        feed.end()
        if feed in self._feeds:
            self._feeds.remove(feed)
        for name, timeline in feed.timelines.items():
            self._drop(timeline)
            entry = self.rooms.get(name)
            if entry and timeline in entry.timelines:
                entry.timelines.remove(timeline)
        feed.timelines.clear()

    def fail(self, error: ChatError | ConnectionLost) -> None:
        """The client stops: all consumers end, after what they hold, with the server's error."""
        for entry in list(self.rooms.values()):
            entry.settle(error)
        for feed in list(self._feeds):
            feed.end(error if isinstance(error, ChatError) else None)

    def announce(self, event: Event) -> None:
        """Tell the feeds of all rooms something about the client itself."""
        for feed in self._feeds:
            if feed.room is None:
                feed.inbox.offer(event)

    def handle_event(self, event: Event) -> None:
        """Route one event from the socket."""
        entry = self.rooms.get(getattr(event, "room", None) or "")
        if entry is None or entry.state is not RoomState.LIVE:
            return
        if isinstance(event, EpochChanged):
            self._handle_epoch(entry, Position(event.epoch, event.seq))
        elif isinstance(event, Gap):
            self._raise_head(entry, event.last)
            for timeline in entry.timelines:
                timeline.handle_gap(event.last)
                self.review(timeline)
        elif is_durable(event):
            self._raise_head(entry, event.seq or 0)
            for timeline in entry.timelines:
                timeline.handle_event(event)
                self.review(timeline)
            self._keep_state(entry, event)
        else:
            self._keep_state(entry, event)
            for timeline in entry.timelines:
                timeline.inbox.offer(event)

    def handle_subscribed(self, entry: Room, reply: Mapping[str, Any]) -> None:
        """The server answered `sub`: without an earlier position this is where we begin."""
        entry.state = RoomState.LIVE
        entry.take_state(reply)
        self.handle_head(entry, Position(str(reply.get("epoch")), int(reply.get("seq", 0))))
        entry.settle()

    def handle_head(self, entry: Room, head: Position) -> None:
        """Begin all timelines that have no position yet at `head`, or where `since` said."""
        entry.head = entry.head or head
        for timeline in entry.timelines:
            if timeline.position is None:
                timeline.start(entry.head)

    def handle_resume_row(self, room: str, row: list[Any]) -> None:
        """Take a row of `welcome.resume`: [status, epoch, seq, n, read, role].

        A denied room is asked for by `sub`, whose answer says why. `gap` and `epoch` need
        nothing here: an event of that name follows.
        """
        entry = self.rooms.get(room)
        if entry is None or not row:
            return
        if row[0] == "denied":
            entry.state = RoomState.ASKED if room != ME else entry.state
            return
        entry.state = RoomState.LIVE
        names = ("status", "epoch", "seq", "n", "read", "role")
        entry.take_state(dict(zip(names, row, strict=False)))
        entry.settle()

    def handle_disconnected(self) -> None:
        """Every room has to be subscribed again."""
        for entry in self.rooms.values():
            if entry.state is RoomState.LIVE and entry.room != ME:
                entry.state = RoomState.ASKED

    def resume_positions(self) -> dict[str, tuple[str, int]]:
        """Return what `hello.rooms` says; rooms that want passing events need a `sub`."""
        resumed = [
            entry
            for entry in self.rooms.values()
            if entry.head and not entry.want and entry.state is not RoomState.GONE
        ]
        return {
            entry.room: (entry.head.epoch, entry.head.seq)
            for entry in resumed[:HELLO_ROOMS_MAX]
            if entry.head
        }

    def asked(self) -> list[Room]:
        """Return the rooms that a `sub` has to be sent for."""
        return [entry for entry in self.rooms.values() if entry.state is RoomState.ASKED]

    def part(self, entry: Room, error: ChatError | None = None, *, at_once: bool = False) -> None:
        """The subscription is over; consumers end when they have what they are still owed."""
        entry.state = RoomState.GONE
        entry.error = error
        entry.settle(error or ChatError("not_member", "the subscription ended"))
        for timeline in entry.timelines:
            if at_once:
                timeline.abandon()
            self.review(timeline)
        self._bury(entry)

    def poll_fetches(self, now: float) -> Iterator[tuple[Timeline, Fetch]]:
        """Yield the history reads to make now."""
        for timeline in list(self._incomplete):
            if self._pauses.get(timeline, now) > now:
                continue
            self._pauses.pop(timeline, None)
            fetch = timeline.poll_fetch()
            if fetch is not None:
                yield timeline, fetch

    def poll_deadline(self) -> float | None:
        """Return when a history read that failed may be made again (s), or None."""
        return min(self._pauses.values(), default=None)

    def pause(self, timeline: Timeline, until: float) -> None:
        """Let a timeline read no history before `until` (s)."""
        if not timeline.complete:
            self._pauses[timeline] = until

    def handle_consumed(self, feed: Feed) -> bool:
        """A consumer took an event: move up what waits for space; True if there may be a read."""
        owing = self._incomplete & set(feed.timelines.values()) if self._incomplete else set()
        for timeline in owing:
            timeline.handle_space()
            self.review(timeline)
        return bool(owing)

    def review(self, timeline: Timeline) -> None:
        """Look again at a timeline that got an event, a page or a refusal."""
        if timeline.complete:
            self._drop(timeline)
            entry = self.rooms.get(timeline.room)
            if entry is not None and entry.state is RoomState.GONE:
                self._bury(entry)
        else:
            self._incomplete.add(timeline)

    def _attach(self, feed: Feed, entry: Room) -> None:
        timeline = Timeline(entry.room, feed.inbox)
        feed.timelines[entry.room] = timeline
        entry.timelines.append(timeline)
        if entry.head:
            timeline.start(entry.head)

    def _drop(self, timeline: Timeline) -> None:
        self._incomplete.discard(timeline)
        self._pauses.pop(timeline, None)

    def _bury(self, entry: Room) -> None:
        """End the feeds of a room that is over, and forget it when nobody is owed anything."""
        for feed in list(self._feeds):
            timeline = feed.timelines.get(entry.room)
            if timeline is None or timeline not in entry.timelines or not timeline.complete:
                continue
            entry.timelines.remove(timeline)
            del feed.timelines[entry.room]
            if feed.room is not None:
                self._feeds.remove(feed)
                feed.end(entry.error)
        if not entry.timelines and self.rooms.get(entry.room) is entry:
            del self.rooms[entry.room]

    def _handle_epoch(self, entry: Room, position: Position) -> None:
        if entry.head == position:
            return  # said twice: by the welcome and by an event
        entry.head = position
        for timeline in entry.timelines:
            timeline.handle_epoch(position)
            self.review(timeline)

    @staticmethod
    def _raise_head(entry: Room, seq: int) -> None:
        if entry.head and seq > entry.head.seq:
            entry.head = Position(entry.head.epoch, seq)

    def _keep_state(self, entry: Room, event: Event) -> None:
        if isinstance(event, Message):
            entry.n = max(entry.n, event.n)
        elif isinstance(event, Mark):
            entry.read = max(entry.read, event.n)
        elif isinstance(event, Presence):
            entry.online = event.count
        elif isinstance(event, MemberEvent) and self.user in event.users:
            entry.role = event.role or entry.role
            if event.action in _PARTING:
                self.part(entry)
