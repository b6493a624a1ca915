"""Peers that say too little, too late: what ends them, all of them side by side."""

import asyncio
import json
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.integration.bad_input.scene import Scene
from tests.integration.bad_input.wire import Raw, frame, head, header, masked

MASK = b"\x05\x06\x07\x08"
STEP_SECONDS = 0.25


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """Pings so close that silence shows soon."""
    return {"CHATROOMS_PING_MS": "1000"}


class Span:
    """How long something took; a lower bound proves that it was not ended at once."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def is_at_least(self, seconds: float) -> None:
        """With a tick of tolerance: the server's clock began a little earlier or later."""
        assert time.monotonic() - self._start > seconds - 0.3


def silent_handshake(scene: Scene) -> None:
    """Nothing at all: the stream ends after 5 s, without an answer."""
    span = Span()
    with scene.raw() as raw:
        raw.ended()
        assert raw._read == b""
    span.is_at_least(5)


def dripping_handshake(scene: Scene) -> None:
    """A byte now and then buys no time."""
    span = Span()
    with scene.raw() as raw:
        drip(raw, head()[:-2])
        assert raw._read == b""
    span.is_at_least(5)


def refused_and_lingering(scene: Scene) -> None:
    """Who does not go after a refusal is dropped when the handshake's time is over."""
    span = Span()
    with scene.raw() as raw:
        raw.send(b"\x16\x03\x01\x00\xa5\x01")
        assert raw.answer().status == 400
        raw.ended()
        drip(raw, b"x" * 100)
    span.is_at_least(5)


def no_hello(scene: Scene) -> None:
    """A good handshake and frames that are no `hello`: 4001 after 10 s."""
    span = Span()
    with scene.upgraded() as raw:
        drip_until_close(raw, lambda: frame('{"t":"pong"}'), 4001)
    span.is_at_least(10)


def half_frame(scene: Scene) -> None:
    """Bytes keep coming, the frame does not become whole: 1008 after 10 s."""
    span = Span()
    with scene.live() as raw:
        raw.send(header(0x81, 60_000) + MASK)
        drip_until_close(raw, lambda: masked(b"    ", MASK), 1008)
    span.is_at_least(10)


def half_message(scene: Scene) -> None:
    """Whole frames, of a message that does not end: 1008 too."""
    span = Span()
    with scene.live() as raw:
        raw.send(frame(" ", bits=0))
        drip_until_close(raw, lambda: frame(" ", 0, 0), 1008)
    span.is_at_least(10)


def half_pings(scene: Scene) -> None:
    """A ping between does not make half a message whole."""
    span = Span()
    with scene.live() as raw:
        raw.send(frame(" ", bits=0))
        drip_until_close(raw, lambda: frame("", 0x9), 1008)
    span.is_at_least(10)


def silence(scene: Scene) -> None:
    """Nothing heard for one and a half ping intervals: 4102; JSON pings came before."""
    span = Span()
    with scene.live() as raw:
        assert raw.lines() == [{"t": "ping"}]
        assert raw.close()[0] == 4102
    span.is_at_least(1.5)


def unanswered_close(scene: Scene) -> None:
    """Who does not answer a close frame is dropped 5 s later."""
    span = Span()
    with scene.live() as raw:
        raw.send(frame("", 0x3))
        assert raw.close()[0] == 1002
        drip(raw, b"x" * 100)
    span.is_at_least(5)


def steady_uploader(scene: Scene) -> None:
    """Every read ends inside a message for 12 s, but each message is whole soon: it may stay."""
    span = Span()
    with scene.live() as raw:
        body = {"text": "x" * 100}
        ops = [
            {"t": "send", "id": 10 + n, "room": scene.room, "cid": f"up{n}", "body": body}
            for n in range(48)
        ]
        stream = b"".join(frame(json.dumps(op)) for op in ops)
        size = len(stream) // len(ops)
        cuts = [0, *range(size // 2, len(stream), size), len(stream)]
        for start, end in pairwise(cuts):
            raw.send(stream[start:end])
            time.sleep(STEP_SECONDS)
        for op in ops:
            assert raw.reply(int(str(op["id"])))["t"] == "ok"
    span.is_at_least(12)


def drip(raw: Raw, data: bytes) -> None:
    """One byte at a time, until the server takes no more."""
    for byte in data:
        time.sleep(STEP_SECONDS)  # the pace of a slow line is what is tested
        if not raw.send(bytes([byte])):
            return
    raise AssertionError("still open")


def drip_until_close(raw: Raw, piece: Callable[[], bytes], code: int) -> None:
    """Sends pieces until a close frame comes, which must bear that code."""
    raw._socket.settimeout(STEP_SECONDS)
    for _ in range(80):
        raw.send(piece())
        try:
            assert raw.close()[0] == code
        except TimeoutError:
            continue
        return
    raise AssertionError("still open")


async def talk(scene: Scene, done: asyncio.Event) -> int:
    """The healthy pair, all the while."""
    turns = 0
    while not done.is_set():
        await asyncio.to_thread(scene.pair.exchange)
        turns += 1
        await asyncio.sleep(STEP_SECONDS)
    return turns


async def test_slow_peers_are_ended_each_in_its_time(scene: Scene) -> None:
    """Side by side, with a pair that talks on and a slow line that is within its rights."""
    peers = [
        silent_handshake,
        dripping_handshake,
        refused_and_lingering,
        no_hello,
        half_frame,
        half_message,
        half_pings,
        silence,
        unanswered_close,
        steady_uploader,
    ]
    done = asyncio.Event()
    talking = asyncio.create_task(talk(scene, done))
    async with asyncio.timeout(40):
        told = await asyncio.gather(
            *(asyncio.to_thread(peer, scene) for peer in peers), return_exceptions=True
        )
    done.set()
    wrong = {peer.__name__: it for peer, it in zip(peers, told, strict=True) if it is not None}
    assert await talking > 20
    assert not wrong, wrong
