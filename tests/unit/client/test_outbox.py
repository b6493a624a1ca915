"""The outbox keeps order and cids through refusals and lost connections, within its bounds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrooms.client.errors import ChatError, ConnectionLost, OutboxFull
from chatrooms.client.outbox import RETRIES_MAX, Draft, Outbox, Outcome, Sent


def draft(room: str, cid: str, outcomes: list[tuple[str, Outcome]] | None = None) -> Draft:
    """A draft that notes its outcome."""
    noted = outcomes if outcomes is not None else []
    return Draft(room, cid, b"{}", lambda outcome: noted.append((cid, outcome)))


class Store:
    """A server that stores a cid once and loses answers as it likes."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.logs: dict[str, list[str]] = {}

    def post(self, outbox: Outbox, sent: Draft, now: float) -> None:
        """Store, or refuse, or store and lose the answer."""
        fate = self.random.choice(("ok", "ok", "lost before", "lost after", "refused"))
        log = self.logs.setdefault(sent.room, [])
        if fate in {"ok", "lost after"} and sent.cid not in log:
            log.append(sent.cid)
        if fate == "ok":
            seq = log.index(sent.cid) + 1
            outbox.handle_sent(sent, Sent(seq, seq, 0))
        elif fate == "refused":
            retry = ChatError("unavailable", retry=True, retry_after_ms=10)
            sent.refusals = 0
            outbox.handle_refused(sent, retry, now, 0.5)
        else:
            outbox.handle_disconnected()


@given(seed=st.integers(), rooms=st.integers(1, 4), count=st.integers(0, 60))
def test_messages_are_stored_once_and_in_order(seed: int, rooms: int, count: int) -> None:
    """Whatever answers are lost, each room's log is the order of the sends, each cid once."""
    outbox, store = Outbox(1_000, 100_000), Store(seed)
    outcomes: list[tuple[str, Outcome]] = []
    expected: dict[str, list[str]] = {}
    for number in range(count):
        room = f"r{store.random.randrange(rooms)}"
        expected.setdefault(room, []).append(str(number))
        outbox.push(draft(room, str(number), outcomes))
    now = 0.0
    while len(outbox):
        now += 0.02
        for sent in list(outbox.poll_ready(now)):
            store.post(outbox, sent, now)
    assert store.logs == expected
    assert sorted(cid for cid, _ in outcomes) == sorted(map(str, range(count)))
    assert all(isinstance(outcome, Sent) for _, outcome in outcomes)


def test_full_outbox_refuses_and_keeps_nothing() -> None:
    """Both bounds, of count and of bytes, are said clearly."""
    outbox = Outbox(2, 5)
    outbox.push(draft("r", "a"))
    outbox.push(draft("r", "b"))
    with pytest.raises(OutboxFull, match="2 messages"):
        outbox.push(draft("r", "c"))
    small = Outbox(10, 5)
    with pytest.raises(OutboxFull):
        small.push(Draft("r", "a", b"123456", lambda _outcome: None))
    assert (len(outbox), len(small)) == (2, 0)


def test_final_refusal_fails_one_message_and_lets_the_next_pass() -> None:
    """A code that does not say retry ends that send only."""
    outbox, outcomes = Outbox(10, 1_000), list[tuple[str, Outcome]]()
    outbox.push(draft("r", "a", outcomes))
    outbox.push(draft("r", "b", outcomes))
    first = next(outbox.poll_ready(0.0))
    muted = ChatError("muted")
    outbox.handle_refused(first, muted, 0.0, 0.5)
    assert outcomes == [("a", muted)]
    assert next(outbox.poll_ready(0.0)).cid == "b"


def test_refusal_to_be_retried_waits_as_long_as_the_server_says() -> None:
    """`retry_after_ms` holds back that room, and only that room."""
    outbox = Outbox(10, 1_000)
    outbox.push(draft("r", "a"))
    outbox.push(draft("s", "b"))
    first, second = outbox.poll_ready(0.0)
    limited = ChatError("rate_limited", retry=True, retry_after_ms=1_500)
    outbox.handle_refused(first, limited, 0.0, 0.5)
    outbox.handle_sent(second, Sent(1, 1, 0))
    assert list(outbox.poll_ready(1.4)) == []
    assert outbox.poll_deadline() == 1.5
    assert list(outbox.poll_ready(1.5)) == [first]


def test_message_that_is_refused_for_ever_is_given_up() -> None:
    """A poisoned message must not hold up its room for ever."""
    outbox, outcomes = Outbox(10, 1_000), list[tuple[str, Outcome]]()
    outbox.push(draft("r", "a", outcomes))
    failing = ChatError("internal", retry=True, retry_after_ms=0)
    for _attempt in range(RETRIES_MAX + 1):
        outbox.handle_refused(next(outbox.poll_ready(0.0)), failing, 0.0, 0.5)
    assert outcomes == [("a", failing)]


def test_waiting_message_can_be_withdrawn_but_not_one_under_way() -> None:
    """What may already be stored cannot be taken back."""
    outbox = Outbox(10, 1_000)
    first, second = draft("r", "a"), draft("r", "b")
    outbox.push(first)
    outbox.push(second)
    assert list(outbox.poll_ready(0.0)) == [first]
    assert not outbox.withdraw(first)
    assert outbox.withdraw(second)
    assert not outbox.withdraw(second)
    assert len(outbox) == 1


def test_stopped_client_fails_everything_that_waits() -> None:
    """Every draft gets exactly one outcome."""
    outbox, outcomes = Outbox(10, 1_000), list[tuple[str, Outcome]]()
    drafts = [draft(room, room, outcomes) for room in "abc"]
    for each in drafts:
        outbox.push(each)
    lost = ConnectionLost("closed")
    outbox.fail_all(lost)
    outbox.handle_sent(drafts[0], Sent(1, 1, 0))
    assert outcomes == [(room, lost) for room in "abc"]
