"""Bad frames: the close code of each, and that nothing of them is executed."""

import json
import struct
import threading
from itertools import pairwise

import pytest

from tests.integration.bad_input.scene import Scene, wait_until
from tests.integration.bad_input.wire import (
    BINARY,
    CLOSE,
    FIN,
    MARKER,
    PING,
    PONG,
    RSV1,
    TEXT,
    Raw,
    close_body,
    frame,
    header,
    masked,
)

MASK = b"\x01\x02\x03\x04"
PROTOCOL_ERROR, UNSUPPORTED, BAD_PAYLOAD, POLICY, TOO_BIG = 1002, 1003, 1007, 1008, 1009

CASES: dict[str, tuple[int, bytes]] = {
    "unmasked": (PROTOCOL_ERROR, header(FIN | TEXT, 2, 0) + b"{}"),
    "RSV1 without extension": (PROTOCOL_ERROR, frame("{}", bits=FIN | RSV1)),
    "RSV2": (PROTOCOL_ERROR, frame("{}", bits=FIN | 0x20)),
    "RSV3": (PROTOCOL_ERROR, frame("{}", bits=FIN | 0x10)),
    "RSV1 on a ping": (PROTOCOL_ERROR, frame("", PING, FIN | RSV1)),
    **{
        f"opcode {opcode:#x}": (PROTOCOL_ERROR, frame("", opcode))
        for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)
    },
    "ping of 126 bytes": (PROTOCOL_ERROR, frame(b"p" * 126, PING)),
    "close of 126 bytes": (PROTOCOL_ERROR, frame(close_body(1000, b"r" * 124), CLOSE)),
    "ping in fragments": (PROTOCOL_ERROR, frame("", PING, 0)),
    "close in fragments": (PROTOCOL_ERROR, frame("", CLOSE, 0)),
    "continuation of nothing": (PROTOCOL_ERROR, frame("x", 0)),
    "message inside a message": (PROTOCOL_ERROR, frame("{", bits=0) + frame("}")),
    "continuation after the end": (PROTOCOL_ERROR, frame("[]") + frame("x", 0)),
    "length 5 in 16 bits": (PROTOCOL_ERROR, struct.pack("!BBH", 0x81, 0xFE, 5) + MASK),
    "length 5 in 64 bits": (PROTOCOL_ERROR, struct.pack("!BBQ", 0x81, 0xFF, 5) + MASK),
    "length 65,535 in 64 bits": (PROTOCOL_ERROR, struct.pack("!BBQ", 0x81, 0xFF, 65_535) + MASK),
    "length 2^63": (PROTOCOL_ERROR, struct.pack("!BBQ", 0x81, 0xFF, 1 << 63) + MASK),
    "length 2^63 - 1": (TOO_BIG, struct.pack("!BBQ", 0x81, 0xFF, (1 << 63) - 1)),
    "length 65,537 at its header": (TOO_BIG, struct.pack("!BBQ", 0x81, 0xFF, 65_537)),
    "fragments over the limit at a header": (
        TOO_BIG,
        frame(b"a" * 65_000, bits=0) + struct.pack("!BBH", 0x80, 0xFE, 537),
    ),
    "UTF-8 bad": (BAD_PAYLOAD, frame(b"\xff")),
    "UTF-8 overlong": (BAD_PAYLOAD, frame(b"\xc0\xaf")),
    "UTF-8 of a surrogate": (BAD_PAYLOAD, frame(b"\xed\xa0\x80")),
    "UTF-8 over U+10FFFF": (BAD_PAYLOAD, frame(b"\xf4\x90\x80\x80")),
    "UTF-8 cut off": (BAD_PAYLOAD, frame(b"\xe2\x82")),
    "UTF-8 bad over fragments": (
        BAD_PAYLOAD,
        frame(b"\xe2", bits=0) + frame(b"\x28\xa1", 0, 0),
    ),
    "overlong over fragments": (BAD_PAYLOAD, frame(b"\xe0", bits=0) + frame(b"\x80", 0, 0)),
    "UTF-8 cut off over fragments": (BAD_PAYLOAD, frame(b"\xe2", bits=0) + frame(b"\x82", 0)),
    "first bad byte of half a frame": (
        BAD_PAYLOAD,
        header(FIN | TEXT, 1000) + MASK + masked(b"ok \xff", MASK),
    ),
    "UTF-8 bad in a close reason": (BAD_PAYLOAD, frame(close_body(1000, b"\xff"), CLOSE)),
    "close body of 1 byte": (PROTOCOL_ERROR, frame(b"\x03", CLOSE)),
    **{
        f"close code {code}": (PROTOCOL_ERROR, frame(close_body(code), CLOSE))
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    },
    "129 fragments": (POLICY, frame("{", bits=0) + frame("", 0, 0) * 128),
    "129 lines": (POLICY, frame("\n".join(["{}"] * 129))),
    "binary": (UNSUPPORTED, frame(MARKER, BINARY)),
    "binary at its first byte": (UNSUPPORTED, bytes([FIN | BINARY])),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_frame_closes_with_its_code(scene: Scene, case: str) -> None:
    """At once, whatever comes behind it; the reason names no value."""
    expected, data = CASES[case]
    with scene.upgraded() as raw:
        raw.send(data)
        # What stands behind is not executed.
        raw.send(frame(json.dumps({"t": "hello", "id": 1, "token": scene.token})))
        code, reason = raw.close()
        assert code == expected, reason
        assert MARKER not in reason
        raw.send(frame(close_body(code), CLOSE))
        raw.half_close()
        raw.ended()


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999])
def test_legal_close_code_is_echoed(scene: Scene, code: int) -> None:
    """And the server ends the stream (RFC 6455 section 7.1.1)."""
    with scene.live() as raw:
        raw.send(frame(close_body(code, b"bye"), CLOSE) + frame("[]") + b"\xff" * 1000)
        assert raw.close()[0] == code
        raw.ended()


def test_message_in_128_fragments_with_pings_between_is_executed(scene: Scene) -> None:
    """At the bound; the pongs carry the payloads of their pings."""
    with scene.upgraded() as raw:
        text = json.dumps({"t": "hello", "id": 1, "token": scene.token})
        size = len(text) // 127
        cuts = [*(size * number for number in range(128)), len(text)]
        pieces = [text[start:end] for start, end in pairwise(cuts)]
        assert len(pieces) == 128
        raw.send(frame(pieces[0], TEXT, 0))
        for number, piece in enumerate(pieces[1:-1]):
            if number % 16 == 0:
                raw.send(frame(f"p{number}", PING))
                got = raw.frame()
                assert (got.opcode, got.payload) == (PONG, b"p%d" % number)
            raw.send(frame(piece, 0, 0))
        raw.send(frame(pieces[-1], 0))
        assert raw.line()["t"] == "welcome"


def test_every_cut_of_a_frame_is_put_together(scene: Scene) -> None:
    """Byte by byte, characters of several bytes included."""
    with scene.live() as raw:
        raw.ask(t="sub", room=scene.room)
        text = "grüße 🦀"
        op = {"t": "send", "id": 50, "room": scene.room, "cid": "cut", "body": {"text": text}}
        for byte in frame(json.dumps(op, ensure_ascii=False)):
            raw.send(bytes([byte]))
        assert raw.reply(50)["t"] == "ok"
        assert raw.line()["body"] == {"text": text}


def test_hundred_pings_are_answered_and_the_next_closes_4103(scene: Scene) -> None:
    """Control frames cost, whichever they are."""
    with scene.live() as raw:
        raw.send(frame(b"x", PING) * 50 + frame(b"", PONG) * 50)
        assert [raw.frame()[:2] for _ in range(50)] == [(PONG, b"x")] * 50
        raw.send(frame(b"y", PING))
        assert raw.close()[0] == 4103


def test_nothing_is_heard_after_a_close(scene: Scene) -> None:
    """A `send` behind the client's own close frame is not stored."""
    with scene.live() as raw:
        before = raw.ask(t="hist", room=scene.room)["last"]
        op = {"t": "send", "id": 60, "room": scene.room, "cid": "late", "body": {"text": "x"}}
        raw.send(frame(close_body(1000), CLOSE) + frame(json.dumps(op)))
        raw.ended()
    with scene.live() as raw:
        assert raw.ask(t="hist", room=scene.room)["last"] == before


def test_frames_cut_by_reset_or_end_are_forgotten(scene: Scene) -> None:
    """In the middle of a header, a payload, a message, and behind a pipeline of sends."""
    op = {"t": "send", "room": scene.room, "body": {"text": "x" * 900}}
    ops = [json.dumps({**op, "id": 10 + n, "cid": f"rst{n}"}) for n in range(100)]
    pipeline = b"".join(map(frame, ops))
    for cut in (1, 3, 7, 900, len(pipeline) // 2, len(pipeline)):
        for end in (Raw.reset, Raw.half_close):
            raw = scene.live()
            raw.send(pipeline[:cut])
            end(raw)
            if end is Raw.half_close:
                raw.ended()
                raw.__exit__(None, None, None)


def test_every_close_is_counted_by_its_code(scene: Scene) -> None:
    """One for each connection that was closed so."""
    name = 'chat_connections_closed_total{code="1003"}'
    before = scene.metrics().get(name, 0)
    for _ in range(3):
        with scene.upgraded() as raw:
            raw.send(frame(b"", BINARY))
            assert raw.close()[0] == 1003
    wait_until(lambda: scene.metrics().get(name, 0) == before + 3, scene.metrics)


def test_two_hundred_bad_peers_at_once_disturb_nobody(scene: Scene) -> None:
    """Each breaks another rule while the pair talks."""
    rows = list(CASES.values()) * 3

    def attack(part: list[tuple[int, bytes]]) -> None:
        for expected, data in part:
            with scene.upgraded() as raw:
                raw.send(data)
                codes.append(raw.close()[0] == expected)

    codes: list[bool] = []
    threads = [threading.Thread(target=attack, args=(rows[at::8],)) for at in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        scene.pair.exchange()
    for thread in threads:
        thread.join()
    assert codes == [True] * len(rows)
