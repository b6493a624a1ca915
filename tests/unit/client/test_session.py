"""The session, driven without a socket: what it says to what it hears, at made-up times."""

from collections import deque
from typing import Any

import orjson
import pytest

from chatrooms.client.backoff import Closing, Retry, Stop
from chatrooms.client.errors import ChatError, ConnectionLost, ProtocolViolation
from chatrooms.client.events import (
    AuthExpiring,
    EpochChanged,
    Event,
    Gap,
    MemberEvent,
    Message,
    Notice,
    Offline,
    Online,
    Position,
    Presence,
    RoomAdded,
    Unknown,
)
from chatrooms.client.outbox import Draft, Outbox, Outcome, Sent
from chatrooms.client.rooms import Feed, Room, RoomState
from chatrooms.client.session import GREETING_S_MAX, REPLY_S_MAX, Reply, Session, State
from chatrooms.client.wire import pack

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


def test_hello_is_the_first_line_and_nothing_precedes_welcome() -> None:
    """Sends wait for the welcome."""
    wire = Wire()
    wire.session.outbox.push(Draft("lobby", "c1", b"{}", lambda _outcome: None))
    wire.session.open(0.0, "secret")
    assert wire.said() == [{"t": "hello", "id": 1, "client": "test", "token": "secret"}]
    wire.hear({"t": "welcome", "user": "u1", "ping_ms": 1_000, "me": ["e1", 0]})
    assert wire.said() == [{"t": "send", "id": 2, "room": "lobby", "cid": "c1", "body": {}}]


def test_hello_resumes_every_room_without_wishes_and_subs_the_others() -> None:
    """Rooms that want presence or typing need a `sub`, which alone can say so."""
    wire = Wire()
    wire.greet()
    wire.follow("plain")
    wire.follow("rich", want=("presence",))
    wire.hear(message(11, "plain"), message(11, "rich"))
    wire.close()
    hello = wire.greet(resume={"plain": ["ok", "e1", 11, 9, 4, "member"]})
    assert hello["rooms"] == {"me": ["e1", 5], "plain": ["e1", 11]}
    sub = {"t": "sub", "id": 2, "room": "rich", "since": ["e1", 11], "want": ["presence"]}
    assert wire.said() == [sub]


def test_denied_room_is_asked_for_again_and_its_reader_told_why() -> None:
    """A room one was banned from meanwhile ends its subscription with that code."""
    wire = Wire()
    wire.greet()
    _, feed = wire.follow()
    wire.close()
    wire.greet(resume={"lobby": ["denied"]})
    sub = wire.said()[0]
    assert (sub["t"], sub["since"]) == ("sub", ["e1", 10])
    wire.hear({"t": "err", "id": sub["id"], "code": "banned", "retry": False})
    assert feed.ended
    assert isinstance(feed.error, ChatError)
    assert feed.error.code == "banned"


def test_subscription_that_may_be_retried_is_retried_later() -> None:
    """`unavailable` with a time is asked again at that time."""
    wire = Wire()
    wire.greet()
    entry = wire.session.rooms.follow("lobby", (), None)
    wire.session.subscribe(0.0, entry)
    err = {"t": "err", "code": "unavailable", "retry": True, "retry_after_ms": 300}
    wire.hear(err | {"id": wire.said()[0]["id"]})
    assert wire.said(0.2) == []
    assert wire.session.poll_deadline() == 0.3
    assert wire.said(0.3)[0]["t"] == "sub"


def test_gap_is_closed_from_history_before_later_events() -> None:
    """The reader sees 11, 12, 13, 14 although 11 to 13 were left out."""
    wire = Wire()
    wire.greet()
    _, feed = wire.follow()
    drain(wire.everything)
    wire.hear({"t": "gap", "room": "lobby", "from": 11, "to": 13}, message(14))
    fetches = [line for line in wire.said() if line["t"] == "hist"]
    assert [(line["after"], line["epoch"]) for line in fetches] == [(10, "e1"), (10, "e1")]
    events = [message(seq) for seq in (11, 12, 13)]
    for line in fetches:
        wire.hear({"t": "ok", "id": line["id"], "epoch": "e1", "events": events, "first": 1})
    assert seqs(feed) == [11, 12, 13, 14]
    assert seqs(wire.everything) == [11, 12, 13, 14]


def test_every_reader_sees_every_event_once() -> None:
    """A room's subscription and the stream of everything do not take from one another."""
    wire = Wire()
    wire.greet()
    _, feed = wire.follow()
    drain(wire.everything)
    wire.hear(message(11), message(11), message(12), message(11))
    assert seqs(feed) == [11, 12]
    assert seqs(wire.everything) == [11, 12]
    assert wire.session.rooms.resume_positions()["lobby"] == ("e1", 12)


def test_history_that_fails_is_read_again_after_a_pause() -> None:
    """A retryable error of `hist` costs a second, not the events."""
    wire = Wire()
    wire.greet()
    _, feed = wire.follow()
    wire.session.rooms.close_feed(wire.everything)
    wire.hear(message(12))
    first = wire.said()[0]
    err = {"t": "err", "id": first["id"], "code": "timeout", "retry": True}
    wire.hear(err)
    assert wire.said(0.5) == []
    again = wire.said(1.0)[0]
    assert (again["t"], again["after"]) == ("hist", 10)
    wire.hear({"t": "ok", "id": again["id"], "epoch": "e1", "events": [message(11)], "first": 1})
    assert seqs(feed) == [11, 12]


def test_lost_connection_during_history_reads_again_on_the_next() -> None:
    """The hole survives the connection it was found on."""
    wire = Wire()
    wire.greet()
    _, feed = wire.follow()
    wire.session.rooms.close_feed(wire.everything)
    wire.hear(message(12))
    assert wire.said()[0]["t"] == "hist"
    wire.close()
    hello = wire.greet(now=5.0, resume={"lobby": ["ok", "e1", 12, 12, 0, "member"]})
    assert hello["rooms"]["lobby"] == ["e1", 12]
    fetch = wire.said(6.0)[0]
    assert (fetch["t"], fetch["after"]) == ("hist", 10)
    wire.hear({"t": "ok", "id": fetch["id"], "events": [message(11)], "first": 1}, now=6.0)
    assert seqs(feed) == [11, 12]


def test_mismatched_epoch_in_history_subscribes_again() -> None:
    """The answer to `sub` says what the log is called now."""
    wire = Wire()
    wire.greet()
    _, feed = wire.follow()
    wire.session.rooms.close_feed(wire.everything)
    wire.hear({"t": "gap", "room": "lobby", "from": 11, "to": 12})
    fetch = wire.said()[0]
    wire.hear({"t": "err", "id": fetch["id"], "code": "epoch_mismatch", "retry": False})
    sub = wire.said()[0]
    assert (sub["t"], sub["since"]) == ("sub", ["e1", 12])
    answer = {"t": "ok", "id": sub["id"], "epoch": "e2", "seq": 12, "recovered": False}
    wire.hear(answer, {"t": "epoch", "room": "lobby", "epoch": "e2", "seq": 12})
    assert drain(feed) == [EpochChanged("lobby", "e2", 12)]
    assert wire.said(9.0) == []


def test_kicked_member_sees_the_own_event_last() -> None:
    """After it the stream ends, the room is not resumed, and later events are ignored."""
    wire = Wire()
    wire.greet()
    entry, feed = wire.follow()
    kick = {"t": "member", "room": "lobby", "seq": 11, "ts": 1, "from": "u2"}
    wire.hear(kick | {"user": "u1", "action": "kick"}, message(12))
    events = drain(feed)
    assert [type(event) for event in events] == [MemberEvent]
    assert (feed.ended, feed.error, entry.state) == (True, None, RoomState.GONE)
    wire.close()
    assert "lobby" not in wire.greet()["rooms"]


def test_kicked_member_with_a_hole_gets_a_gap_first() -> None:
    """History is closed to who was kicked: the hole is said, then the own event comes."""
    wire = Wire()
    wire.greet()
    _, feed = wire.follow()
    wire.session.rooms.close_feed(wire.everything)
    kick = {"t": "member", "room": "lobby", "seq": 12, "ts": 1, "from": "u2"}
    wire.hear(kick | {"user": "u1", "action": "kick"})
    assert not feed.ended
    fetch = wire.said()[0]
    wire.hear({"t": "err", "id": fetch["id"], "code": "not_member", "retry": False})
    gap, own = drain(feed)
    assert gap == Gap("lobby", 11, 11)
    assert isinstance(own, MemberEvent)
    assert feed.ended


def test_private_log_is_caught_up_when_it_was_not_resumed() -> None:
    """A welcome without a row for `me` still says by its head what was missed."""
    wire = Wire()
    wire.greet()
    drain(wire.everything)
    wire.close()
    wire.greet(me=["e1", 6])
    fetch = wire.said()[0]
    assert (fetch["t"], fetch["room"], fetch["after"]) == ("hist", "me", 5)
    added = {"t": "room_added", "room": "me", "seq": 6, "of": "den"}
    wire.hear({"t": "ok", "id": fetch["id"], "events": [added], "first": 1})
    assert RoomAdded("me", 6, "den") in drain(wire.everything)
    wire.close()
    drain(wire.everything)
    wire.greet(me=["e2", 1])
    wire.hear({"t": "epoch", "room": "me", "epoch": "e2", "seq": 1})
    assert drain(wire.everything) == [EpochChanged("me", "e2", 1), Online("u1")]


def test_unanswered_send_is_sent_again_with_its_cid() -> None:
    """The answer of the second time ends it, `dup` included."""
    wire, outcomes = Wire(), list[Outcome]()
    wire.greet()
    wire.session.outbox.push(Draft("lobby", "c1", b'{"text":"hi"}', outcomes.append))
    first = wire.said()[0]
    wire.close()
    wire.greet()
    again = wire.said()[0]
    assert (again["cid"], again["body"]) == (first["cid"], first["body"])
    wire.hear({"t": "ok", "id": again["id"], "seq": 7, "n": 3, "ts": 99, "dup": True})
    assert outcomes == [Sent(7, 3, 99, dup=True)]


@pytest.mark.parametrize("code", ["timeout", "internal", "unavailable", "rate_limited"])
def test_retryable_refusal_of_a_send_is_retried(code: str) -> None:
    """The message goes out again with the same cid after the pause."""
    wire, outcomes = Wire(), list[Outcome]()
    wire.greet()
    wire.session.outbox.push(Draft("lobby", "c1", b"{}", outcomes.append))
    op_id = wire.said()[0]["id"]
    wire.hear({"t": "err", "id": op_id, "code": code, "retry": True, "retry_after_ms": 100})
    assert wire.said(0.05) == []
    assert wire.said(0.1)[0]["cid"] == "c1"
    assert outcomes == []


def test_final_refusal_of_a_send_reaches_its_caller() -> None:
    """With code, field and message of the server."""
    wire, outcomes = Wire(), list[Outcome]()
    wire.greet()
    wire.session.outbox.push(Draft("lobby", "c1", b"{}", outcomes.append))
    op_id = wire.said()[0]["id"]
    err = {"t": "err", "id": op_id, "code": "bad_request", "field": "body", "msg": "odd"}
    wire.hear(err | {"retry": False})
    (error,) = outcomes
    assert isinstance(error, ChatError)
    assert (error.code, error.field, str(error), error.retry) == (
        "bad_request",
        "body",
        "odd",
        False,
    )


def test_read_marks_are_coalesced_to_one_a_second() -> None:
    """The last of many wins; a mark another device made needs no sending."""
    wire = Wire()
    wire.greet()
    wire.follow()
    for n in (5, 7, 6):
        wire.session.mark_read("lobby", n)
    (read,) = wire.said(0.0)
    assert (read["t"], read["n"]) == ("read", 7)
    wire.hear({"t": "ok", "id": read["id"], "unread": 0})
    wire.session.mark_read("lobby", 8)
    assert wire.said(0.9) == []
    assert wire.said(1.0)[0]["n"] == 8
    wire.session.mark_read("lobby", 9)
    wire.hear({"t": "mark", "room": "lobby", "n": 9}, now=1.1)
    assert wire.said(2.5) == []


def test_read_mark_survives_a_lost_connection_and_goes_out_before_leaving() -> None:
    """What was not answered is sent again; closing does not wait for the second to pass."""
    wire = Wire()
    wire.greet()
    wire.follow()
    wire.session.mark_read("lobby", 5)
    assert wire.said()[0]["n"] == 5
    wire.close()
    wire.greet(resume={"lobby": ["ok", "e1", 10, 9, 4, "member"]})
    again = wire.said()[0]
    assert (again["t"], again["n"]) == ("read", 5)
    wire.hear({"t": "err", "id": again["id"], "code": "out_of_range", "retry": False})
    wire.session.mark_read("lobby", 6)
    wire.session.flush_marks(0.0)
    assert wire.said()[0]["n"] == 6


def test_ping_is_answered_and_silence_hangs_up() -> None:
    """Nothing heard for 1.5 x ping_ms: the connection is dead."""
    wire = Wire()
    wire.greet()
    wire.hear({"t": "ping"}, now=1.0)
    assert wire.said(1.0) == [{"t": "pong"}]
    assert wire.session.poll_deadline() == 2.5
    wire.session.handle_deadline(2.4)
    assert wire.session.poll_hang_up() is None
    wire.session.handle_deadline(2.5)
    assert wire.session.poll_hang_up() is not None


def test_server_that_never_says_welcome_is_left() -> None:
    """The greeting has its own bound."""
    wire = Wire()
    wire.session.open(0.0, None)
    assert wire.session.poll_deadline() == GREETING_S_MAX
    wire.session.handle_deadline(GREETING_S_MAX)
    assert wire.session.poll_hang_up() is not None


def test_operation_without_an_answer_hangs_up() -> None:
    """Pings that go on do not excuse a missing reply."""
    wire = Wire()
    wire.greet()
    wire.session.request(0.0, "who", {"room": "lobby"}, lambda _now, _reply: None)
    wire.hear({"t": "ping"}, now=REPLY_S_MAX - 0.1)
    wire.session.handle_deadline(REPLY_S_MAX)
    assert wire.session.poll_hang_up() == "an operation was not answered"


def test_request_fails_when_its_connection_is_lost_or_absent() -> None:
    """Reads are not retried silently: the caller knows whether it still cares."""
    wire, replies = Wire(), list[Reply]()
    wire.session.request(0.0, "who", {}, lambda _now, reply: replies.append(reply))
    wire.greet()
    wire.session.request(0.0, "who", {}, lambda _now, reply: replies.append(reply))
    wire.close()
    assert [type(reply) for reply in replies] == [ConnectionLost, ConnectionLost]


def test_oversized_operation_is_refused_here() -> None:
    """A frame over 64 KiB would cost the connection (1009)."""
    wire, replies = Wire(), list[Reply]()
    wire.greet()
    fields = {"room": "x" * 70_000}
    wire.session.request(0.0, "hist", fields, lambda _now, reply: replies.append(reply))
    assert isinstance(replies[0], ChatError)
    assert replies[0].code == "too_large"
    assert not wire.session.whisper("signal", fields)
    assert wire.said() == []


def test_refused_hello_stops_with_the_servers_words() -> None:
    """`err unauthorized`, then 4001: the reader of everything is told, sends fail."""
    wire, outcomes = Wire(), list[Outcome]()
    wire.session.outbox.push(Draft("lobby", "c1", b"{}", outcomes.append))
    wire.session.open(0.0, "bad")
    wire.hear({"t": "err", "id": 1, "code": "unauthorized", "msg": "no", "retry": False})
    verdict = wire.close(4001)
    assert isinstance(verdict, Stop)
    assert (verdict.error.code, str(verdict.error)) == ("unauthorized", "no")
    assert wire.everything.error is verdict.error
    assert outcomes == [verdict.error]


def test_busy_server_is_left_and_asked_again_later() -> None:
    """A retryable refusal of hello hangs up and waits as long as it says."""
    wire = Wire()
    wire.session.open(0.0, None)
    busy = {"t": "err", "id": 1, "code": "overloaded", "retry": True, "retry_after_ms": 800}
    wire.hear(busy)
    assert wire.session.poll_hang_up() == "refused: overloaded"
    assert wire.close() == Retry(800)


def test_token_that_expires_on_the_way_is_renewed_or_stops() -> None:
    """An `err token_expired` without id explains the 4101 that follows."""
    wire = Wire()
    wire.greet()
    wire.hear({"t": "auth_expiring", "in_ms": 60_000})
    assert wire.session.token_due
    wire.hear({"t": "err", "code": "token_expired", "retry": True})
    verdict = wire.session.handle_close(9.0, Closing(4101), can_renew=True)
    assert verdict == Retry(0, renew_token=True)
    assert AuthExpiring(60_000) in drain(wire.everything)


def test_draining_server_is_left_when_it_says() -> None:
    """The notice is told, its time used when the close carries none."""
    wire = Wire()
    wire.greet()
    notice = {"t": "notice", "code": "drain", "retry_after_ms": 321}
    wire.hear(notice)
    assert wire.close(1001) == Retry(321)
    assert drain(wire.everything) == [
        Online("u1"),
        Notice("drain", 321),
        Offline("close code 1001", 321),
    ]


def test_backoff_grows_until_a_connection_was_steady() -> None:
    """A server that greets and dies at once is not hammered."""
    wire = Wire()
    pauses = []
    for _attempt in range(3):
        wire.greet()
        verdict = wire.close()
        assert isinstance(verdict, Retry)
        pauses.append(verdict.delay_ms)
    assert pauses == [250, 500, 1_000]
    wire.greet(now=100.0)
    assert wire.close(now=110.0) == Retry(250)


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[1]",
        b"\xff",
        b'{"t":"welcome"}',
        b'{"t":"ok","id":2,"events":[1]}',
    ],
)
def test_nonsense_from_the_server_is_a_violation(raw: bytes) -> None:
    """What cannot be understood ends the connection, not the process."""
    wire = Wire()
    wire.greet()
    wire.follow()
    wire.session.rooms.close_feed(wire.everything)
    wire.hear({"t": "gap", "room": "lobby", "from": 11, "to": 12})
    op_id = wire.said()[0]["id"]
    with pytest.raises(ProtocolViolation):
        wire.session.handle_message(0.0, raw.replace(b'"id":2', f'"id":{op_id}'.encode()))


def test_unknown_event_counts_in_its_log() -> None:
    """A kind newer than the SDK is handed out as it is and keeps the sequence whole."""
    wire = Wire()
    wire.greet()
    _, feed = wire.follow()
    poll = {"t": "poll", "room": "lobby", "seq": 11, "question": "?"}
    wire.hear(poll, message(12), {"t": "weather", "sun": True})
    unknown, later = drain(feed)
    assert unknown == Unknown("poll", "lobby", 11, poll)
    assert isinstance(later, Message)
    assert Unknown("weather", None, None, {"t": "weather", "sun": True}) in drain(wire.everything)


def test_counters_of_a_room_follow_its_events() -> None:
    """Number from messages, read from marks, online from presence, role from the own event."""
    wire = Wire()
    wire.greet()
    entry, feed = wire.follow()
    role = {"t": "member", "room": "lobby", "seq": 12, "ts": 1, "from": "u2"}
    wire.hear(
        message(11),
        role | {"user": "u1", "action": "role", "role": "owner"},
        {"t": "mark", "room": "lobby", "n": 8},
        {"t": "presence", "room": "lobby", "count": 3, "+": ["u3"], "-": []},
    )
    assert (entry.n, entry.read, entry.online, entry.role) == (11, 8, 3, "owner")
    assert entry.head == Position("e1", 12)
    assert Presence("lobby", 3, ("u3",), ()) in drain(feed)


def test_unsubscribed_room_hears_no_more() -> None:
    """Nothing of the room after `unsub`, and it is not resumed."""
    wire = Wire()
    wire.greet()
    entry, feed = wire.follow()
    wire.session.rooms.part(entry, at_once=True)
    wire.hear(message(11))
    assert drain(feed) == []
    assert feed.ended
    assert wire.session.state is State.ONLINE
    assert wire.session.rooms.resume_positions() == {"me": ("e1", 5)}


def test_lines_are_packed_within_the_limits_of_a_message() -> None:
    """At most 128 lines a message."""
    wire = Wire()
    wire.greet()
    for _line in range(300):
        wire.session.whisper("typing", {"room": "lobby", "on": True})
    messages = []
    while (packed := wire.session.poll_transmit(0.0)) is not None:
        messages.append(packed)
    assert [packed.count(b"\n") + 1 for packed in messages] == [128, 128, 44]


def test_lines_are_packed_within_the_bytes_of_a_message() -> None:
    """At most 64 KiB a message, every line whole and in order."""
    lines = deque(bytes([65 + number]) * 30_000 for number in range(5))
    messages = []
    while (packed := pack(lines)) is not None:
        messages.append(packed)
    assert [len(packed) for packed in messages] == [60_001, 60_001, 30_000]
    assert b"".join(messages).replace(b"\n", b"")[::30_000] == b"ABCDE"
