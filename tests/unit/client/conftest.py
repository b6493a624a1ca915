"""A fake server and clients that come back without pausing, so that tests need not wait."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from chatrooms.client import ChatClient
from tests.fakes.server import FakeServer, fake_server


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    """A server that speaks enough chat.v1."""
    async with fake_server() as fake:
        yield fake


@pytest.fixture
def chat(server: FakeServer) -> Callable[..., ChatClient]:
    """Make clients of the fake server whose backoff draws nothing."""

    def make(**options: Any) -> ChatClient:
        client = ChatClient(server.url, **{"token": "t", **options})
        client._session._fraction = lambda: 0.0
        return client

    return make
