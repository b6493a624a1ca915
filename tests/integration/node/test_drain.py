"""SIGTERM: readiness off, notice, answers, 4110, exit code 0; and nothing unknown after it."""

import asyncio
import json
import signal
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed

from tests.integration.conftest import MakeNode
from tests.integration.node.test_conversation import new_room
from tests.integration.running import RunningNode
from tests.integration.talk import Talker


def terminate(node: RunningNode) -> None:
    """As an init system asks."""
    node.signal(signal.SIGTERM)


def interrupt(node: RunningNode) -> None:
    """As Ctrl-C asks."""
    node.signal(signal.SIGINT)


def command(node: RunningNode) -> None:
    """As `chatrooms drain` asks."""
    assert node.cli("drain").returncode == 0


@pytest.mark.parametrize("ask", [terminate, interrupt, command])
async def test_connections_are_told_and_closed_4110(
    node: RunningNode, ask: Callable[[RunningNode], None]
) -> None:
    """With a time to come back, in the notice and in the reason; then exit code 0."""
    [token] = node.tokens("ada")
    async with Talker(node.ws_url, token) as ada:
        await asyncio.to_thread(ask, node)
        notice = await ada.event(lambda event: event["t"] == "notice")
        code, reason = await ada.closed()
    assert notice["code"] == "drain"
    assert code == 4110
    assert json.loads(reason or "")["retry_after_ms"] == notice["retry_after_ms"]
    assert node.wait() == 0


async def test_second_sigterm_changes_nothing(node: RunningNode) -> None:
    """An impatient operator does not cut off what is being answered."""
    [token] = node.tokens("ada")
    async with Talker(node.ws_url, token) as ada:
        terminate(node)
        terminate(node)
        await ada.event(lambda event: event["t"] == "notice")
        terminate(node)
        code, _ = await ada.closed()
    assert code == 4110
    assert node.wait() == 0


async def test_every_send_in_flight_is_answered(make_node: MakeNode) -> None:
    """Stored or refused, none unknown: what was answered `ok` is there after the restart."""
    node = make_node(rate_limits="off")
    node.start()
    [token] = node.tokens("ada")
    room = new_room(node, "Drain", [token])
    answers: dict[str, str] = {}
    busy = asyncio.Event()

    async def talk(ada: Talker) -> None:
        number = 0
        while ada.socket.close_code is None:
            cid = f"c{number}"
            number += 1
            try:
                answers[cid] = "unknown"
                reply = await ada.send(room, cid, cid)
            except ConnectionClosed:
                return
            if number == 50:
                busy.set()
            answers[cid] = reply["t"] if reply["t"] == "ok" else reply["code"]

    async with Talker(node.ws_url, token) as ada:
        talking = asyncio.create_task(talk(ada))
        await busy.wait()
        terminate(node)
        await ada.closed()
        talking.cancel()
    assert node.wait() == 0
    last = list(answers)[-1]
    # The one that was being written while the close came was never accepted.
    settled = {cid: told for cid, told in answers.items() if cid != last}
    assert set(settled.values()) <= {"ok", "overloaded"}
    node.start()
    async with Talker(node.ws_url, token) as ada:
        for cid in [cid for cid, told in settled.items() if told == "ok"][-20:]:
            assert (await ada.send(room, cid, cid))["dup"] is True


async def test_readiness_goes_first(make_node: MakeNode) -> None:
    """While sockets drain, `/readyz` says 503 and `/healthz` still answers."""
    node = make_node(drain_notice_ms="1500", drain_window_ms="0")
    node.start()
    [token] = node.tokens("ada")
    async with Talker(node.ws_url, token) as ada:
        terminate(node)
        await ada.event(lambda event: event["t"] == "notice")
        with node.rest() as rest:
            assert rest.get("/readyz").status_code == 503
            assert rest.get("/healthz").status_code == 200
        assert (await ada.closed())[0] == 4110
    assert node.wait() == 0


async def test_idle_node_leaves_at_once(node: RunningNode) -> None:
    """Nobody to wait for: the window is not sat out."""
    assert node.stop() == 0
    assert "drained" in node.log()
