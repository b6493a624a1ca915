"""A node without rates, people on it, and connections that are held to the protocol."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.conversation.dialers import Dialer, open_dialer
from tests.integration.conversation.peer import Event, Peer
from tests.integration.conversation.people import Person, Town
from tests.integration.running import RunningNode

Connect = Callable[..., Awaitable[Peer]]


@pytest.fixture(scope="module")
def town(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A started node of this file alone; crowds must not meet its rates."""
    node = RunningNode(checkout, tmp_path_factory.mktemp("town"), {"CHATROOMS_RATE_LIMITS": "off"})
    node.start()
    made = Town(node)
    yield made
    made.close()
    node.end()


@pytest.fixture(scope="module")
def client() -> str:
    """The WebSocket client; what runs on several is parametrized by this name."""
    return "websockets"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dialer(
    client: str,
    town: Town,
    checkout: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Dialer]:
    """Opens sockets by `client`, which for Chromium lie in a page of the town's REST port."""
    page = f"{town.node.rest_url}/docs"
    home = tmp_path_factory.mktemp("dialer")
    async with open_dialer(client, checkout / "tests" / "js", home, page) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def connect(dialer: Dialer) -> AsyncIterator[Connect]:
    """Lets a person in on a node, with `rooms` to resume; a peer that was welcomed."""
    peers: list[Peer] = []

    async def make(node: RunningNode, who: Person, rooms: Event | None = None) -> Peer:
        peer = Peer(who.name, await dialer.dial(node.ws_url))
        peers.append(peer)
        reply = await peer.hello(who.token, rooms)
        assert reply["t"] == "welcome", reply
        assert reply["user"] == who.user
        return peer

    yield make
    await asyncio.gather(*(peer.leave() for peer in peers))
    assert [breach for peer in peers for breach in peer.breaches] == []
