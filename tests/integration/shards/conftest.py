"""A node of three shards, and people on it: what crosses shards must look as if there were one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conversation.conftest import client, connect, dialer
from tests.integration.conversation.people import Town
from tests.integration.running import RunningNode

__all__ = ["client", "connect", "dialer"]


@pytest.fixture(scope="module")
def town(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A started node of this file alone; connections go to its shards in turn."""
    variables = {"CHATROOMS_RATE_LIMITS": "off", "CHATROOMS_SHARDS": "3"}
    node = RunningNode(checkout, tmp_path_factory.mktemp("shards"), variables)
    node.start()
    made = Town(node)
    yield made
    made.close()
    node.end()
