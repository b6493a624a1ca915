"""Use cases over the store in memory and a recording gateway."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fakes.world import World, open_world


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    """A fresh node without sockets, without rates, without files."""
    async with open_world(None) as opened:
        yield opened
