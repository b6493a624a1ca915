"""Whatever the socket loses, repeats or reorders, a consumer sees the log, once and in order."""

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrooms.client.events import EpochChanged, Event, Gap, Message, Position
from chatrooms.client.timeline import PENDING_EVENTS_MAX, STALLS_MAX, Fetch, Inbox, Page, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

ROOM = "lobby"
START = Position("e1", 0)


def message(seq: int) -> Message:
    """A message at `seq`."""
    return Message(ROOM, seq, seq, "ann", f"c{seq}", 0, {"text": str(seq)})


def seqs(events: list[Event]) -> list[int]:
    """The seq of each event, none of which may be a gap."""
    return [event.seq for event in events if isinstance(event, Message)]


def drain(inbox: Inbox) -> list[Event]:
    """Everything the inbox holds."""
    taken = []
    while (event := inbox.pop()) is not None:
        taken.append(event)
    return taken


def page(log_end: int, fetch: Fetch, first: int = 1) -> Page:
    """What history answers for a log of messages `first`..`log_end`."""
    start = max(fetch.after + 1, first)
    stop = min(log_end, start + fetch.limit - 1)
    return Page([message(seq) for seq in range(start, stop + 1)], first)


def read_all(timeline: Timeline, log_end: int, first: int = 1) -> list[Event]:
    """Consume and read history until nothing is owed."""
    taken = drain(timeline.inbox)
    for _round in range(1_000):
        timeline.handle_space()
        fetch = timeline.poll_fetch()
        if fetch is not None:
            timeline.handle_page(fetch, page(log_end, fetch, first))
        taken += drain(timeline.inbox)
        if timeline.complete:
            return taken
    pytest.fail("the hole was never closed")


class Network:
    """A log, a lossy road to one timeline, and a consumer that reads when it likes."""

    def __init__(self, seed: int, inbox_events: int) -> None:
        self.random = random.Random(seed)
        self.timeline = Timeline(ROOM, Inbox(inbox_events))
        self.timeline.start(START)
        self.log_end = 0
        self.sent = 0
        self.fetches: list[Fetch] = []
        self.taken: list[Event] = []

    def step(self) -> None:
        """Let one thing happen."""
        actions: list[Callable[[], None]] = [
            self.append,
            self.append,
            self.lose,
            self.repeat,
            self.tell_gap,
            self.fetch,
            self.answer,
            self.fail,
            self.consume,
        ]
        self.random.choice(actions)()

    def append(self) -> None:
        """The room gets an event and the socket brings it."""
        self.log_end += 1
        self.timeline.handle_event(message(self.log_end))

    def lose(self) -> None:
        """The room gets an event and the socket does not bring it."""
        self.log_end += 1

    def repeat(self) -> None:
        """Anything that exists is delivered again, in any order."""
        if self.log_end:
            self.timeline.handle_event(message(self.random.randint(1, self.log_end)))

    def tell_gap(self) -> None:
        """The server says what it left out, as after a resume."""
        self.timeline.handle_gap(self.log_end)

    def fetch(self) -> None:
        """A history read begins."""
        if (fetch := self.timeline.poll_fetch()) is not None:
            self.fetches.append(fetch)

    def answer(self) -> None:
        """A history read is answered, perhaps one that nobody waits for any more."""
        if self.fetches:
            fetch = self.random.choice(self.fetches)
            self.timeline.handle_page(fetch, page(self.log_end, fetch))

    def fail(self) -> None:
        """A history read is lost with its connection."""
        if self.fetches:
            self.timeline.handle_failure(self.fetches.pop())

    def consume(self) -> None:
        """The consumer takes one event."""
        if (event := self.timeline.inbox.pop()) is not None:
            self.taken.append(event)
            self.timeline.handle_space()


@given(seed=st.integers(), steps=st.integers(0, 400), inbox_events=st.integers(1, 20))
def test_consumer_sees_the_exact_sequence(seed: int, steps: int, inbox_events: int) -> None:
    """Under random losses, repeats, gaps, failed reads and slow reading: 1, 2, 3, … exactly."""
    network = Network(seed, inbox_events)
    for _step in range(steps):
        network.step()
        assert len(network.timeline.inbox) <= inbox_events
    network.tell_gap()
    for fetch in network.fetches:
        network.timeline.handle_failure(fetch)
    taken = network.taken + read_all(network.timeline, network.log_end)
    assert not [event for event in taken if isinstance(event, Gap)]
    assert seqs(taken) == list(range(1, network.log_end + 1))


def test_step_of_one_passes_at_once() -> None:
    """Without holes nothing is fetched."""
    timeline = Timeline(ROOM, Inbox(10))
    timeline.start(START)
    for seq in (1, 2, 3):
        timeline.handle_event(message(seq))
    assert timeline.poll_fetch() is None
    assert seqs(drain(timeline.inbox)) == [1, 2, 3]


def test_later_event_waits_for_the_hole_before_it() -> None:
    """An event after a hole is not seen before history has closed the hole."""
    timeline = Timeline(ROOM, Inbox(10))
    timeline.start(START)
    timeline.handle_event(message(3))
    assert drain(timeline.inbox) == []
    fetch = timeline.poll_fetch()
    assert fetch == Fetch(ROOM, "e1", 0, 10)
    assert timeline.poll_fetch() is None
    timeline.handle_page(fetch, page(3, fetch))
    assert seqs(drain(timeline.inbox)) == [1, 2, 3]


def test_what_the_log_no_longer_holds_becomes_a_gap() -> None:
    """History that begins later than the hole leaves a gap, then goes on."""
    timeline = Timeline(ROOM, Inbox(10))
    timeline.start(START)
    timeline.handle_gap(6)
    assert read_all(timeline, 6, first=5) == [Gap(ROOM, 1, 4), message(5), message(6)]


def test_truncated_log_does_not_lose_what_the_socket_brought() -> None:
    """Events that are here already are delivered although history has dropped them since."""
    timeline = Timeline(ROOM, Inbox(10))
    timeline.start(START)
    timeline.handle_event(message(3))
    timeline.handle_gap(6)
    taken = read_all(timeline, 6, first=5)
    assert taken == [Gap(ROOM, 1, 2), message(3), Gap(ROOM, 4, 4), message(5), message(6)]


def test_refused_history_leaves_gaps_and_delivers_the_rest() -> None:
    """Who was kicked while a hole was open still sees the own member event, after a gap."""
    timeline = Timeline(ROOM, Inbox(10))
    timeline.start(START)
    timeline.handle_event(message(3))
    timeline.handle_event(message(5))
    fetch = timeline.poll_fetch()
    assert fetch is not None
    timeline.handle_refusal(fetch)
    assert drain(timeline.inbox) == [Gap(ROOM, 1, 2), message(3), Gap(ROOM, 4, 4), message(5)]
    assert timeline.complete


def test_history_that_never_brings_the_hole_is_given_up() -> None:
    """A log that answers nothing although events are known ends in a gap, not in a loop."""
    timeline = Timeline(ROOM, Inbox(10))
    timeline.start(START)
    timeline.handle_event(message(3))
    for _attempt in range(STALLS_MAX):
        fetch = timeline.poll_fetch()
        assert fetch is not None
        timeline.handle_page(fetch, Page([], 1))
    assert drain(timeline.inbox) == [Gap(ROOM, 1, 2), message(3)]


def test_page_with_a_hole_of_its_own_says_gap() -> None:
    """The log is the truth: what its page leaves out does not exist."""
    timeline = Timeline(ROOM, Inbox(10))
    timeline.start(START)
    timeline.handle_gap(4)
    fetch = timeline.poll_fetch()
    assert fetch is not None
    timeline.handle_page(fetch, Page([message(1), message(4)], 1))
    assert drain(timeline.inbox) == [message(1), Gap(ROOM, 2, 3), message(4)]


def test_new_epoch_drops_what_waited() -> None:
    """After `epoch` the old log's events, holes and answers count for nothing."""
    timeline = Timeline(ROOM, Inbox(10))
    timeline.start(START)
    timeline.handle_event(message(1))
    timeline.handle_event(message(5))
    fetch = timeline.poll_fetch()
    assert fetch is not None
    timeline.handle_epoch(Position("e2", 2))
    timeline.handle_page(fetch, page(5, fetch))
    timeline.handle_event(message(3))
    assert drain(timeline.inbox) == [message(1), EpochChanged(ROOM, "e2", 2), message(3)]


def test_slow_consumer_gets_everything_from_history() -> None:
    """A full inbox drops nothing durable: 500 events pass through an inbox of 4."""
    timeline = Timeline(ROOM, Inbox(4))
    timeline.start(START)
    for seq in range(1, 501):
        timeline.handle_event(message(seq))
    assert len(timeline.inbox) == 4
    assert seqs(read_all(timeline, 500)) == list(range(1, 501))


def test_passing_events_are_shed_when_the_inbox_is_full() -> None:
    """`offer` drops, `push` does not."""
    inbox = Inbox(1)
    inbox.offer(message(1))
    inbox.offer(message(2))
    inbox.push(Gap(ROOM, 1, 2))
    assert drain(inbox) == [message(1), Gap(ROOM, 1, 2)]


def test_abandoned_timeline_says_what_is_missing() -> None:
    """What will not be read any more ends as a gap."""
    timeline = Timeline(ROOM, Inbox(4))
    timeline.start(START)
    timeline.handle_gap(7)
    timeline.abandon()
    assert drain(timeline.inbox) == [Gap(ROOM, 1, 7)]
    assert timeline.complete


def test_repeated_event_leaves_nothing_behind() -> None:
    """A duplicate of the last event is forgotten, and stands in no later gap's way."""
    timeline = Timeline(ROOM, Inbox(10))
    timeline.start(START)
    timeline.handle_event(message(1))
    timeline.handle_event(message(1))
    assert not timeline._pending
    timeline.handle_gap(3)
    fetch = timeline.poll_fetch()
    assert fetch is not None
    timeline.handle_page(fetch, page(3, fetch, first=3))
    assert drain(timeline.inbox) == [message(1), Gap(ROOM, 2, 2), message(3)]


def test_events_kept_beyond_a_hole_are_bounded() -> None:
    """A hole that stays open must not eat memory: the rest is left to history."""
    timeline = Timeline(ROOM, Inbox(1_000))
    timeline.start(START)
    for seq in range(2, PENDING_EVENTS_MAX * 3):
        timeline.handle_event(message(seq))
    assert len(timeline._pending) == PENDING_EVENTS_MAX
    timeline.handle_event(message(1))
    log_end = PENDING_EVENTS_MAX * 3 - 1
    assert seqs(read_all(timeline, log_end)) == list(range(1, log_end + 1))


def test_slow_consumer_costs_one_read_per_half_inbox() -> None:
    """History is read again only when half the inbox is free."""
    timeline = Timeline(ROOM, Inbox(10))
    timeline.start(START)
    timeline.handle_gap(1_000)
    fetch = timeline.poll_fetch()
    assert fetch is not None
    timeline.handle_page(fetch, page(1_000, fetch))
    for _event in range(4):
        assert timeline.inbox.pop() is not None
        timeline.handle_space()
        assert timeline.poll_fetch() is None
    assert timeline.inbox.pop() is not None
    assert timeline.poll_fetch() == Fetch(ROOM, "e1", 10, 5)
