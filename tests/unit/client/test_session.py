"""The session, driven without a socket: hello, sends, marks, heartbeats and how it ends."""

from collections import deque

import pytest

from chatrooms.client.backoff import Closing, Retry, Stop
from chatrooms.client.errors import ChatError, ConnectionLost
from chatrooms.client.events import AuthExpiring, Notice, Offline, Online
from chatrooms.client.outbox import Draft, Outcome, Sent
from chatrooms.client.session import GREETING_S_MAX, REPLY_S_MAX, Reply
from chatrooms.client.wire import pack
from tests.fakes.wire import Wire, drain, message


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
        Offline("the server is going away", 321),
    ]
    assert wire.close() == Retry(500), "the wish counts once"


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
