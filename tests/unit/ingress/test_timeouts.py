"""A slow answer: `timeout` once, nothing cancelled, and nothing said a second time."""

from collections.abc import Callable
from typing import Any

import pytest

from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import Event, Run
from chatrooms.ingress.pump import Bounds
from chatrooms.ports.gateway import Ack, Attach, Resume, Welcome
from tests.unit.ingress.conftest import Rig

TIMEOUT = ("refuse", 7, 1, Code.TIMEOUT, "r")
RUN = Run("r", (Event(1, "{}", 1),))


@pytest.fixture
def bounds() -> Bounds:
    """A timeout as soon as the loop looks at its timers."""
    return Bounds(timeout_seconds=0.0)


async def test_slow_send_is_told_timeout_and_its_event_is_delivered(rig: Rig) -> None:
    """Rule 4: what commits later is delivered as usual, the retry learns `dup`."""
    rig.inbox.send(1)
    await rig.until(lambda: len(rig.answers) == 1)
    rig.once.deliver(
        [RUN], [Ack(7, 1, 1, 1, 1, 1, dup=False), Ack(8, 1, 1, 2, 2, 1, dup=False)], []
    )
    rig.calls[0].done.set_result([])
    await rig.turn()
    assert rig.answers == [
        TIMEOUT,
        ("deliver", [RUN], [Ack(8, 1, 1, 2, 2, 1, dup=False)], []),
    ]
    assert rig.pump.lanes[0].timeouts == 1


async def test_late_refusal_of_a_send_is_dropped(rig: Rig) -> None:
    """Whether the log refuses one post or the whole batch."""
    rig.inbox.send(1)
    await rig.until(lambda: len(rig.answers) == 1)
    rig.once.deliver([], [], [(7, 1, "r", Refusal(Code.BANNED))])
    rig.calls[0].done.set_exception(Refusal(Code.UNAVAILABLE))
    await rig.turn()
    assert rig.answers == [TIMEOUT, ("deliver", [], [], [])]


@pytest.mark.parametrize(
    "answer",
    [
        lambda once: once.reply(7, 1, "x"),
        lambda once: once.refuse(7, 1, Refusal(Code.BANNED), "r"),
        lambda once: once.authorize(7, 1, "s", 5),
    ],
)
async def test_late_answer_is_dropped(rig: Rig, answer: Callable[[Any], None]) -> None:
    """Exactly one reply an id."""
    rig.inbox.ask("hist", 7, 1, "ada", "r", "newest", 0, 50, None)
    await rig.until(lambda: len(rig.answers) == 1)
    answer(rig.once)
    assert rig.answers == [TIMEOUT]


async def test_late_attach_is_dropped_but_not_that_of_others(rig: Rig) -> None:
    """The client was told that it is not subscribed."""
    rig.inbox.ask("sub", 7, 1, "ada", "r", None, 0, 0)
    await rig.until(lambda: len(rig.answers) == 1)
    late, other = (Attach(of, 1, "r", 1, 1, 0, "member", None, 0, None) for of in (7, 8))
    rig.once.attach([late, other])
    assert rig.answers == [TIMEOUT, ("attach", [other])]


async def test_late_welcome_is_dropped(rig: Rig) -> None:
    """The core closed the connection when its `hello` was refused."""
    rig.inbox.auth("hello", 7, 1, "token", "jwt", [], None, "127.0.0.1")
    await rig.until(lambda: len(rig.answers) == 1)
    me = Resume("me", 0, 0, 0, "owner", None, None)
    rig.once.welcome([Welcome(7, 1, "ada", "s", 2, 1, me, [])])
    assert rig.answers == [("refuse", 7, 1, Code.TIMEOUT, None), ("welcome", [])]


async def test_id_is_free_again_when_its_work_has_ended(rig: Rig) -> None:
    """What is remembered is bounded by what is at work."""
    rig.inbox.ask("hist", 7, 1, "ada", "r", "newest", 0, 50, None)
    await rig.until(lambda: len(rig.answers) == 1)
    rig.calls[0].done.set_result(None)
    await rig.turn()
    rig.once.reply(7, 1, "x")
    assert rig.answers == [TIMEOUT, ("reply", 7, 1, "x")]


async def test_news_pass_at_any_time(rig: Rig) -> None:
    """Only answers are dropped: marks, ends of sessions and drains are none."""
    rig.inbox.ask("read", 7, 1, "ada", "r", 1)
    await rig.until(lambda: len(rig.answers) == 1)
    rig.once.marked([(7, "ada", "r", 1)])
    rig.once.end_session("s")
    rig.once.drain(5)
    assert rig.once.open_connections() == 0
    assert rig.answers[1:] == [
        ("marked", [(7, "ada", "r", 1)]),
        ("end_session", "s"),
        ("drain", 5),
    ]
