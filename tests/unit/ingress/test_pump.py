"""The pump: batches, lanes, bounds, and an answer to everything that was taken."""

import asyncio
import os

import pytest

from chatrooms.app.asks import AuthAsk, HelloAsk, HistAsk, ReadAsk, RepairAsk, SubAsk, WhoAsk
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.log import Post
from tests.unit.ingress.conftest import Rig

HIST = ("hist", 7, 1, "ada", "r", "newest", 0, 50, None)


async def test_sends_of_one_wake_are_one_append(rig: Rig) -> None:
    """Group commit begins here: what waits goes together, in order."""
    for number in range(5):
        rig.inbox.send(number)
    await rig.until(lambda: bool(rig.calls))
    assert [call.name for call in rig.calls] == ["append"]
    posts = rig.calls[0].items
    assert posts[0] == Post("r", "ada", "c0", '{"text":"0"}', None, (7, 0, 1))
    assert [post.cid for post in posts] == ["c0", "c1", "c2", "c3", "c4"]


async def test_next_batch_is_appended_while_one_commits(rig: Rig) -> None:
    """Appends are pipelined: the second does not wait for the first."""
    rig.inbox.send(0)
    await rig.until(lambda: len(rig.calls) == 1)
    rig.inbox.send(1)
    await rig.until(lambda: len(rig.calls) == 2)
    assert not rig.calls[0].done.done()


async def test_batch_is_no_larger_than_512(rig: Rig) -> None:
    """A transaction has a bound, so a take has one too."""
    for number in range(600):
        rig.inbox.send(number)
    await rig.until(lambda: len(rig.calls) == 2)
    assert [len(call.items) for call in rig.calls] == [512, 88]


async def test_fifth_batch_waits_in_the_inbox(rig: Rig) -> None:
    """Backpressure reaches the sockets because the inbox is not taken from."""
    for number in range(4):
        rig.inbox.send(number)
        await rig.until(lambda wanted=number + 1: len(rig.calls) == wanted)  # type: ignore[misc]
    rig.inbox.send(4)
    await rig.turn()
    assert len(rig.calls) == 4
    assert len(rig.inbox.sends) == 1
    rig.calls[0].done.set_result([])
    await rig.until(lambda: len(rig.calls) == 5)
    assert not rig.inbox.sends


async def test_full_lane_does_not_spin_the_loop(rig: Rig) -> None:
    """What cannot be taken is looked at again when a lane is freed, and not before."""
    for number in range(4):
        rig.inbox.send(number)
        await rig.until(lambda wanted=number + 1: len(rig.calls) == wanted)  # type: ignore[misc]
    rig.inbox.send(4)
    await rig.turn()
    looks = rig.inbox.looks
    await rig.turn()
    assert rig.inbox.looks == looks
    with pytest.raises(BlockingIOError):
        os.eventfd_read(rig.inbox.wake_fd())


async def test_full_sends_lane_holds_up_no_history(rig: Rig) -> None:
    """Lanes are apart."""
    for number in range(4):
        rig.inbox.send(number)
        await rig.until(lambda wanted=number + 1: len(rig.calls) == wanted)  # type: ignore[misc]
    rig.inbox.send(4)
    await rig.turn()
    rig.inbox.ask(*HIST)
    await rig.until(lambda: bool(rig.named("history")))


async def test_slow_history_holds_up_no_send(rig: Rig) -> None:
    """A thousand reads at work leave the sends alone."""
    for number in range(2_000):
        rig.inbox.ask("hist", 7, number, "ada", "r", "newest", 0, 50, None)
    await rig.until(lambda: len(rig.inbox.asks) == 976)
    assert len(rig.named("history")) == 16
    rig.inbox.send(1)
    await rig.until(lambda: len(rig.named("append")) == 1)


async def test_asks_of_one_kind_in_one_wake_are_one_call(rig: Rig) -> None:
    """A reconnect storm costs reads per batch."""
    for number in range(3):
        rig.inbox.ask("sub", 7, number, "ada", "r", None, 0, 0)
        rig.inbox.ask("read", 8, number, "ada", "r", number)
    await rig.until(lambda: len(rig.calls) == 2)
    assert rig.named("subscribe")[0].items == [
        SubAsk(7, number, "ada", "r", None, 0, 0) for number in range(3)
    ]
    assert rig.named("mark")[0].items == [
        ReadAsk(8, number, "ada", "r", number) for number in range(3)
    ]


async def test_each_kind_reaches_its_use_case(rig: Rig) -> None:
    """The tuples of the core, by name."""
    rig.inbox.ask(*HIST)
    rig.inbox.ask("who", 7, 2, "ada", "r", 1, ["u"], None)
    rig.inbox.ask("repair", "r", 3, 9)
    rig.inbox.auth("hello", 7, 1, "token", "jwt", [("r", "e", 1, 0)], None, "127.0.0.1")
    rig.inbox.auth("auth", 7, 2, "jwt", "ada", "s")
    await rig.until(lambda: len(rig.calls) == 5)
    assert {call.name: call.items[0] for call in rig.calls} == {
        "history": HistAsk(7, 1, "ada", "r", "newest", 0, 50, None),
        "who": WhoAsk(7, 2, "ada", "r", 1, ["u"], None),
        "repair": RepairAsk("r", 3, 9),
        "welcome": HelloAsk(7, 1, "token", "jwt", [("r", "e", 1, 0)], None, "127.0.0.1"),
        "reauthorize": AuthAsk(7, 2, "jwt", "ada", "s"),
    }


async def test_refused_append_refuses_each_of_its_posts(rig: Rig) -> None:
    """The store cannot write: nobody is left without an answer."""
    rig.inbox.send(1, room="a")
    rig.inbox.send(2, room="b")
    await rig.until(lambda: bool(rig.calls))
    rig.calls[0].done.set_exception(Refusal(Code.UNAVAILABLE))
    await rig.until(lambda: len(rig.answers) == 2)
    assert rig.answers == [
        ("refuse", 7, 1, Code.UNAVAILABLE, "a"),
        ("refuse", 7, 2, Code.UNAVAILABLE, "b"),
    ]


async def test_failure_of_a_use_case_is_answered_internal(rig: Rig) -> None:
    """A defect is logged and answered, and the pump lives on."""
    rig.inbox.ask(*HIST)
    await rig.until(lambda: bool(rig.calls))
    rig.calls[0].done.set_exception(ZeroDivisionError())
    await rig.until(lambda: bool(rig.answers))
    assert rig.answers == [("refuse", 7, 1, Code.INTERNAL, "r")]
    assert rig.pump.lanes[1].failures == 1
    rig.inbox.ask(*HIST)
    await rig.until(lambda: len(rig.named("history")) == 2)


async def test_unknown_ask_is_passed_over(rig: Rig) -> None:
    """A newer core with an older control plane still serves what both know."""
    rig.inbox.ask("dance", 7, 1)
    rig.inbox.ask(*HIST)
    await rig.until(lambda: bool(rig.named("history")))


async def test_failed_repair_is_left_to_the_hub(rig: Rig) -> None:
    """It asks again as long as its gap is open; a store that is down collects no repairs."""
    rig.inbox.ask("repair", "r", 3, 9)
    await rig.until(lambda: len(rig.named("repair")) == 1)
    rig.calls[0].done.set_exception(Refusal(Code.UNAVAILABLE))
    await rig.until(lambda: rig.pump.lanes[1].items == 0)
    rig.inbox.ask("repair", "r", 3, 9)
    await rig.until(lambda: len(rig.named("repair")) == 2)
    assert not rig.answers


async def test_repair_under_way_is_not_started_again(rig: Rig) -> None:
    """A log that hangs does not fill the lane of those who ask for something else."""
    for _ in range(5):
        rig.inbox.ask("repair", "r", 3, 9)
        await rig.turn()
    rig.inbox.ask("repair", "other", 3, 9)
    await rig.until(lambda: len(rig.named("repair")) == 2)
    assert rig.pump.lanes[1].items == 2


async def test_settle_waits_for_what_was_taken(rig: Rig) -> None:
    """Draining lets the last sends be answered."""
    rig.inbox.send(1)
    await rig.until(lambda: bool(rig.calls))
    settling = asyncio.create_task(rig.pump.settle(10))
    await rig.turn()
    assert not settling.done()
    rig.calls[0].done.set_result([])
    await settling
    assert rig.pump.lanes[0].items == 0


async def test_stopped_pump_takes_no_more(rig: Rig) -> None:
    """After `stop` nothing reaches a store that is being closed."""
    rig.inbox.send(1)
    await rig.until(lambda: bool(rig.calls))
    await rig.pump.stop()
    rig.inbox.send(2)
    await rig.turn()
    assert len(rig.calls) == 1
    assert rig.calls[0].done.cancelled()
