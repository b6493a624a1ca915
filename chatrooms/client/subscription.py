"""What a user of the SDK iterates: the events of one room, or of everything."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol, Self

from chatrooms.client.events import Event, Position
from chatrooms.client.rooms import Feed, Room


class Source(Protocol):
    """What a stream needs of its client."""

    def handle_consumed(self, feed: Feed) -> None:
        """An event was taken from `feed`."""

    def close_feed(self, feed: Feed) -> None:
        """Nobody reads `feed` any more."""


class EventStream(AsyncIterator[Event]):
    """Events in order. Ends when nothing can follow; raises `ChatError` when the client stopped.

    One task reads a stream. Its queue is bounded: durable events that do not fit are read from
    history later, in order; passing ones are dropped. Nothing is held open for a slow reader.
    """

    def __init__(self, source: Source, ready: asyncio.Event, feed: Feed) -> None:
        """`ready` is set by the feed's inbox whenever it gets something."""
        self._source = source
        self._ready = ready
        self._feed: Feed | None = feed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while (feed := self._feed) is not None:
            event = feed.inbox.pop()
            if event is not None:
                self._source.handle_consumed(feed)
                return event
            if feed.ended:
                if feed.error is not None:
                    raise feed.error
                break
            self._ready.clear()
            await self._ready.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop reading; a room's subscription itself goes on until `unsubscribe`."""
        if self._feed is not None:
            feed, self._feed = self._feed, None
            self._source.close_feed(feed)


class Subscription(EventStream):
    """A room as subscribed: its events, and its counters as the server last told them."""

    def __init__(self, source: Source, ready: asyncio.Event, feed: Feed, entry: Room) -> None:
        """Made by `ChatClient.subscribe`; `entry` is what the client knows of the room."""
        super().__init__(source, ready, feed)
        self.entry = entry

    @property
    def room(self) -> str:
        """The room's id."""
        return self.entry.room

    @property
    def position(self) -> Position | None:
        """The last durable position heard of: what `subscribe(since=…)` takes."""
        return self.entry.head

    @property
    def n(self) -> int:
        """How many messages the room has had."""
        return self.entry.n

    @property
    def read(self) -> int:
        """Up to which message number you have read."""
        return self.entry.read

    @property
    def unread(self) -> int:
        """How many messages you have not read."""
        return max(0, self.n - self.read)

    @property
    def online(self) -> int:
        """How many distinct users are online; kept up to date if `presence` was wanted."""
        return self.entry.online

    @property
    def role(self) -> str | None:
        """Your role in the room."""
        return self.entry.role
