"""Who is let in by `hello`: bad, two, expired and used credentials, and who does not greet."""

import pytest

from tests.integration.bad_input.scene import Scene
from tests.integration.bad_input.wire import Raw, frame


def test_op_before_hello_is_unauthorized(scene: Scene) -> None:
    """Then 4001; a `pong` is let pass."""
    for line in ('{"t":"who","id":1,"room":"lobby"}', '{"t":"nope","id":1}'):
        with scene.upgraded() as raw:
            raw.send(frame('{"t":"pong"}'))
            raw.send(frame(line))
            err = raw.line()
            assert (err["code"], err["id"]) == ("unauthorized", 1)
            assert raw.close()[0] == 4001


def test_second_hello_closes_4000(scene: Scene) -> None:
    """It is an op that this state does not allow."""
    with scene.live() as raw:
        raw.say({"t": "hello", "token": scene.token})
        assert raw.close()[0] == 4000


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "a" * 60_000, None])
def test_bad_token_is_unauthorized_then_4001(scene: Scene, token: str | None) -> None:
    """One answer for all of them."""
    with scene.upgraded() as raw:
        raw.say({"t": "hello", "token": token})
        err = raw.line()
        assert (err["code"], err["id"]) == ("unauthorized", 1)
        assert raw.close()[0] == 4001


def test_two_tokens_that_differ_are_4001(scene: Scene) -> None:
    """Even if both are good."""
    with scene.raw() as raw:
        raw.upgrade({"Authorization": f"Bearer {scene.pair.tokens[0]}"})
        raw.say({"t": "hello", "token": scene.token})
        assert raw.line()["code"] == "unauthorized"
        assert raw.close()[0] == 4001


def test_expired_token_is_4101(scene: Scene) -> None:
    """It was good once: the client may come back with a new one."""
    token = scene.node.cli("token", "--user", "attacker", "--ttl", "-1").stdout.strip()
    with scene.upgraded() as raw:
        raw.say({"t": "hello", "token": token})
        err = raw.line()
        assert (err["code"], err["retry"]) == ("token_expired", True)
        assert raw.close()[0] == 4101


def test_ticket_lets_in_once_of_fifty_tries(scene: Scene) -> None:
    """Used in parallel, one wins; the others are 4001."""
    with scene.node.rest(scene.token) as rest:
        ticket = rest.post("/v1/auth/ticket").raise_for_status().json()["ticket"]
    raws = [Raw(scene.port) for _ in range(50)]
    for raw in raws:
        raw.send(
            f"GET /ws?ticket={ticket} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: chat.v1\r\n\r\n".encode()
        )
        raw.say({"t": "hello"})
    told = []
    for raw in raws:
        with raw:
            assert raw.answer().status == 101
            told.append(raw.line()["t"])
            if told[-1] == "err":
                assert raw.close()[0] == 4001
    assert sorted(told) == ["err"] * 49 + ["welcome"]
    assert ticket not in scene.node.log()
