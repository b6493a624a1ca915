"""The other end of a session's line: hears what it says, says what a test wants it to hear.

It is no server: each test writes the answers itself.
"""

from typing import Any

import orjson

from chatrooms.client.backoff import Closing, Retry, Stop
from chatrooms.client.events import Event
from chatrooms.client.outbox import Outbox
from chatrooms.client.rooms import Feed, Room
from chatrooms.client.session import Session

Line = dict[str, Any]


class Wire:
    """A session and the other end of its line."""

    def __init__(self, inbox_events: int = 50) -> None:
        self.session = Session("test", Outbox(100, 100_000), lambda: 0.5)
        self.inbox_events = inbox_events
        self.everything = self.session.rooms.open_feed(inbox_events, lambda: None, None)

    def said(self, now: float = 0.0) -> list[Line]:
        """What the session sends now."""
        lines: list[Line] = []
        while (message := self.session.poll_transmit(now)) is not None:
            lines += [orjson.loads(line) for line in message.split(b"\n")]
        return lines

    def hear(self, *lines: Line, now: float = 0.0) -> None:
        """The server says something."""
        self.session.handle_message(now, b"\n".join(map(orjson.dumps, lines)))

    def greet(self, now: float = 0.0, **fields: Any) -> Line:
        """Connect and get the welcome; returns the hello."""
        self.session.open(now, "token")
        hello = self.said(now)[0]
        welcome = {"t": "welcome", "user": "u1", "ping_ms": 1_000, "me": ["e1", 5], "resume": {}}
        self.hear(welcome | fields, now=now)
        return hello

    def follow(self, room: str = "lobby", want: tuple[str, ...] = ()) -> tuple[Room, Feed]:
        """Subscribe from now on, at seq 10."""
        entry = self.session.rooms.follow(room, want, None)
        feed = self.session.rooms.open_feed(self.inbox_events, lambda: None, entry)
        self.session.subscribe(0.0, entry)
        sub = self.said()[-1]
        self.hear({"t": "ok", "id": sub["id"], "epoch": "e1", "seq": 10, "n": 9, "read": 4})
        return entry, feed

    def close(self, code: int = 1006, now: float = 0.0, reason: str = "") -> Retry | Stop:
        """The connection ends."""
        return self.session.handle_close(now, Closing(code, reason), can_renew=False)


def message(seq: int, room: str = "lobby") -> Line:
    """A message on the wire."""
    fields = {"seq": seq, "n": seq, "from": "u2", "cid": "c", "ts": 1, "body": {"text": "x"}}
    return {"t": "msg", "room": room} | fields


def drain(feed: Feed) -> list[Event]:
    """What a consumer takes."""
    taken = []
    while (event := feed.inbox.pop()) is not None:
        taken.append(event)
    return taken


def seqs(feed: Feed) -> list[int | None]:
    """The seqs a consumer takes."""
    return [getattr(event, "seq", None) for event in drain(feed)]
