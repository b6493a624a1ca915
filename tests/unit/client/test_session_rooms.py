"""The session, driven without a socket: rooms, gaps, readers and the end of a membership."""

import pytest

from chatrooms.client.errors import ChatError, ProtocolViolation
from chatrooms.client.events import (
    EpochChanged,
    Gap,
    MemberEvent,
    Message,
    Online,
    Position,
    Presence,
    RoomAdded,
    Unknown,
)
from chatrooms.client.rooms import RoomState
from chatrooms.client.session import State
from tests.fakes.wire import Wire, drain, message, seqs


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
