"""Noise: seeded random bytes, heads, frames and lines; whatever comes, the node is unharmed."""

import asyncio
import contextlib
import json
import random
from typing import Any

import pytest

from tests.integration.bad_input.command_table import GOOD, ROWS, UNDECODABLE
from tests.integration.bad_input.scene import Scene
from tests.integration.bad_input.wire import CLOSE, FIN, EndedError, Raw, frame, head, header

SEEDS = range(8)
ROUNDS = 40
KNOWN_CODES = {1000, 1002, 1003, 1007, 1008, 1009, 4000, 4001, 4002, 4007, 4103}
OPS = ("hello", "auth", "sub", "unsub", "send", "hist", "read", "who", "typing", "signal", "pong")


def finish(raw: Raw) -> int | None:
    """Ends the sending side; reads to the end: only frames and codes of the protocol come."""
    raw.half_close()
    try:
        while True:
            got = raw.frame()
            assert got.opcode in {0x1, 0xA, CLOSE}, got
            if got.opcode == CLOSE:
                return int.from_bytes(got.payload[:2], "big")
            if got.opcode == 0x1:
                [json.loads(line) for line in got.payload.split(b"\n")]
    except EndedError:
        return None


def mangled(dice: random.Random, data: bytes) -> bytes:
    """Some bytes changed, lost or doubled."""
    bytes_ = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(bytes_))
        kind = dice.randrange(4)
        if kind == 0:
            bytes_[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del bytes_[at : at + dice.randint(1, 9)]
        elif kind == 2:
            bytes_[at:at] = bytes_[at : at + dice.randint(1, 40)]
        else:
            bytes_[at] = dice.randrange(256)
        if not bytes_:
            return b"\0"
    return bytes(bytes_)


def value(dice: random.Random, depth: int = 0) -> Any:
    """Any JSON value, with the edges of integers, strings and containers among them."""
    edges: list[Any] = [
        None,
        True,
        False,
        0,
        -1,
        1,
        1.0,
        0.5,
        (1 << 53) - 1,
        1 << 53,
        1 << 63,
        1e308,
        "",
        "me",
        "lobby",
        "\0",
        "\u2028",
        "\uffff",
        "🦀",
        "a" * 70,
        "a" * 5_000,
        [],
        {},
        ["", 0],
        [[]],
    ]
    if depth < 3 and dice.random() < 0.2:
        return {str(value(dice, 9)): value(dice, depth + 1) for _ in range(dice.randint(0, 4))}
    return dice.choice(edges)


def line(dice: random.Random, room: str, number: int) -> str:
    """A command with fields that are right, or wrong, or another's."""
    t = dice.choice(OPS)
    good = {name: room if it == "{room}" else it for name, it in GOOD.get(t, {}).items()}
    op: dict[str, Any] = {"t": t, "id": number, **good}
    names = ("room", "cid", "body", "n", "since", "want", "limit", "before", "after", "around")
    more = ("on", "token", "rooms", "client", "cursor", "epoch", "thread", "id", "t", "$x")
    for _ in range(dice.randint(0, 3)):
        op[dice.choice(names + more)] = value(dice)
    return json.dumps(op)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_bytes_instead_of_a_handshake(scene: Scene, seed: int) -> None:
    """Refused or ended, never let in by chance with a broken head."""
    dice = random.Random(seed)
    for _ in range(ROUNDS):
        with scene.raw() as raw:
            noise = dice.randbytes(dice.randint(1, 400))
            raw.send(dice.choice([noise, mangled(dice, head()), noise + b"\r\n\r\n"]))
            raw.half_close()
            with contextlib.suppress(EndedError):
                assert raw.answer().status in {101, 400, 403, 404, 405, 414, 426, 431}


@pytest.mark.parametrize("seed", SEEDS)
def test_random_frames_after_a_handshake(scene: Scene, seed: int) -> None:
    """Closed with a code of the protocol, or ended with the client."""
    dice = random.Random(seed)
    rows = [row.line.encode() for row in (*ROWS.values(), *UNDECODABLE.values())]
    for _ in range(ROUNDS):
        with scene.live() as raw:
            whole = b"".join(
                frame(dice.choice(rows)[: dice.randint(1, 300)], dice.choice([0, 1, 1, 1, 9, 10]))
                for _ in range(dice.randint(1, 6))
            )
            made = header(FIN | dice.randrange(16), dice.randint(0, 1 << 17)) + dice.randbytes(60)
            raw.send(dice.choice([mangled(dice, whole), whole + made, dice.randbytes(200)]))
            code = finish(raw)
            assert code is None or code in KNOWN_CODES or 3000 <= code <= 4999


@pytest.mark.parametrize("seed", SEEDS)
def test_random_commands_are_each_answered_once(scene: Scene, seed: int) -> None:
    """`ok`, `err`, or nothing for the silent ones; a bad one costs the connection nothing."""
    dice = random.Random(seed)
    with scene.live() as raw:
        for number in range(10, 10 + ROUNDS):
            text = line(dice, scene.room, number)
            if json.loads(text)["t"] != "hello":
                raw.send(frame(text))
        last = {"t": "who", "id": (1 << 53) - 1, "room": scene.room}
        raw.send(frame(json.dumps(last)))
        told: list[dict[str, Any]] = []
        while not told or told[-1].get("id") != last["id"]:
            told.append(raw.line())
    numbers = [it["id"] for it in told if it["t"] in {"ok", "err"} and "id" in it]
    assert len(numbers) == len(set(numbers))
    assert {it.get("code") for it in told} <= {
        None,
        "bad_request",
        "not_found",
        "unknown_op",
        "too_large",
        "unauthorized",
        "forbidden",
        "out_of_range",
        "epoch_mismatch",
        "cid_conflict",
        "rate_limited",
    }


async def test_storms_of_rooms_that_do_not_exist_leave_nothing(scene: Scene) -> None:
    """Thousands of subs and of rooms in hello: each refused, none remembered."""

    def storm(part: int) -> None:
        for turn in range(10):
            rooms = {f"storm-{part}-{turn}-{number}": ["e", 1] for number in range(256)}
            with Raw(scene.port) as raw:
                resume = raw.hello(scene.token, rooms=rooms)["resume"]
                assert {row[0] for row in resume.values()} == {"denied"}
                for number in range(50):
                    err = raw.ask(t="sub", room=f"sub-{part}-{turn}-{number}")
                    assert err["code"] == "not_found"

    before = scene.metrics()["chat_rooms"]
    await asyncio.gather(*(asyncio.to_thread(storm, part) for part in range(8)))
    async with asyncio.timeout(10):
        while scene.metrics()["chat_rooms"] > before + 8:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.1)


async def test_presence_storm_is_coalesced(scene: Scene) -> None:
    """Two hundred subscriptions that come and go in a moment are a few events to who looks."""
    with scene.live() as watcher:
        watcher.ask(t="sub", room=scene.room, want=["presence", "typing"])

        def flap() -> None:
            with scene.live() as raw:
                for _ in range(25):
                    raw.ask(t="sub", room=scene.room)
                    raw.say({"t": "typing", "room": scene.room, "on": True})
                    raw.ask(t="unsub", room=scene.room)

        await asyncio.gather(*(asyncio.to_thread(flap) for _ in range(8)))
        number = watcher.say({"t": "who", "room": scene.room})
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1].get("id") != number:
            heard.append(watcher.line())
        assert len([it for it in heard if it["t"] == "presence"]) < 20
        assert heard[-1]["count"] == 1
