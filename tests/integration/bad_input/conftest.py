"""One node a file, attacked by all its tests; after each the healthy pair exchanges a message."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.bad_input.scene import Scene
from tests.integration.running import RunningNode


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """CHATROOMS_* of the node; a file may override them."""
    return {}


@pytest.fixture(scope="module")
def attacked(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]
) -> Iterator[Scene]:
    """The node with its pair; when the file is done, it must be as it was."""
    node = RunningNode(checkout, tmp_path_factory.mktemp("attacked"), variables)
    node.start()
    try:
        made = Scene(node)
        yield made
        made.assert_unharmed()
        made.pair.leave()
        assert node.stop() == 0
    finally:
        node.end()


@pytest.fixture
def scene(attacked: Scene) -> Iterator[Scene]:
    """The attacked node; the pair must not have noticed this test."""
    yield attacked
    attacked.pair.exchange()
    assert attacked.process.is_running()
