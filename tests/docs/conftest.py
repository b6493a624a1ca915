"""One node for the documentation's tests, on free ports, ended with the module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.running import RunningNode


@pytest.fixture(scope="module")
def node(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with quick pings; what a file does to it is that file's own."""
    settings = {"CHATROOMS_PING_MS": "5000"}
    made = RunningNode(checkout, tmp_path_factory.mktemp("docs"), settings)
    made.start()
    yield made
    made.end()
