"""A whole session against a model of the server: whatever goes wrong, every reader sees the log.

The model stores, loses answers, forgets to deliver, says `gap`, cuts the connection and answers
history late; the session is driven without a socket and with a clock of its own.
"""

import random
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from chatrooms.client.backoff import Closing
from chatrooms.client.events import Gap, Message
from chatrooms.client.outbox import Draft, Outbox, Outcome, Sent
from chatrooms.client.rooms import Feed
from chatrooms.client.session import Session, State

Line = dict[str, Any]
ROOMS = ("plain", "rich")
RESUME_EVENTS_MAX = 3
HISTORY_EVENTS_MAX = 4


class Model:
    """A server, the road to it, one session, and three readers."""

    def __init__(self, seed: int, inbox_events: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.session = Session("model", Outbox(1_000, 1_000_000), self.random.random)
        self.logs: dict[str, list[Line]] = {room: [] for room in (*ROOMS, "me")}
        self.cids: dict[str, Line] = {}
        self.followed: set[str] = set()
        self.unanswered: list[Line] = []
        self.outcomes: list[tuple[str, Outcome]] = []
        self.posted: dict[str, list[str]] = {room: [] for room in ROOMS}
        rooms = self.session.rooms
        self.readers: list[tuple[Feed, dict[str, list[str]]]] = []
        self.read_by(rooms.open_feed(inbox_events, lambda: None, None))
        for room, want in zip(ROOMS, ((), ("typing",)), strict=True):
            entry = rooms.follow(room, want, None)
            self.read_by(rooms.open_feed(inbox_events, lambda: None, entry))
        self.connect()
        self.answer_all()

    def read_by(self, feed: Feed) -> None:
        """Add a reader that keeps the cids it sees, per room."""
        self.readers.append((feed, {room: [] for room in ROOMS}))

    def hear(self, *lines: Line) -> None:
        """The server says something."""
        if lines and self.session.state is not State.OFFLINE:
            self.session.handle_message(self.now, b"\n".join(map(orjson.dumps, lines)))

    def listen(self) -> None:
        """The server gets what the session has to say; it may answer later."""
        while (message := self.session.poll_transmit(self.now)) is not None:
            self.unanswered += [orjson.loads(line) for line in message.split(b"\n")]

    def connect(self) -> None:
        """A new connection, greeted at once."""
        self.unanswered.clear()
        self.followed.clear()
        self.session.open(self.now, "t")
        self.listen()
        hello = self.unanswered.pop(0)
        rows: dict[str, list[Any]] = {}
        missed: list[Line] = []
        for room, (_, since) in hello.get("rooms", {}).items():
            head = len(self.logs[room])
            status, lines = self.missed(room, since)
            rows[room] = [status, "e", head, head, 0, "member"]
            missed += lines
            self.followed.add(room)
        welcome = {"t": "welcome", "user": "u", "me": ["e", 0], "resume": rows}
        self.hear(welcome, *missed)

    def missed(self, room: str, since: int) -> tuple[str, list[Line]]:
        """What a resume answers."""
        head = len(self.logs[room])
        if head - since > RESUME_EVENTS_MAX:
            return "gap", [{"t": "gap", "room": room, "from": since + 1, "to": head}]
        return "ok", self.logs[room][since:]

    def append(self, room: str, cid: str) -> Line:
        """Store a message."""
        seq = len(self.logs[room]) + 1
        fields = {"seq": seq, "n": seq, "from": "u", "cid": cid, "ts": 0, "body": {}}
        self.logs[room].append({"t": "msg", "room": room} | fields)
        return self.logs[room][-1]

    def deliver(self, event: Line) -> None:
        """Deliver an event, or forget to, or do it twice."""
        if event["room"] in self.followed:
            self.hear(*[event] * self.random.choice((0, 1, 1, 1, 2)))

    def step(self) -> None:
        """Let one thing happen."""
        self.now += 0.05
        action = self.random.choice(
            (self.other, self.other, self.own, self.answer, self.answer, self.cut, self.consume)
        )
        action()
        self.listen()

    def other(self) -> None:
        """Somebody else posts."""
        room = self.random.choice(ROOMS)
        self.deliver(self.append(room, f"other-{len(self.logs[room])}"))

    def own(self) -> None:
        """The user posts."""
        room = self.random.choice(ROOMS)
        cid = f"own-{room}-{len(self.posted[room])}"
        self.posted[room].append(cid)
        draft = Draft(room, cid, b"{}", lambda outcome: self.outcomes.append((cid, outcome)))
        self.session.outbox.push(draft)

    def cut(self) -> None:
        """The connection ends, and another is made."""
        self.session.handle_close(self.now, Closing(), can_renew=False)
        self.connect()

    def consume(self) -> None:
        """A reader takes some events."""
        feed, seen = self.random.choice(self.readers)
        for _event in range(self.random.randint(1, 4)):
            self.take(feed, seen)

    def take(self, feed: Feed, seen: dict[str, list[str]]) -> bool:
        """A reader takes one event; False if there is none."""
        event = feed.inbox.pop()
        if event is None:
            return False
        assert not isinstance(event, Gap)
        if isinstance(event, Message):
            seen[event.room].append(event.cid)
        self.session.rooms.handle_consumed(feed)
        return True

    def answer(self) -> None:
        """The oldest question is answered, or refused for now, or the answer is lost."""
        if not self.unanswered:
            return
        line = self.unanswered.pop(0)
        fate = self.random.choice(("ok", "ok", "ok", "refused", "lost"))
        if fate == "refused" and line["t"] in {"send", "hist", "sub"}:
            refusal = {"t": "err", "id": line["id"], "code": "unavailable", "retry": True}
            self.hear(refusal | {"retry_after_ms": 1})
            return
        answers = self.execute(line)
        if fate == "lost":
            self.cut()
        else:
            self.hear(*answers)

    def execute(self, line: Line) -> list[Line]:
        """Do what a line asks and return what it is answered."""
        ok: Line = {"t": "ok", "id": line["id"], "epoch": "e"}
        room = line["room"]
        if line["t"] == "sub":
            self.followed.add(room)
            lines = self.missed(room, line["since"][1])[1] if "since" in line else []
            return [ok | {"seq": len(self.logs[room]), "n": 0, "read": 0}, *lines]
        if line["t"] == "hist":
            events = self.logs[room][line["after"] :]
            page = events[: min(line["limit"], HISTORY_EVENTS_MAX)]
            return [ok | {"events": page, "first": 1, "last": len(self.logs[room])}]
        known = self.cids.get(line["cid"])
        event = known or self.append(room, line["cid"])
        self.cids[line["cid"]] = event
        answer = ok | {"seq": event["seq"], "n": event["seq"], "ts": 0, "dup": known is not None}
        return [answer] if known or room not in self.followed else [answer, event]

    def answer_all(self) -> None:
        """Answer everything faithfully."""
        self.listen()
        while self.unanswered:
            self.hear(*self.execute(self.unanswered.pop(0)))
            self.listen()

    def settle(self) -> None:
        """No more faults: reconnect once, answer everything, let everybody read to the end."""
        self.session.handle_close(self.now, Closing(), can_renew=False)
        self.now += 100.0
        self.connect()
        for _round in range(500):
            self.now += 2.0
            self.answer_all()
            for feed, seen in self.readers:
                while self.take(feed, seen):
                    self.answer_all()


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(), steps=st.integers(0, 250), inbox_events=st.integers(1, 12))
def test_every_reader_sees_the_log_and_every_send_is_stored_once(
    seed: int, steps: int, inbox_events: int
) -> None:
    """Both readers of a room saw its log exactly; own messages stand in it once, in order."""
    model = Model(seed, inbox_events)
    for _step in range(steps):
        model.step()
    model.settle()
    for room in ROOMS:
        log = [event["cid"] for event in model.logs[room]]
        seen = [seen[room] for feed, seen in model.readers if feed.room in {None, room}]
        assert seen == [log, log]
        assert [cid for cid in log if cid.startswith("own")] == model.posted[room]
    assert all(isinstance(outcome, Sent) for _, outcome in model.outcomes)
    assert len(model.outcomes) == sum(map(len, model.posted.values()))
