"""The compiled core by itself: what Python may say to it, and how it begins and ends."""

import gc
import json
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from chatrooms import _core

TOO_LARGE: Final = 2**53
REQUEST: Final = (
    b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: chat.v1\r\n\r\n"
)
PATIENCE_SECONDS: Final = 30.0


@pytest.fixture
def core() -> Iterator[_core.Core]:
    """A started core on a free port."""
    made = _core.Core(host="127.0.0.1", port=0, epoch="e")
    made.start()
    yield made
    made.stop()


def _frame(text: str) -> bytes:
    """A masked text frame below 126 bytes, the mask being zero (RFC 6455 section 5.2)."""
    payload = text.encode()
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def _shard_threads() -> int:
    names = [task.read_text() for task in Path("/proc/self/task").glob("*/comm")]
    return sum(name.startswith("chat-shard") for name in names)


@pytest.mark.parametrize("first", [0, TOO_LARGE, 2**64 - 1])
def test_event_outside_the_range_of_seq_is_refused(core: _core.Core, first: int) -> None:
    """No sum of the hub may wrap, and no seq leave what JSON numbers hold."""
    with pytest.raises(ValueError, match="seq"):
        core.deliver([("r", first, ["{}"], [])], [], [])


@pytest.mark.parametrize(("head", "since"), [(TOO_LARGE, 1), (1, TOO_LARGE), (1, 2**64 - 1)])
def test_position_outside_the_range_of_seq_is_refused(
    core: _core.Core, head: int, since: int
) -> None:
    """Neither where a room is nor where a client was."""
    with pytest.raises(ValueError, match="below"):
        core.attach([(1, 1, "r", head, 0, 0, "member", ("e", since), 0, ["{}"])])
    with pytest.raises(ValueError, match="below"):
        core.welcome([(1, 1, "u", "s", 2, 1, (head, 0, 0, ("e", since), ["{}"]), [])])


def test_expiry_beyond_all_time_is_refused(core: _core.Core) -> None:
    """It would wrap, and close a connection at once or never."""
    with pytest.raises(ValueError, match="expires_ms"):
        core.welcome([(1, 1, "u", "s", 2**60, 1, (0, 0, 0, None, None), [])])
    with pytest.raises(ValueError, match="expires_ms"):
        core.authorize(1, 1, "s", 2**60, 1)
    with pytest.raises(OverflowError):
        core.authorize(1, 1, "s", -1, 1)


@pytest.mark.parametrize("field", ["ping_ms", "drain_notice_ms"])
def test_duration_longer_than_a_day_is_refused(field: str) -> None:
    """Milliseconds become microseconds in the core."""
    too_long: dict[str, Any] = {field: 2**63}
    with pytest.raises(ValueError, match=field):
        _core.Core(host="127.0.0.1", port=0, epoch="e", **too_long)


def test_answer_to_nobody_changes_nothing(core: _core.Core) -> None:
    """A handle of a shard that is not there, or of a connection that has gone."""
    for handle in (0, 1, 2**64 - 1):
        core.refuse([(handle, 1, None, "internal", None, None, None)])
        core.reply([(handle, 1, "")])
        core.deliver([], [(handle, 1, 2**64 - 1, 1, 1, 1, False)], [])
    assert core.open_connections() == 0


def test_wake_is_readable_when_something_may_be_taken(core: _core.Core) -> None:
    """Cleared first, then taken: nothing is left behind unannounced."""
    with socket.create_connection(core.address(), PATIENCE_SECONDS) as client:
        hello = json.dumps({"t": "hello", "id": 1, "token": "jwt"})
        client.sendall(REQUEST + _frame(hello))
        taken: list[tuple[object, ...]] = []
        while not taken:
            ready, _, _ = select.select([core.wake_fd()], [], [], PATIENCE_SECONDS)
            assert ready
            core.clear_wake()
            taken = core.take_auths(10)
        assert (taken[0][0], taken[0][4]) == ("hello", "jwt")
        assert not select.select([core.wake_fd()], [], [], 0)[0]


def test_core_that_is_let_go_of_ends_its_threads() -> None:
    """Also when nobody stopped it."""
    before = _shard_threads()
    core = _core.Core(host="127.0.0.1", port=0, epoch="e", shards=3)
    core.start()
    assert _shard_threads() == before + 3
    del core
    gc.collect()
    assert _shard_threads() == before


def test_taken_port_is_an_error_of_the_system(core: _core.Core) -> None:
    """And the second core has no threads."""
    before = _shard_threads()
    second = _core.Core(host="127.0.0.1", port=core.address()[1], epoch="e")
    with pytest.raises(OSError, match="in use"):
        second.start()
    with pytest.raises(RuntimeError, match="not running"):
        second.address()
    assert _shard_threads() == before


def test_events_after_the_end_are_nobodys(core: _core.Core) -> None:
    """The log has them; everything else is told that there is no core."""
    core.stop()
    core.stop()
    core.deliver([("r", 1, ["{}"], [])], [], [])
    with pytest.raises(RuntimeError, match="not running"):
        core.take_asks(1)
