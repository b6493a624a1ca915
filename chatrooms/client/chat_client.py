"""`ChatClient`: the asyncio shell round the session; connects, reconnects and wakes readers."""

import asyncio
import os
import random
import time
from collections.abc import Iterable, Mapping
from typing import Any, Self

import orjson

from chatrooms.client.cid import RANDOM_BYTES, CidSource
from chatrooms.client.driver import Driver, TokenSource
from chatrooms.client.errors import ChatError, ConnectionLost
from chatrooms.client.events import Position, event_from_wire
from chatrooms.client.outbox import Draft, Outbox, Outcome, Sent
from chatrooms.client.rooms import ME, Feed, Room, RoomState
from chatrooms.client.session import Session, State
from chatrooms.client.subscription import EventStream, Subscription
from chatrooms.client.values import Bounds, HistoryPage, Roster, people_from_wire

_BODY_OVERHEAD_BYTES = 1_024
_BODY_BYTES_MAX = 16_384


class ChatClient:
    """A user's connection to the chat, as an async context manager.

    It reconnects by itself, resumes every subscribed room where it left off, fills gaps from
    history and resends unanswered messages with the same cid, so that each durable event is
    seen exactly once, in order, and each message is stored at most once.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_source: TokenSource | None = None,
        client: str = "chatrooms-python",
        bounds: Bounds | None = None,
    ) -> None:
        """`url`: ws://host:8001/ws. `token_source` is asked when there is no valid token."""
        self._bounds = bounds or Bounds()
        outbox = Outbox(self._bounds.outbox_drafts, self._bounds.outbox_bytes)
        self._session = Session(client, outbox, random.SystemRandom().random)
        self._driver = Driver(url, self._session, token, token_source)
        self._rooms = self._session.rooms
        self._cids = CidSource()
        self._subscriptions: dict[str, Subscription] = {}

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    @property
    def user(self) -> str | None:
        """This account's id, once connected."""
        return self._rooms.user

    @property
    def online(self) -> bool:
        """Whether the connection stands and is greeted."""
        return self._session.state is State.ONLINE

    @property
    def unsent(self) -> int:
        """How many sends have no answer yet."""
        return len(self._session.outbox)

    @property
    def limits(self) -> Mapping[str, int]:
        """What the server said it accepts: frame_in, text, body, subs, …."""
        return self._session.limits

    async def connect(self, *, patient: bool = False) -> None:
        """Connect and return when the server has said welcome.

        A first attempt that fails raises `ConnectionLost` (nobody there) or `ChatError`
        (refused), unless `patient`, which goes on trying. Later losses are mended silently.
        """
        await self._driver.connect(patient=patient)

    async def close(self) -> None:
        """Send pending read marks, say goodbye, and end every reader and every waiting send."""
        await self._driver.close()

    def events(self) -> EventStream:
        """Return a stream of everything from now on.

        All rooms, the private log, `Online` and `Offline`, notices. Close it (`aclose`) when
        it is no longer read.
        """
        ready = asyncio.Event()
        feed = self._rooms.open_feed(self._bounds.inbox_events, ready.set, None)
        return EventStream(self, ready, feed)

    async def subscribe(
        self,
        room: str,
        *,
        since: Position | None = None,
        want: Iterable[str] = (),
    ) -> Subscription:
        """Follow a room, from now or from `since`; waits until the server says so.

        `want`: of `presence`, `typing`, `receipts`. Of a room already followed it returns the
        same subscription, with `want` replaced. Raises `ChatError`: `not_member`, `banned`, ….
        """
        self._driver.check_running()
        if room == ME:
            raise ValueError("the private log is followed always: read it with events()")
        wanted = tuple(sorted(set(want)))
        subscription = self._subscriptions.get(room)
        if subscription is not None and subscription.entry.state is not RoomState.GONE:
            if since is not None:
                raise ValueError(f"{room} is followed already")
            subscription.entry.want = wanted
        else:
            entry = self._rooms.follow(room, wanted, since)
            ready = asyncio.Event()
            feed = self._rooms.open_feed(self._bounds.inbox_events, ready.set, entry)
            subscription = Subscription(self, ready, feed, entry)
            self._subscriptions[room] = subscription
        await self._subscribed(subscription.entry)
        return subscription

    async def unsubscribe(self, room: str) -> None:
        """Stop following a room; its stream ends after what it already holds."""
        subscription = self._subscriptions.pop(room, None)
        if subscription is None or subscription.entry.state is RoomState.GONE:
            return
        self._rooms.part(subscription.entry, at_once=True)
        if self.online:
            await self._driver.ask("unsub", {"room": room})

    async def send(
        self,
        room: str,
        text: str | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        cid: str | None = None,
    ) -> Sent:
        """Post a message and return where it was stored, once it is.

        Sends of a room are stored in the order of the calls. While offline they wait, in a
        bounded outbox (`OutboxFull`). Unknown outcomes are retried with the same cid; cancel
        the call (or use `asyncio.timeout`) to give up waiting: a message already under way may
        be stored nevertheless. Raises `ChatError` when the server refuses it for good,
        `ConnectionLost` when the client is closed first.
        """
        self._driver.check_running()
        encoded = orjson.dumps(body if body is not None else {"text": text or ""})
        frame_bytes = self.limits.get("frame_in", 4 * _BODY_BYTES_MAX) - _BODY_OVERHEAD_BYTES
        if len(encoded) > min(self.limits.get("body", _BODY_BYTES_MAX), frame_bytes):
            raise ChatError("too_large", "the message is too large", field="body")
        answer: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if answer.done():
                return
            if isinstance(outcome, Sent):
                answer.set_result(outcome)
            else:
                answer.set_exception(outcome)

        draft = Draft(room, cid or self._draw_cid(), encoded, done)
        self._session.outbox.push(draft)
        self._driver.flush()
        try:
            return await answer
        except asyncio.CancelledError:
            self._session.outbox.withdraw(draft)
            raise

    async def history(
        self,
        room: str,
        *,
        before: int | None = None,
        after: int | None = None,
        around: int | None = None,
        limit: int = 50,
    ) -> HistoryPage:
        """Read a page of a room's log, the newest if no anchor is given; `limit` 1 to 100.

        Raises `ConnectionLost` while offline: reading again is the caller's choice.
        """
        anchors = {"before": before, "after": after, "around": around}
        named = {name: seq for name, seq in anchors.items() if seq is not None}
        if len(named) > 1:
            raise ValueError("name one of before, after and around")
        ok = await self._driver.ask("hist", {"room": room, "limit": limit, **named})
        return HistoryPage(
            epoch=str(ok.get("epoch")),
            events=tuple(event_from_wire(event) for event in ok.get("events", ())),
            first=int(ok.get("first", 0)),
            last=int(ok.get("last", 0)),
            more=ok.get("more") is True,
        )

    async def who(self, room: str, *, limit: int = 50, cursor: str | None = None) -> Roster:
        """Return who is subscribed to the room now."""
        fields: dict[str, Any] = {"room": room, "limit": limit}
        if cursor is not None:
            fields["cursor"] = cursor
        ok = await self._driver.ask("who", fields)
        return Roster(
            int(ok.get("count", 0)), people_from_wire(ok.get("members", ())), ok.get("next_cursor")
        )

    def mark_read(self, room: str, n: int) -> None:
        """Move your read mark to message number `n`; sent at most once a second a room."""
        self._session.mark_read(room, n)
        self._driver.flush()

    def typing(self, room: str, *, on: bool) -> None:
        """Say that you type, or stopped; lost while offline."""
        self._session.whisper("typing", {"room": room, "on": on})
        self._driver.flush()

    def signal(self, room: str, body: Mapping[str, Any]) -> bool:
        """Send a passing event of your own, at most once; False if it was not even sent."""
        sent = self._session.whisper("signal", {"room": room, "body": body})
        self._driver.flush()
        return sent

    def handle_consumed(self, feed: Feed) -> None:
        """A reader took an event (called by its stream)."""
        if self._rooms.handle_consumed(feed):
            self._driver.flush()

    def close_feed(self, feed: Feed) -> None:
        """A reader stopped (called by its stream)."""
        self._rooms.close_feed(feed)

    async def _subscribed(self, entry: Room) -> None:
        """Wait until the server says that the subscription stands."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settled(error: ChatError | ConnectionLost | None) -> None:
            if answer.done():
                return
            if error is None:
                answer.set_result(None)
            else:
                answer.set_exception(error)

        entry.on_settled = settled
        self._session.subscribe(time.monotonic(), entry)
        self._driver.flush()
        await answer

    def _draw_cid(self) -> str:
        return self._cids.draw(time.time_ns() // 1_000_000, os.urandom(RANDOM_BYTES))
