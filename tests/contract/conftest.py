"""Every test of the contract runs on each store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chatrooms.adapters import sqlite
from chatrooms.adapters.memory import MemoryStore
from tests.contract.scenes import Clock, Scene


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    """A scene on one of the stores."""
    clock = Clock()
    memory = request.param == "memory"
    store = MemoryStore(clock) if memory else sqlite.open_store(tmp_path, clock=clock)
    scene = Scene(store, clock)
    await scene.begin()
    yield scene
    await store.close()
