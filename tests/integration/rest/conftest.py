"""The REST API in process over a real store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.fakes.world import World, open_world


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A fresh node without sockets and without rates."""
    async with open_world(tmp_path) as opened:
        yield opened
